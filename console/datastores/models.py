"""What is remembered of RDS and ElastiCache: the newest reading of each, and what changed when."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import QuerySet

from console.datastores.rules import Facts, What
from console.lib.kept import kept
from console.platform.readings import DatastoreReading

CHANGES_SHOWN = 20


class Datastore(models.Model):
    """One declared datastore as AWS told it last. `present` is False where AWS knows no such thing."""

    id = models.CharField(max_length=100, primary_key=True)
    kind = models.CharField(max_length=20)
    identifier = models.CharField(max_length=255)
    present = models.BooleanField()
    engine = models.CharField(max_length=100, default="", blank=True)
    status = models.CharField(max_length=100, default="", blank=True)
    multi_az = models.BooleanField(null=True)
    primary = models.CharField(max_length=255, null=True)
    primary_zone = models.CharField(max_length=50, null=True)
    standby_zone = models.CharField(max_length=50, null=True)
    replicas = models.PositiveIntegerField(null=True)
    endpoint = models.CharField(max_length=300, null=True)
    as_of = models.DateTimeField()

    objects: models.Manager[Datastore] = models.Manager()

    def __str__(self) -> str:
        return self.id

    def reading(self) -> DatastoreReading | None:
        if not self.present:
            return None
        return DatastoreReading(
            id=self.id,
            kind=self.kind,
            identifier=self.identifier,
            engine=self.engine,
            status=self.status,
            multi_az=self.multi_az,
            primary=self.primary,
            primary_zone=self.primary_zone,
            standby_zone=self.standby_zone,
            replicas=self.replicas,
            endpoint=self.endpoint,
        )

    def facts(self) -> Facts:
        return Facts(self.id, self.kind, self.identifier, self.reading())


class ChangeQuerySet(models.QuerySet["Change"]):
    def forget(self, now: datetime) -> None:
        """Drop what is older than anything that is shown."""
        self.filter(at__lt=now - timedelta(days=Change.KEPT_DAYS)).delete()


class Change(models.Model):
    """Between the reading before and the one begun at `at` this changed."""

    KEPT_DAYS = 400

    at = models.DateTimeField(db_index=True)
    datastore = models.CharField(max_length=100)
    what = models.CharField(max_length=10, choices=[(one.value, one.value) for one in What])
    was = models.CharField(max_length=400, blank=True)
    became = models.CharField(max_length=400, blank=True)

    objects = ChangeQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.datastore}: {self.was} → {self.became}"


@kept
def every_datastore() -> QuerySet[Datastore]:
    return Datastore.objects.all()


@kept
def newest_changes() -> QuerySet[Change]:
    return Change.objects.order_by("-at", "-id")[:CHANGES_SHOWN]

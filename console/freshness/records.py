"""What was asked of tables and became of it: cutoffs, proofs, events, error budgets, what is told."""

from __future__ import annotations

from typing import ClassVar

from django.db import connection, models
from django.db.models import Q


class CutoffRow(models.Model):
    """A moment up to which a table is waited for: when it was met, and when it was last known not to be."""

    class Origin(models.TextChoices):
        CALENDAR = "calendar"
        API = "api"

    table = models.CharField(max_length=400)
    at = models.DateTimeField()
    deadline = models.DateTimeField()
    origin = models.CharField(max_length=10, choices=Origin.choices)
    dag_id = models.CharField(max_length=250, default="", blank=True)
    asked_by = models.CharField(max_length=200, default="", blank=True)
    reason = models.TextField(default="", blank=True)
    asset = models.CharField(max_length=500, default="", blank=True)  # of Airflow, to be told when all of it are met
    met_at = models.DateTimeField(null=True)
    pending_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[CutoffRow]] = models.Manager()

    class Meta:
        ordering = ["table", "at"]
        constraints = [models.UniqueConstraint(fields=["table", "at"], name="freshness_cutoff_once")]
        indexes = [
            models.Index(fields=["at"], condition=Q(met_at=None), name="freshness_cutoff_open"),
            models.Index(fields=["at"], name="freshness_cutoff_at"),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.at:%Y-%m-%d %H:%M}"


class AssetNews(models.Model):
    """An outbox: that a cutoff is met by every table that declares this asset of Airflow's for it."""

    asset = models.CharField(max_length=500)  # name or URI
    cutoff = models.DateTimeField()
    tables = models.TextField()  # JSON: their names
    created_at = models.DateTimeField()
    next_at = models.DateTimeField()
    claimed_until = models.DateTimeField(null=True)
    fence = models.IntegerField(default=0)
    attempts = models.IntegerField(default=0)
    tried_at = models.DateTimeField(null=True)  # the newest call that may have reached Airflow
    looked_at = models.DateTimeField(null=True)  # since when Airflow, that answers again, does not list its event
    sent_at = models.DateTimeField(null=True)
    event_id = models.BigIntegerField(null=True)  # Airflow's
    error = models.TextField(default="", blank=True)
    remedy = models.TextField(default="", blank=True)

    objects: ClassVar[models.Manager[AssetNews]] = models.Manager()

    class Meta:
        ordering = ["-cutoff"]
        constraints = [models.UniqueConstraint(fields=["asset", "cutoff"], name="freshness_asset_once")]
        indexes = [models.Index(fields=["next_at"], condition=Q(sent_at=None), name="freshness_asset_open")]

    def __str__(self) -> str:
        return f"{self.asset} {self.cutoff:%Y-%m-%d %H:%M}"


class WatchedHour(models.Model):
    """The minutes of an hour in which the tables were judged (`minutes`)."""

    hour = models.BigIntegerField(primary_key=True)  # since 1970
    bits = models.BigIntegerField()

    class Meta:
        ordering = ["hour"]

    def __str__(self) -> str:
        return str(self.hour)


class BadHour(models.Model):
    """The minutes of an hour in which a table was late or unknown; no row where there were none."""

    pk = models.CompositePrimaryKey("hour", "table")
    hour = models.BigIntegerField()  # since 1970
    table = models.CharField(max_length=400)
    bits = models.BigIntegerField()

    class Meta:
        ordering = ["hour", "table"]

    def __str__(self) -> str:
        return f"{self.table} {self.hour}"


class Burning(models.Model):
    """A table whose error budget is used too fast, by the newest reckoning (`budget`); no row for any other table."""

    table = models.CharField(max_length=400, primary_key=True)
    task = models.CharField(max_length=200)
    source = models.CharField(max_length=200)
    slo_s = models.FloatField()
    alarm = models.CharField(max_length=10)  # outlook.Alarm
    hour = models.FloatField()  # how many times faster than allowed, in the last hour
    six_hours = models.FloatField()
    three_days = models.FloatField()
    reckoned_at = models.DateTimeField()

    objects: ClassVar[models.Manager[Burning]] = models.Manager()

    class Meta:
        ordering = ["table"]

    def __str__(self) -> str:
        return f"{self.table}: {self.alarm}"


class Proof(models.Model):
    """That a table was complete to a cutoff: kept, so that who asks again is told the same."""

    table = models.CharField(max_length=400)
    era = models.CharField(max_length=300)
    basis = models.CharField(max_length=10)
    cutoff = models.DateTimeField()
    proof_id = models.CharField(max_length=300)
    watermark = models.DateTimeField()
    epoch = models.IntegerField()
    at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[Proof]] = models.Manager()

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(fields=["table", "cutoff", "basis", "era"], name="freshness_proof_once"),
        ]

    def __str__(self) -> str:
        return self.proof_id


class TableEvent(models.Model):
    """Something that happened to a table: a status, a load that revoked what was proven, a cutoff met or missed."""

    table = models.CharField(max_length=400)
    at = models.DateTimeField()
    generation = models.BigIntegerField()
    kind = models.CharField(max_length=20)  # status, revoked, epoch, met, asset
    text = models.TextField()

    objects: ClassVar[models.Manager[TableEvent]] = models.Manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["table", "-id"], name="freshness_event_table"),
            models.Index(fields=["generation"], name="freshness_event_gen"),
        ]

    def __str__(self) -> str:
        return f"{self.table}: {self.text}"


class Published(models.Model):
    """One row: the newest generation that is committed. Who takes the next one holds this row until then."""

    number = models.BigIntegerField()

    objects: ClassVar[models.Manager[Published]] = models.Manager()

    def __str__(self) -> str:
        return str(self.number)


_NEXT = (
    "INSERT INTO freshness_published (id, number) VALUES (1, nextval('freshness_generation'))"
    " ON CONFLICT (id) DO UPDATE SET number = nextval('freshness_generation') RETURNING number"
)


def next_generation() -> int:
    """A number higher than any before: of one poll's changes. In a transaction, at whose end others may have theirs.

    So they are committed in their order: a plain sequence would show a number while what belongs to it can't be seen
    yet, and whoever asked for the changes after that number would never be told of them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_NEXT)
        return int(cursor.fetchone()[0])


def generation() -> int:
    """The newest one of which everything can be seen; 0 before the first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(number), 0) FROM freshness_published")
        return int(cursor.fetchone()[0])

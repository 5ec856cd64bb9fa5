"""What is remembered of each storage: its last look."""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import QuerySet

from console.lib.kept import kept
from console.platform.declared import StorageDeclared
from console.storage.rules import Facts


class StoreQuerySet(models.QuerySet["Store"]):
    def figures(self) -> dict[str, Store]:
        """Each store's figures by its id, without the long lists; one query."""
        return {row.id: row for row in _figures()}

    def whole(self) -> dict[str, Store]:
        """The same with its lists, which are bounded (`ledger.SHARES`, `ledger.LISTED`); one query."""
        return {row.id: row for row in _whole()}


class Store(models.Model):
    """One declared storage as it was seen last. `newest_…` are of the newest file ever seen: readers remove theirs.

    `shares` and `listed` are lists of what `ledger` calls a Share and a Handoff, times in ISO 8601.
    """

    id = models.CharField(max_length=100, primary_key=True)
    location = models.CharField(max_length=1000)
    watched_since = models.DateTimeField()
    as_of = models.DateTimeField()
    complete = models.BooleanField()
    files = models.PositiveBigIntegerField()
    bytes = models.PositiveBigIntegerField()
    newest_key = models.TextField(default="", blank=True)
    newest_at = models.DateTimeField(null=True)
    waiting = models.PositiveIntegerField(default=0)
    late = models.PositiveIntegerField(default=0)
    fetched = models.PositiveIntegerField(default=0)
    expired = models.PositiveIntegerField(default=0)
    missed = models.PositiveIntegerField(default=0)
    past = models.PositiveIntegerField(default=0)
    past_bytes = models.PositiveBigIntegerField(default=0)
    left = models.PositiveIntegerField(default=0)
    left_bytes = models.PositiveBigIntegerField(default=0)
    shares = models.JSONField(default=list)
    listed = models.JSONField(default=list)

    objects = StoreQuerySet.as_manager()

    def __str__(self) -> str:
        return self.id

    @property
    def handoffs(self) -> int:
        return self.waiting + self.late + self.fetched + self.expired + self.missed

    def facts(self, declared: StorageDeclared) -> Facts:
        return Facts(
            id=self.id,
            place=self.location,
            files=self.files,
            bytes=self.bytes,
            complete=self.complete,
            newest_at=self.newest_at,
            watched_since=self.watched_since,
            handoffs=self.handoffs,
            late=self.late,
            missed=self.missed,
            left=self.left,
            left_bytes=self.left_bytes,
            quiet_after_s=declared.quiet_after_s,
        )


def moment(text: str | None) -> datetime | None:
    """A time of `shares` or `listed`."""
    return datetime.fromisoformat(text) if text else None


@kept
def _figures() -> QuerySet[Store]:
    return Store.objects.defer("shares", "listed")


@kept
def _whole() -> QuerySet[Store]:
    return Store.objects.all()

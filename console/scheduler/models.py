"""What is remembered of the scheduler: the last reading whole, what is carried on, and who led when."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import models
from django.db.models import QuerySet
from pydantic import TypeAdapter, ValidationError

from console.lib.kept import kept
from console.platform.readings import SchedulerReading
from console.scheduler.rules import Memory

_readings: TypeAdapter[SchedulerReading] = TypeAdapter(SchedulerReading)
_memories: TypeAdapter[Memory] = TypeAdapter(Memory)


@dataclass(frozen=True)
class Kept:
    """The last reading, None when there never was one, and what is carried from reading to reading."""

    reading: SchedulerReading | None = None
    memory: Memory = field(default_factory=Memory)


class SnapshotQuerySet(models.QuerySet["Snapshot"]):
    def kept(self) -> Kept:
        """One query. A row that another release wrote in another shape counts as none: the next poll replaces it."""
        row = _snapshot.first()
        try:
            return Kept() if row is None else row.value()
        except ValidationError:
            return Kept()

    def keep(self, kept: Kept, as_of: datetime) -> None:
        """Remember this instead of what was."""
        self.update_or_create(
            pk=Snapshot.ONLY,
            defaults={
                "as_of": as_of,
                "reading": _readings.dump_python(kept.reading, mode="json") if kept.reading else None,
                "memory": _memories.dump_python(kept.memory, mode="json"),
            },
        )


class Snapshot(models.Model):
    """The one row: it is written and read as a whole, so it is kept as a whole."""

    ONLY = 1

    id = models.SmallIntegerField(primary_key=True, default=ONLY)
    as_of = models.DateTimeField()
    reading = models.JSONField(null=True)
    memory = models.JSONField(default=dict)

    objects = SnapshotQuerySet.as_manager()

    def __str__(self) -> str:
        return f"Airflow's scheduler at {self.as_of:%Y-%m-%d %H:%M:%S}"

    def value(self) -> Kept:
        reading = None if self.reading is None else _readings.validate_python(self.reading)
        return Kept(reading, _memories.validate_python(self.memory))


@kept
def _snapshot() -> QuerySet[Snapshot]:
    return Snapshot.objects.filter(pk=Snapshot.ONLY)


class AgentsSnapshot(models.Model):
    """The one row: what the lease store told last, as a whole."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    as_of = models.DateTimeField()
    reading = models.JSONField()

    objects: models.Manager[AgentsSnapshot] = models.Manager()

    def __str__(self) -> str:
        return f"the scheduler agents at {self.as_of:%Y-%m-%d %H:%M:%S}"


@kept
def agents_snapshot() -> QuerySet[AgentsSnapshot]:
    return AgentsSnapshot.objects.filter(pk=1)


class TakeoverQuerySet(models.QuerySet["Takeover"]):
    def since(self, start: datetime) -> list[Takeover]:
        """Those since `start`, newest first, at most 200. One query."""
        return _since(start)

    def forget(self, now: datetime) -> None:
        """Drop what is older than anything that is shown."""
        self.filter(at__lt=now - timedelta(days=Takeover.KEPT_DAYS)).delete()


class Takeover(models.Model):
    """Another scheduler led from `at` on; `gap_s` is how long nobody did (None: can't be told)."""

    KEPT_DAYS = 400

    class Kind(models.TextChoices):
        OBSERVED = "observed", "another host led, seen from outside"
        RESTART = "restart", "a new process on the same host"
        SWITCHOVER = "switchover", "planned, by an operation"
        FAILOVER = "failover", "forced, by an operation"
        AUTOMATIC = "automatic", "the standby took over by itself"

    at = models.DateTimeField(db_index=True)
    kind = models.CharField(max_length=20, choices=Kind.choices)
    from_host = models.CharField(max_length=255)
    to_host = models.CharField(max_length=255)
    gap_s = models.FloatField(null=True)
    operation = models.CharField(max_length=64, default="", blank=True)
    token = models.BigIntegerField(null=True)  # the lease's, where agents told of it
    why = models.TextField(default="", blank=True)

    objects = TakeoverQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["at", "to_host"], name="scheduler_takeover_once")]

    def __str__(self) -> str:
        return f"{self.from_host} → {self.to_host} at {self.at:%Y-%m-%d %H:%M:%S}"


@kept
def _since(start: datetime) -> QuerySet[Takeover]:
    return Takeover.objects.filter(at__gte=start).order_by("-at", "-id")[:200]

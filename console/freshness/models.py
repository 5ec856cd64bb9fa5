"""What is remembered of replication: the tasks and their heartbeats, the source databases, and one row per table."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from django.db import models
from django.db.models import F, Q

from console.freshness import records  # noqa: F401 - Django looks for an app's models from here
from console.freshness.rules import TaskFacts
from console.lib.status import Status
from console.platform.declared import TableDeclared


class Found(StrEnum):
    """What a reading of one side says of a table; "" when it does not name it."""

    SEEN = "seen"
    MISSING = "missing"
    UNREADABLE = "unreadable"


class TaskSnapshot(models.Model):
    """One declared DMS task, as DMS and CloudWatch told it last."""

    name = models.CharField(max_length=200, primary_key=True)  # as declared
    identifier = models.CharField(max_length=300)
    source = models.CharField(max_length=200)
    arn = models.CharField(max_length=300, default="", blank=True)
    status = models.CharField(max_length=40, null=True)  # None: DMS has no such task
    stop_reason = models.CharField(max_length=200, default="", blank=True)
    failure = models.TextField(default="", blank=True)
    source_latency_s = models.FloatField(null=True)
    target_latency_s = models.FloatField(null=True)
    incoming_changes = models.FloatField(null=True)
    measured_at = models.DateTimeField(null=True)
    statistics_error = models.TextField(default="", blank=True)
    as_of = models.DateTimeField()

    objects: ClassVar[models.Manager[TaskSnapshot]] = models.Manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def facts(self) -> TaskFacts:
        return TaskFacts(
            identifier=self.identifier,
            status=self.status,
            stop_reason=self.stop_reason,
            failure=self.failure,
            source_latency_s=self.source_latency_s,
            target_latency_s=self.target_latency_s,
            measured_at=self.measured_at,
            statistics_error=self.statistics_error,
        )


class OriginSnapshot(models.Model):
    """One source database: when it was last read, and why not since."""

    name = models.CharField(max_length=200, primary_key=True)
    as_of = models.DateTimeField(null=True)  # of the last good reading, on the console's clock
    server_at = models.DateTimeField(null=True)  # the same moment on the source's own clock
    failing_since = models.DateTimeField(null=True)
    error = models.TextField(default="", blank=True)
    remedy = models.TextField(default="", blank=True)

    objects: ClassVar[models.Manager[OriginSnapshot]] = models.Manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def clock_ahead_s(self) -> float:
        if self.as_of is None or self.server_at is None:
            return 0.0
        return (self.server_at - self.as_of).total_seconds()


class TableQuerySet(models.QuerySet["TableSnapshot"]):
    def worst_first(self) -> TableQuerySet:
        return self.order_by("-severity", F("pressure").desc(nulls_last=True), "name")

    def matching(self, text: str) -> TableQuerySet:
        """Those whose name, task or place in the warehouse holds the text, whatever its case."""
        if not text:
            return self
        return self.filter(Q(name__icontains=text) | Q(task__icontains=text) | Q(warehouse__icontains=text))


class TableSnapshot(models.Model):
    """One declared table: what DMS says of it, the newest stamps of both sides, and the last verdict.

    When each side was read is remembered once per database (`Source`, `OriginSnapshot`), not in every row: so a
    poll writes only the tables in which something changed.
    """

    name = models.CharField(max_length=400, primary_key=True)
    source = models.CharField(max_length=200)
    task = models.CharField(max_length=200)
    warehouse = models.CharField(max_length=300)
    column = models.CharField(max_length=200)
    slo_s = models.FloatField()

    # DMS' statistics
    state = models.CharField(max_length=60, null=True)
    inserts = models.BigIntegerField(null=True)
    updates = models.BigIntegerField(null=True)
    deletes = models.BigIntegerField(null=True)
    applied_inserts = models.BigIntegerField(null=True)
    applied_updates = models.BigIntegerField(null=True)
    applied_deletes = models.BigIntegerField(null=True)
    full_load_rows = models.BigIntegerField(null=True)
    full_load_started_at = models.DateTimeField(null=True)
    full_load_ended_at = models.DateTimeField(null=True)
    statistics_at = models.DateTimeField(null=True)  # when DMS refreshed them: never freshness

    # Evidence
    origin_found = models.CharField(max_length=10, default="", blank=True)  # Found: by the source's newest reading
    origin_newest_at = models.DateTimeField(null=True)
    origin_rows = models.BigIntegerField(null=True)
    arrived_found = models.CharField(max_length=10, default="", blank=True)  # Found: by the warehouse's newest reading
    arrived_newest_at = models.DateTimeField(null=True)
    arrived_rows = models.BigIntegerField(null=True)
    behind = models.BooleanField(null=True)  # None: never compared
    caught_up_at = models.DateTimeField(null=True)  # rules.CaughtUp

    # The verdict, and what lists are ordered by
    status = models.CharField(max_length=10, default=Status.UNKNOWN.value)
    word = models.CharField(max_length=20, default="unknown")
    reason = models.TextField(default="It has not been judged yet.")
    since = models.DateTimeField(null=True)  # when the word last changed
    lag_s = models.FloatField(null=True)
    pressure = models.FloatField(null=True)  # lag by SLO
    severity = models.SmallIntegerField(default=1)

    # What heartbeats prove. While `followed` the verdict above is theirs, and DMS' own figures are evidence only.
    also = models.TextField(default="", blank=True)  # further tasks, with spaces between
    lateness_s = models.FloatField(default=2.0)
    followed = models.BooleanField(default=False)  # heartbeats are written for all of its tasks
    nine = models.CharField(max_length=12, default="", blank=True)  # outlook.Nine
    tags = models.CharField(max_length=100, default="", blank=True)
    commit_at = models.DateTimeField(null=True)  # the watermarks, on the source's clock
    row_at = models.DateTimeField(null=True)
    steady = models.BooleanField(default=False)  # only then may it be called complete
    held = models.TextField(default="", blank=True)  # why the watermark stands still
    limiting = models.TextField(default="", blank=True)  # JSON
    era = models.CharField(max_length=300, default="", blank=True)  # epoch and loads of each task: proofs hold in one
    epoch = models.IntegerField(null=True)
    proof_seq = models.BigIntegerField(null=True)
    speed = models.FloatField(null=True)  # seconds of watermark per second
    bad_at = models.DateTimeField(null=True)  # when its lag was last over the SLO, or unknown: budget
    known_since = models.DateTimeField(null=True)  # when its lag was first proven: its error budget begins
    proved_at = models.DateTimeField(null=True)  # of the poll that all of this is from
    generation = models.BigIntegerField(default=0)  # of the last change
    legs = models.TextField(default="", blank=True)  # the rule's memory: JSON

    objects = TableQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def tasks(self) -> tuple[str, ...]:
        return (self.task, *self.also.split())


class Summary(models.Model):
    """One row: all tables counted, and which are worst. Triggers keep it (migration 0012): nothing here writes it."""

    tally = models.JSONField()  # [task, status, how many] of each that there is
    worst = models.JSONField()  # the first 50 names of `TableQuerySet.worst_first`
    slowest = models.JSONField(default=list)  # and of those by their lag, the longest first

    objects: ClassVar[models.Manager[Summary]] = models.Manager()

    def __str__(self) -> str:
        return f"{sum(number for _, _, number in self.tally)} tables"


class Heartbeat(models.Model):
    """One DMS task's heartbeat: as it was written at its source, and what was proven by it in the warehouse."""

    task = models.CharField(max_length=200, primary_key=True)
    source = models.CharField(max_length=200)

    # At the source: the newest that was written, and why none was since
    written_at = models.DateTimeField(null=True)  # on the console's clock
    epoch = models.IntegerField(default=0)
    seq = models.BigIntegerField(default=0)
    beat_at = models.DateTimeField(null=True)
    row_safe_before = models.DateTimeField(null=True)
    prepared_count = models.IntegerField(null=True)
    own_xid = models.BigIntegerField(null=True)
    snapshot_xmin = models.BigIntegerField(null=True)
    mark_xid = models.BigIntegerField(null=True)  # given out at the source a moment before that
    mark_at = models.DateTimeField(null=True)
    holder_pid = models.IntegerField(null=True)
    holder_user = models.CharField(max_length=200, default="", blank=True)
    holder_since = models.DateTimeField(null=True)
    blind = models.TextField(default="", blank=True)  # why nothing is known of open transactions
    error = models.TextField(default="", blank=True)
    remedy = models.TextField(default="", blank=True)

    # In the warehouse
    told_at = models.DateTimeField(null=True)  # when DMS last told its tables' states
    arrived_seq = models.BigIntegerField(null=True)  # the newest that was seen there
    arriving = models.TextField(default="", blank=True)  # why none is seen
    exceptions = models.BigIntegerField(default=0)  # statements that DMS could not apply
    commit_at = models.DateTimeField(null=True)
    row_at = models.DateTimeField(null=True)
    unsettled = models.TextField(default="", blank=True)
    track = models.TextField(default="", blank=True)  # JSON
    course = models.TextField(default="", blank=True)  # JSON

    objects: ClassVar[models.Manager[Heartbeat]] = models.Manager()

    class Meta:
        ordering = ["task"]

    def __str__(self) -> str:
        return self.task

    @property
    def ahead_s(self) -> float:
        """The source's clock less the console's."""
        if self.beat_at is None or self.written_at is None:
            return 0.0
        return (self.beat_at - self.written_at).total_seconds()


def of(table: TableDeclared) -> TableSnapshot:
    """A declared table of which nothing was read yet; not saved."""
    return TableSnapshot(
        name=table.name,
        source=table.source,
        task=table.task,
        warehouse=table.warehouse,
        column=table.column,
        slo_s=table.slo_s,
        also=" ".join(table.also),
        lateness_s=table.allowed_lateness_s,
    )


def stale(at: datetime | None, now: datetime, limit_s: float) -> bool:
    """Whether a reading of that moment (None: never) is too old to speak of now."""
    return at is None or (now - at).total_seconds() > limit_s

"""What is remembered of queues, groups, instances, workers and running tasks. The QuerySet methods are selectors."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q

from console.fleets.rules import State
from console.fleets.scaling.models import FleetBill, RunWidth, ScalingDecision, ScalingSwitch, ScheduledDag, WaitHour

__all__ = [
    "Census",
    "FleetBill",
    "GroupSnapshot",
    "Instance",
    "PastRuns",
    "QueueSnapshot",
    "RunWidth",
    "RunningTask",
    "ScalingDecision",
    "ScalingSwitch",
    "ScheduledDag",
    "WaitHour",
    "Watch",
    "Worker",
    "WorkerQuerySet",
]


class QueueSnapshot(models.Model):
    """One queue: Airflow's counts, the broker's depth, and what was made of its workers.

    Each group of figures is dated by its own source, and None where that source does not tell it (a queue beyond the
    number that is measured). Rows are written only when something in them changes.
    """

    queue = models.TextField(primary_key=True)
    first_seen_at = models.DateTimeField()
    seen_at = models.DateTimeField()  # the last time that anything named it, to ten minutes
    # Airflow
    queued = models.IntegerField(null=True)
    running = models.IntegerField(null=True)
    exact = models.BooleanField(default=True)  # False: at least that many
    oldest_queued_at = models.DateTimeField(null=True)
    backlog_since = models.DateTimeField(null=True)  # queued > 0 without interruption
    mark_at = models.DateTimeField(null=True)  # two marks of `queued`, minutes apart, to work out its pace
    mark_queued = models.IntegerField(null=True)
    prior_at = models.DateTimeField(null=True)
    prior_queued = models.IntegerField(null=True)
    # The broker
    depth = models.IntegerField(null=True)
    waiting_since = models.DateTimeField(null=True)  # depth > 0 without interruption
    mismatch_since = models.DateTimeField(null=True)  # queued and depth disagree without interruption
    # Its workers, as judged
    in_service = models.IntegerField(default=0)
    launching = models.IntegerField(default=0)
    overdue = models.IntegerField(default=0)
    quiesced = models.IntegerField(default=0)
    draining = models.IntegerField(default=0)
    stopped = models.IntegerField(default=0)
    lost = models.IntegerField(default=0)
    stuck = models.IntegerField(default=0)
    unknown = models.IntegerField(default=0)
    slots = models.IntegerField(default=0)  # of the workers in service
    active = models.IntegerField(default=0)
    reserved = models.IntegerField(default=0)
    rank = models.IntegerField(default=0)  # the verdict's severity when it was judged: the order of the list

    class Meta:
        indexes = [models.Index(fields=["-rank", "queue"], name="fleets_queue_order")]

    def __str__(self) -> str:
        return self.queue


class GroupSnapshot(models.Model):
    """One declared Auto Scaling Group. `present` False: it was asked for and does not exist."""

    name = models.TextField(primary_key=True)
    present = models.BooleanField(default=True)
    minimum = models.IntegerField(null=True)
    maximum = models.IntegerField(null=True)
    desired = models.IntegerField(null=True)
    version = models.TextField(default="", blank=True)  # what it would launch now
    desired_changed_at = models.DateTimeField(null=True)
    as_of = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class Instance(models.Model):
    """One EC2 instance of a declared group, also for a week after it is gone."""

    instance_id = models.CharField(max_length=64, primary_key=True)
    group = models.TextField(db_index=True)
    lifecycle = models.CharField(max_length=40)
    health = models.CharField(max_length=40, default="", blank=True)
    zone = models.CharField(max_length=64, default="", blank=True)
    instance_type = models.CharField(max_length=64, default="", blank=True)
    version = models.TextField(default="", blank=True)  # of the launch template, as launched
    protected = models.BooleanField(default=False)
    launched_at = models.DateTimeField(null=True)
    private_ip = models.CharField(max_length=64, default="", blank=True)
    first_seen_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)  # when it was first missing from its group, or Terminated

    def __str__(self) -> str:
        return self.instance_id


class WorkerQuerySet(models.QuerySet["Worker"]):
    def listed(self) -> WorkerQuerySet:
        """Those that are shown: not archived."""
        return self.filter(archived_at=None)

    def serving(self, queue: str) -> WorkerQuerySet:
        """Those of one queue: at home there, or consuming it beside another."""
        return self.listed().filter(serves__contains=[queue])

    def matching(self, words: str) -> WorkerQuerySet:
        """Those whose name, instance, zone, version or state holds every word."""
        found = self
        for word in words.split()[:5]:
            found = found.filter(
                Q(node__icontains=word)
                | Q(instance_id__icontains=word)
                | Q(zone__icontains=word)
                | Q(version__icontains=word)
                | Q(state__icontains=word.replace(" ", "_"))
            )
        return found


class Worker(models.Model):
    """One Celery worker, or the instance from which one is expected (`seen_at` and `answered_at` then are None).

    The watcher writes the heartbeat's columns, the inspection its own, the judge state and archive; none of the
    columns that a heartbeat changes is indexed, so that PostgreSQL updates them in place.
    """

    node = models.TextField(primary_key=True)  # celery@i-0abc…
    host = models.TextField(default="", blank=True)
    host_key = models.TextField(default="", blank=True)  # joins Airflow's hostname
    instance_id = models.TextField(default="", blank=True)  # "": no instance is known
    zone = models.CharField(max_length=64, default="", blank=True)
    version = models.TextField(default="", blank=True)
    home = models.TextField(default="", blank=True)  # its group's queue, else the first it consumed; "": not known yet
    serves = ArrayField(models.TextField(), default=list)  # home and whatever it consumed last
    first_seen_at = models.DateTimeField()
    # heartbeats
    seen_at = models.DateTimeField(null=True)
    goodbye_at = models.DateTimeField(null=True)
    pid = models.IntegerField(null=True)
    active = models.IntegerField(null=True)
    processed = models.BigIntegerField(null=True)
    load1 = models.FloatField(null=True)
    progress_at = models.DateTimeField(null=True)  # when active or processed last changed
    # inspection
    asked_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    unanswered = models.IntegerField(default=0)  # in a row, while others answered
    answered_pid = models.IntegerField(null=True)
    consumes = ArrayField(models.TextField(), null=True)
    slots = models.IntegerField(null=True)  # its concurrency
    reserved = models.IntegerField(null=True)
    # the judgement
    state = models.CharField(max_length=12, choices=[(state.value, state.value) for state in State])
    state_since = models.DateTimeField()
    reason = models.TextField(default="", blank=True)
    overdue = models.BooleanField(default=False)
    served_at = models.DateTimeField(null=True)  # when it was first in service, if its launch was watched
    archived_at = models.DateTimeField(null=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        indexes = [
            GinIndex(fields=["serves"], name="fleets_worker_serves"),
            models.Index(fields=["host_key"], name="fleets_worker_host"),
            models.Index(fields=["instance_id"], name="fleets_worker_instance"),
            models.Index(fields=["node"], condition=Q(archived_at=None), name="fleets_worker_listed"),
        ]

    def __str__(self) -> str:
        return self.node


class Census(models.Model):
    """The workers of a queue ("": all) by zone, release and state, as the judge counted them (`console.fleets.census`).

    `counts` are [zone, version, state, workers, slots]. `as_of` is when they changed; of "", when all were counted.
    """

    queue = models.TextField(primary_key=True)
    counts = models.JSONField()
    as_of = models.DateTimeField()

    def __str__(self) -> str:
        return self.queue or "all"


class RunningTask(models.Model):
    """One queued or running task instance, as of the last reading of Airflow (the oldest ones, up to a limit)."""

    key = models.CharField(max_length=32, primary_key=True)  # names.task_key
    dag_id = models.TextField()
    task_id = models.TextField()
    run_id = models.TextField()
    map_index = models.IntegerField(default=-1)
    try_number = models.IntegerField(null=True)
    state = models.CharField(max_length=30)
    queue = models.TextField()
    pool = models.TextField(default="", blank=True)
    hostname = models.TextField(default="", blank=True)
    host_key = models.TextField(default="", blank=True)
    queued_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["host_key", "started_at"], name="fleets_task_host"),
            models.Index(fields=["queue", "state", "queued_at"], name="fleets_task_queue"),
        ]

    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task_id}"


class PastRuns(models.Model):
    """How long a task took lately, as this console watched it run: at most `KEEP` durations in seconds, newest last."""

    KEEP = 30

    dag_id = models.TextField()
    task_id = models.TextField()
    durations_s = ArrayField(models.FloatField(), default=list)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["dag_id", "task_id"], name="fleets_past_runs_once")]

    def __str__(self) -> str:
        return f"{self.dag_id}.{self.task_id}"


class Watch(models.Model):
    """The acting watcher (one row): its lease, by the database's clock, and how well it keeps up.

    `fence` rises with every takeover; whoever writes with an older one is refused.
    """

    id = models.SmallIntegerField(primary_key=True, default=1)
    holder = models.TextField(default="", blank=True)
    fence = models.BigIntegerField(default=0)
    expires_at = models.DateTimeField(null=True)
    acquired_at = models.DateTimeField(null=True)
    # how it keeps up
    noted_at = models.DateTimeField(null=True)
    listening_since = models.DateTimeField(null=True)  # without a gap
    lag_s = models.FloatField(null=True)
    events = models.BigIntegerField(default=0)  # received by this holder
    missed = models.BigIntegerField(default=0)  # heartbeats that were due and did not come from workers still alive
    gaps = models.IntegerField(default=0)  # times that the stream broke off
    nodes = models.IntegerField(default=0)  # heard in the last half minute
    write_s = models.FloatField(null=True)  # how long the last write took

    def __str__(self) -> str:
        return f"watch {self.fence} {self.holder}"

"""Rows that the fleets' pages ask for, by querysets that are compiled once (`console.lib.kept`). One query each.

A page in its usual order is asked for so; one that is searched, filtered or turned makes its queryset by itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, F, QuerySet

from console.fleets.models import (
    FleetBill,
    GroupSnapshot,
    Instance,
    PastRuns,
    QueueSnapshot,
    RunningTask,
    ScalingDecision,
    WaitHour,
    Watch,
    Worker,
)
from console.lib.kept import kept

WORST = 6
"""Undeclared queues in the summary: the worst ones."""
PAGE = 50
WAITING_SHOWN = 8
DECISIONS_SHOWN = 7
Values = tuple[Any, ...]


def groups() -> dict[str, GroupSnapshot]:
    """All of them, by name."""
    return {row.name: row for row in _groups()}


@kept
def _groups() -> QuerySet[GroupSnapshot]:
    return GroupSnapshot.objects.all()


@kept
def queues(names: list[str]) -> QuerySet[QueueSnapshot]:
    return QueueSnapshot.objects.filter(queue__in=names)


@kept
def queue(name: str) -> QuerySet[QueueSnapshot]:
    return QueueSnapshot.objects.filter(queue=name)


@kept
def worst_others(declared: list[str]) -> QuerySet[QueueSnapshot]:
    return QueueSnapshot.objects.exclude(queue__in=declared).filter(rank__gt=1).order_by("-rank", "queue")[:WORST]


@kept
def first_others(declared: list[str]) -> QuerySet[QueueSnapshot]:
    """The first page of the queues that nobody declared, the worst first, then those with most outstanding."""
    rows = QueueSnapshot.objects.exclude(queue__in=declared)
    return rows.order_by(F("rank").desc(), F("queued").desc(nulls_last=True), F("queue").asc())[:PAGE]


@kept
def longest_waiting() -> QuerySet[RunningTask, Values]:
    """The one task that waits longest: DAG, task, queue, since when."""
    rows = RunningTask.objects.filter(state="queued").order_by(F("queued_at").asc(nulls_last=True), "key")
    return rows.values_list("dag_id", "task_id", "queue", "queued_at")[:1]


@kept
def instances_by_group() -> QuerySet[Instance, Values]:
    rows: QuerySet[Instance, Values] = Instance.objects.filter(gone_at=None).order_by().values_list("group")
    return rows.annotate(number=Count("instance_id"))


@kept
def watch() -> QuerySet[Watch]:
    return Watch.objects.order_by("pk")[:1]


@kept
def waiting(queue: str) -> QuerySet[RunningTask, Values]:
    """Those that wait longest in a queue: DAG, task, run, pool, since when."""
    rows = RunningTask.objects.filter(queue=queue, state="queued").order_by(F("queued_at").asc(nulls_last=True), "key")
    return rows.values_list("dag_id", "task_id", "run_id", "pool", "queued_at")[:WAITING_SHOWN]


@kept
def first_workers(queues: list[str]) -> QuerySet[Worker]:
    """The first page of those that serve all of these queues, by name."""
    return Worker.objects.listed().filter(serves__contains=queues).order_by("node")[:PAGE]


@kept
def worker(node: str) -> QuerySet[Worker]:
    return Worker.objects.filter(node=node)


@kept
def instances(ids: list[str]) -> QuerySet[Instance, Values]:
    """Identity, lifecycle, since when, until when."""
    rows = Instance.objects.filter(instance_id__in=ids)
    return rows.values_list("instance_id", "lifecycle", "launched_at", "gone_at")


@kept
def tasks_on(hosts: list[str]) -> QuerySet[RunningTask, Values]:
    """What runs on these hosts, the oldest first: the host's key, then what tells of a task."""
    rows = RunningTask.objects.filter(state="running", host_key__in=hosts)
    return rows.order_by(F("started_at").asc(nulls_last=True), "key").values_list(
        "host_key", "dag_id", "task_id", "run_id", "map_index", "try_number", "pool", "started_at"
    )


@kept
def past_runs(dags: list[str], tasks: list[str]) -> QuerySet[PastRuns, Values]:
    """DAG, task, durations; also of pairs that nobody asked for."""
    rows = PastRuns.objects.filter(dag_id__in=dags, task_id__in=tasks)
    return rows.values_list("dag_id", "task_id", "durations_s")


@kept
def news(queue: str) -> QuerySet[ScalingDecision]:
    """The last decisions that said something new."""
    return ScalingDecision.objects.filter(queue=queue, news=True).order_by("-at", "-pk")[:DECISIONS_SHOWN]


@kept
def bills(queue: str) -> QuerySet[FleetBill, Values]:
    return FleetBill.objects.filter(queue=queue).values_list("period", "figures", "as_of")


@kept
def waits(queue: str, since: datetime) -> QuerySet[WaitHour, Values]:
    """Hours after `since`: when each began, its buckets, how many were late."""
    return WaitHour.objects.filter(queue=queue, hour__gt=since).values_list("hour", "counts", "late")

"""What is seen for scaling alone: schedules, and how many tasks a scheduled run brings at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db.models import Q

from console.fleets.models import RunWidth, ScheduledDag
from console.fleets.names import kept
from console.platform.readings import TaskInstance, UpcomingRun

DAGS_LIMIT = 2000
WIDE_S = 60.0
"""What a run brings at once is what it has queued or running within so long after it was first seen."""
SCHEDULED = "scheduled__"


def save_schedules(reading: Sequence[UpcomingRun], at: datetime) -> None:
    """The table holds exactly the DAGs that have a next run."""
    now = {kept(run.dag_id): run.at for run in reading}
    rows = [ScheduledDag(dag_id=dag_id, next_at=next_at) for dag_id, next_at in sorted(now.items())]
    ScheduledDag.objects.bulk_create(rows, update_conflicts=True, unique_fields=["dag_id"], update_fields=["next_at"])
    ScheduledDag.objects.exclude(dag_id__in=list(now)).delete()


def save_widths(instances: Sequence[TaskInstance], at: datetime) -> None:
    """The most tasks that each scheduled run had in each queue within its first minute. No query without any."""
    wide: Counter[tuple[str, str, str]] = Counter()
    for task in instances:
        it = task.identity
        if it.run_id.startswith(SCHEDULED) and task.state in ("queued", "running"):
            wide[kept(it.dag_id), kept(task.queue), kept(it.run_id)] += 1
    if not wide:
        return
    runs = {run_id for _, _, run_id in wide}
    dags = {dag_id for dag_id, _, _ in wide}
    rows = RunWidth.objects.filter(run_id__in=runs, dag_id__in=dags)
    known = {(row.dag_id, row.queue, row.run_id): row for row in rows}
    changed, new = [], []
    for key, width in sorted(wide.items()):
        row = known.get(key)
        if row is None:
            new.append(RunWidth(dag_id=key[0], queue=key[1], run_id=key[2], width=width, first_seen_at=at))
        elif width > row.width and at - row.first_seen_at <= timedelta(seconds=WIDE_S):
            row.width = width
            changed.append(row)
    RunWidth.objects.bulk_create(new, ignore_conflicts=True)
    RunWidth.objects.bulk_update(changed, ["width"])
    if new:
        _forget_old({(row.dag_id, row.queue) for row in new})


def _forget_old(pairs: set[tuple[str, str]]) -> None:
    """Only the newest runs of a DAG tell what the next one brings."""
    wanted = Q()
    for dag_id, queue in pairs:
        wanted |= Q(dag_id=dag_id, queue=queue)
    seen: Counter[tuple[str, str]] = Counter()
    old = []
    for row in RunWidth.objects.filter(wanted).order_by("-first_seen_at", "-pk"):
        seen[row.dag_id, row.queue] += 1
        if seen[row.dag_id, row.queue] > RunWidth.KEEP:
            old.append(row.pk)
    if old:
        RunWidth.objects.filter(pk__in=old).delete()

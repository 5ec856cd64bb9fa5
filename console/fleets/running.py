"""What runs where: the running task instances, kept in step with Airflow's, and how long tasks took before."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from django.db.models import Q

from console.fleets import rows as ask
from console.fleets.models import PastRuns, RunningTask
from console.fleets.names import host_key, kept, task_key
from console.fleets.scaling.poll import save_widths
from console.platform.readings import TaskInstance, TasksReading

PAST_KEPT = timedelta(days=60)
_FIELDS = [field.name for field in RunningTask._meta.concrete_fields if not field.primary_key]


def save_instances(reading: TasksReading, at: datetime) -> None:
    """The table holds exactly the instances of this reading. Those that ended add to the past runs of their task."""
    now = {row.key: row for row in map(_row, reading.instances)}
    before = RunningTask.objects.in_bulk()
    changed = [row for key, row in sorted(now.items()) if key not in before or _content(row) != _content(before[key])]
    RunningTask.objects.bulk_create(changed, update_conflicts=True, unique_fields=["key"], update_fields=_FIELDS)
    gone = [row for key, row in before.items() if key not in now]
    if gone:
        RunningTask.objects.filter(key__in=[row.key for row in gone]).delete()
    if reading.complete:  # else one may only have slipped below the limit
        remember_ends([row for row in gone if row.state == "running"], at)
    save_widths(reading.instances, at)


def _row(task: TaskInstance) -> RunningTask:
    it = task.identity
    return RunningTask(
        key=task_key(it.dag_id, it.task_id, it.run_id, it.map_index),
        dag_id=kept(it.dag_id),
        task_id=kept(it.task_id),
        run_id=kept(it.run_id),
        map_index=it.map_index,
        try_number=it.try_number,
        state=task.state[:30],
        queue=kept(task.queue),
        pool=kept(task.pool),
        hostname=kept(task.hostname or ""),
        host_key=kept(host_key(task.hostname)),
        queued_at=task.queued_at,
        started_at=task.started_at,
    )


def _content(row: RunningTask) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _FIELDS)


def remember_ends(ended: Iterable[RunningTask], at: datetime) -> None:
    """Their durations, to the length of a poll. Whether they succeeded is not known here, and is not claimed."""
    took: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in ended:
        if row.started_at and row.started_at < at:
            took[row.dag_id, row.task_id].append((at - row.started_at).total_seconds())
    if not took:
        return
    wanted = Q()
    for dag_id, task_id in took:
        wanted |= Q(dag_id=dag_id, task_id=task_id)
    known = {(row.dag_id, row.task_id): row for row in PastRuns.objects.filter(wanted)}
    rows = []
    for (dag_id, task_id), durations_s in sorted(took.items()):
        past = known.get((dag_id, task_id)) or PastRuns(dag_id=dag_id, task_id=task_id)
        past.durations_s = [*past.durations_s, *durations_s][-PastRuns.KEEP :]
        past.updated_at = at
        rows.append(past)
    PastRuns.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["dag_id", "task_id"],
        update_fields=["durations_s", "updated_at"],
    )


def forget_past_runs(now: datetime) -> None:
    """Tasks that have not run for two months."""
    PastRuns.objects.filter(updated_at__lt=now - PAST_KEPT).delete()


class Expected(NamedTuple):
    """When a running task should end. `likely` and `at_worst` are None where no past run is known."""

    likely: datetime | None
    at_worst: datetime | None
    runs: int
    late: bool  # it runs longer than nine in ten of its past runs


def expected_end(started_at: datetime | None, past_s: list[float], now: datetime) -> Expected:
    """From the past runs that took longer than this one has by now: of them the median, and nine in ten.

    Once it has outlasted them all there is nothing left to say: `late`, and no time.
    """
    if started_at is None or not past_s:
        return Expected(None, None, len(past_s), False)
    ran_s = (now - started_at).total_seconds()
    ordered = sorted(past_s)
    longer = ordered[bisect_right(ordered, ran_s) :]
    if not longer:
        return Expected(None, None, len(past_s), True)
    late = len(ordered) > 1 and ran_s > _nine_in_ten(ordered)
    likely = started_at + timedelta(seconds=median(longer))
    return Expected(likely, started_at + timedelta(seconds=_nine_in_ten(longer)), len(past_s), late)


def _nine_in_ten(ordered: Sequence[float]) -> float:
    """`statistics.quantiles(…, n=10, method="inclusive")[-1]` of sorted values, without the other eight: it is asked
    for each task on a page."""
    whole, tenths = divmod(9 * (len(ordered) - 1), 10)
    rest = ordered[whole + 1] - ordered[whole] if tenths else 0.0
    return ordered[whole] + rest * tenths / 10


def past_runs(pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], list[float]]:
    """The durations of some tasks, in one query."""
    wanted = set(pairs)
    if not wanted:
        return {}
    rows = ask.past_runs(list({dag_id for dag_id, _ in wanted}), list({task_id for _, task_id in wanted}))
    return {(dag_id, task_id): took_s for dag_id, task_id, took_s in rows if (dag_id, task_id) in wanted}

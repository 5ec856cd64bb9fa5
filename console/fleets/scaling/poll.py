"""What is seen for scaling alone: schedules, and how many tasks a scheduled run brings at once."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from console.fleets.models import RunWidth, ScheduledDag, WaitHour
from console.fleets.names import kept, series_name
from console.fleets.scaling.waits import added, counts, percentile_s
from console.fleets.sources import SCHEDULES
from console.history import series
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.ports import AirflowPort
from console.platform.readings import TaskInstance, UpcomingRun

DAGS_LIMIT = 2000
STARTED_LIMIT = 1000
"""Of more starts in a minute the first ones are measured."""
WAITS_KEPT = timedelta(days=30)
WIDE_S = 60.0
"""What a run brings at once is what it has queued or running within so long after it was first seen."""
SCHEDULED = "scheduled__"


def save_schedules(reading: Sequence[UpcomingRun], at: datetime) -> None:
    """The table holds exactly the DAGs that have a next run."""
    now = {kept(run.dag_id): run.at for run in reading}
    rows = [ScheduledDag(dag_id=dag_id, next_at=next_at) for dag_id, next_at in sorted(now.items())]
    ScheduledDag.objects.bulk_create(rows, update_conflicts=True, unique_fields=["dag_id"], update_fields=["next_at"])
    ScheduledDag.objects.exclude(dag_id__in=list(now)).delete()


@dataclass(frozen=True)
class SchedulesReading:
    """The next runs, and the tasks that started since the last reading."""

    upcoming: tuple[UpcomingRun, ...]
    started: tuple[TaskInstance, ...]


def read(airflow: AirflowPort, now: datetime) -> SchedulesReading:
    """Both in a row. What started is read from where the last good reading began, an hour back at most."""
    last = Source.objects.sights(now, (SCHEDULES,))[SCHEDULES.name].as_of
    since = max(last or now - timedelta(seconds=SCHEDULES.interval_s), now - timedelta(hours=1))
    return SchedulesReading(
        airflow.upcoming(limit=DAGS_LIMIT),
        tuple(
            task for task in airflow.started(since, limit=STARTED_LIMIT) if task.started_at and task.started_at < now
        ),
    )


def save(reading: SchedulesReading, at: datetime) -> None:
    save_schedules(reading.upcoming, at)
    save_waits(reading.started, at)


def save_waits(started: Sequence[TaskInstance], at: datetime) -> None:
    """The waits of these tasks into the hour's buckets, and the minute's percentiles into their time series."""
    waits: dict[str, list[float]] = defaultdict(list)
    for task in started:
        if task.queued_at and task.started_at:
            waits[kept(task.queue)].append(max(0.0, (task.started_at - task.queued_at).total_seconds()))
    hour = at.replace(minute=0, second=0, microsecond=0)
    rows = {row.queue: row for row in WaitHour.objects.filter(hour=hour, queue__in=list(waits))}
    samples: list[series.Sample] = []
    for queue, found_s in sorted(waits.items()):
        fleet = declaration().fleet(queue)
        if fleet is None:
            continue
        found, target_s = counts(found_s), fleet.autoscaling.target_wait_s
        late = sum(1 for wait_s in found_s if wait_s > target_s)
        row = rows.get(queue) or WaitHour(queue=queue, hour=hour, counts=[0] * len(found))
        row.counts, row.late = added(row.counts, found), row.late + late
        row.save()
        samples.extend((series_name(queue, f"wait_p{each}_s"), percentile_s(found, each)) for each in (50, 95))
    series.record(samples, at)
    WaitHour.objects.filter(hour__lt=at - WAITS_KEPT).delete()


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

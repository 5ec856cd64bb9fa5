"""What the heartbeats prove: tracks, watermarks and verdicts after each poll, in a bounded number of statements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from console.freshness import cutoffs, minutes, store
from console.freshness.follow import (
    Judge,
    Judged,
    TableSight,
    TaskPace,
    TaskSight,
    on,
    pace,
)
from console.freshness.judge import SEVERITY, VERDICT, write
from console.freshness.minutes import minute_of
from console.freshness.models import Heartbeat, TableSnapshot
from console.freshness.outlook import STATUS, Cutoff, Holder, Nine
from console.freshness.poll import TaskResult, read_replication
from console.freshness.records import TableEvent, next_generation
from console.freshness.watermark import Beat, Condition, Leg, mark, see, see_source
from console.lib.words import count
from console.platform.declared import Declaration, TaskDeclared
from console.platform.models import Source, remember_failure, remember_success
from console.platform.ports import ArrivalsPort, PlatformError, ReplicationPort
from console.platform.readings import ArrivalsReading, BeatReading, TableStatistics
from console.platform.sources import ARRIVALS

LIMIT_S = ARRIVALS.limit_s
_PROVEN = [
    "followed",
    "nine",
    "tags",
    "commit_at",
    "row_at",
    "steady",
    "held",
    "limiting",
    "era",
    "epoch",
    "proof_seq",
    "speed",
    "proved_at",
    "bad_at",
    "known_since",
    "generation",
    "legs",
]
_ARRIVED = [
    "told_at",
    "arrived_seq",
    "arriving",
    "exceptions",
    "commit_at",
    "row_at",
    "unsettled",
    "track",
    "course",
]


# --- Reading -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Look:
    """One poll: in which runs the tasks were before it, the heartbeats then, and DMS' word afterwards."""

    results: tuple[TaskResult, ...]
    runs: Mapping[str, str]  # by identifier
    arrivals: ArrivalsReading | None
    error: PlatformError | None = None


def look(
    dms: ReplicationPort,
    warehouse: Callable[[], ArrivalsPort],
    declared: Declaration,
    names: Mapping[str, str],
    now: datetime,
) -> Look:
    """The order matters: DMS' word on a table counts only when it is no older than the heartbeat that was read.

    `names`: the tasks' ARNs as far as they are known. Raises PlatformError when DMS can't be read; that the warehouse
    can't is told in the answer.
    """
    runs = dms.runs([task.identifier for task in declared.tasks])
    arrivals, error = None, None
    try:
        arrivals = warehouse().arrivals([_asked(task, names.get(task.name, "")) for task in declared.tasks])
    except PlatformError as failure:
        error = failure
    return Look(read_replication(dms, declared.tasks, now), runs, arrivals, error)


def _asked(task: TaskDeclared, arn: str) -> tuple[str, str, str, str, tuple[str, ...]]:
    names = (task.identifier, *([arn.rsplit(":", 1)[-1]] if arn else []))
    return task.source, task.name, task.beats_arrive, task.control_schema, names


# --- Saving --------------------------------------------------------------------------------------------------------


def save(found: Look, rows: Sequence[TableSnapshot], as_of: datetime) -> None:
    """Follow every task and judge every table whose heartbeats are written. `rows`: all tables, as just saved."""
    _remember(found, as_of)
    sight = Source.objects.sights(as_of, [ARRIVALS])[ARRIVALS.name]
    known = {heartbeat.task: heartbeat for heartbeat in Heartbeat.objects.all()}
    paces: dict[str, TaskPace] = {}
    kept = []
    for result in found.results:
        task = result.declared
        heartbeat = known.get(task.name) or Heartbeat(task=task.name, source=task.source)
        kept.append(heartbeat)
        paces[task.name] = pace(_follow(heartbeat, task, result, found, as_of), as_of)
    Heartbeat.objects.bulk_create(kept, update_conflicts=True, unique_fields=["task"], update_fields=_ARRIVED)
    Heartbeat.objects.exclude(task__in=[heartbeat.task for heartbeat in kept]).delete()
    _judge(rows, found, {h.task for h in kept if h.seq}, paces, sight.age_s, as_of)


def _remember(found: Look, as_of: datetime) -> None:
    if found.arrivals is not None:
        remember_success(ARRIVALS.name, as_of, found.arrivals.wait_s)
    elif found.error is not None:
        error = found.error
        remember_failure(ARRIVALS.name, as_of, 0.0, error=error.message, code=error.code, remedy=error.remedy)


def _follow(heartbeat: Heartbeat, task: TaskDeclared, result: TaskResult, found: Look, as_of: datetime) -> TaskSight:
    """One task's track and course, noted in its row."""
    track, course = store.load_track(heartbeat.track), store.load_course(heartbeat.course)
    written = _written(heartbeat)
    if written is not None:
        track = mark(see_source(track, written), heartbeat.mark_xid, heartbeat.mark_at)
    reading = result.reading
    if found.arrivals is not None:
        beat = next((beat for beat in found.arrivals.beats if beat.task == task.name), None)
        run = reading.run if reading else ""
        # One that was stopped or started meanwhile shows nothing that counts.
        if run and found.runs.get(task.identifier) == run:
            track = see(track, _beat(beat) if beat else None, run, overlap=task.overlap)
        course = on(course, track, as_of, LIMIT_S)
        heartbeat.arrived_seq = beat.seq if beat else None
        missing = task.name in found.arrivals.missing
        heartbeat.arriving = (
            f"the heartbeat table {task.beats_arrive} is not in the warehouse"
            if missing
            else ("" if beat else f"no heartbeat has arrived in {task.beats_arrive} yet")
        )
        heartbeat.exceptions = dict(found.arrivals.exceptions).get(task.name, 0)
    if reading is not None and not result.error:
        heartbeat.told_at = as_of
    heartbeat.commit_at, heartbeat.row_at, heartbeat.unsettled = track.commit_at, track.row_at, track.unsettled
    heartbeat.track, heartbeat.course = store.dump_track(track), store.dump_course(course)
    return TaskSight(
        name=task.name,
        track=track,
        course=course,
        status=reading.status if reading else None,
        stop_reason=(reading.stop_reason or "") if reading else "",
        told_age_s=_age(heartbeat.told_at, as_of),
        beat_age_s=_age(heartbeat.written_at, as_of),
        ahead_s=heartbeat.ahead_s,
        holder=Holder(heartbeat.holder_pid, heartbeat.holder_user, heartbeat.holder_since)
        if heartbeat.holder_pid is not None and heartbeat.holder_since is not None
        else None,
        prepared=heartbeat.prepared_count or 0,
        writer=". ".join(filter(None, (heartbeat.error.rstrip("."), heartbeat.remedy))),
        blind=heartbeat.blind,
        arriving=heartbeat.arriving,
        overlap=task.overlap,
        batch_s=task.batch_s,
    )


def _age(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def _written(heartbeat: Heartbeat) -> Beat | None:
    if not heartbeat.seq or heartbeat.beat_at is None:
        return None
    return Beat(
        heartbeat.epoch,
        heartbeat.seq,
        heartbeat.beat_at,
        heartbeat.row_safe_before,
        heartbeat.prepared_count,
        heartbeat.own_xid,
        heartbeat.snapshot_xmin,
    )


def _beat(beat: BeatReading) -> Beat:
    return Beat(beat.epoch, beat.seq, beat.beat_at, beat.row_safe_before, beat.prepared_count, beat.own_xid, beat.xmin)


def _judge(
    rows: Sequence[TableSnapshot],
    found: Look,
    beating: set[str],
    paces: Mapping[str, TaskPace],
    warehouse_age_s: float | None,
    now: datetime,
) -> None:
    conditions = _conditions(found)
    told = {result.declared.name for result in found.results if result.reading is not None and not result.error}
    wanted = cutoffs.waiting(now)
    changed: list[TableSnapshot] = []
    events: list[TableEvent] = []
    revoked: list[tuple[TableSnapshot, str]] = []
    late: list[str] = []
    judge = Judge(paces, now, warehouse_age_s, ARRIVALS.interval_s)
    number = next_generation()
    for row in rows:
        tasks = row.tasks
        if not all(task in beating and task in paces for task in tasks):
            if row.known_since is not None:
                late.append(row.name)
            if row.followed:
                row.followed, row.nine, row.steady, row.generation = False, "", False, number
                changed.append(row)
            continue
        table = TableSight(
            name=row.name,
            slo_s=row.slo_s,
            lateness_s=row.lateness_s,
            legs=store.load_legs(row.legs, tasks),
            conditions={task: conditions.get((task, row.name)) for task in tasks if task in told},
            cutoffs=[Cutoff(cutoff.at, cutoff.deadline) for cutoff in wanted.get(row.name, ())],
        )
        legs, verdict = judge(table)
        nine, era, bad_at = row.nine, row.era, row.bad_at
        _take(row, legs, verdict, number, now)
        if row.bad_at == now and row.known_since and (bad_at is None or minute_of(bad_at) < minute_of(now)):
            late.append(row.name)
        changed.append(row)
        if row.nine != nine:
            text = f"{nine or 'not followed'} → {row.nine}. {row.reason}"
            events.append(TableEvent(table=row.name, at=now, generation=number, kind="status", text=text))
        if era and row.era != era:
            revoked.append((row, era))
    write(changed, _PROVEN, VERDICT)
    minutes.note(late, now)
    events += _revoke(revoked, number, now)
    events += cutoffs.settle(wanted, rows, number, now)
    TableEvent.objects.bulk_create(events)


def _conditions(found: Look) -> dict[tuple[str, str], Condition]:
    """DMS' word on each table of each task, with what its control table says of suspensions."""
    suspended: dict[tuple[str, str, str], datetime] = {}
    if found.arrivals is not None:
        suspended = {(row.task, row.schema, row.table): row.at for row in found.arrivals.suspended}
    conditions = {}
    for result in found.results:
        for table in result.statistics:
            key = (result.declared.name, f"{result.declared.source}.{table.schema}.{table.table}")
            conditions[key] = _condition(table, suspended.get((result.declared.name, table.schema, table.table)))
    return conditions


def _condition(table: TableStatistics, suspended_at: datetime | None) -> Condition:
    return Condition(table.state, table.full_load_ended_at, suspended_at)


def _take(row: TableSnapshot, legs: Mapping[str, Leg], verdict: Judged, number: int, now: datetime) -> None:
    """Note it in the row."""
    nine = verdict.outlook.nine
    if row.nine != nine or row.since is None or not row.followed:
        row.since = now
    row.followed = True
    row.proved_at, row.generation = now, number
    row.nine, row.tags = nine.value, " ".join(verdict.outlook.tags)
    row.word = nine.value.lower().replace("_", " ")
    status = STATUS[nine]
    row.status, row.severity, row.reason = status.value, SEVERITY[status], verdict.outlook.reason
    row.lag_s = None if nine == Nine.UNKNOWN else verdict.row_lag_s
    if row.lag_s is None or row.lag_s > row.slo_s:
        row.bad_at = now
    if row.lag_s is not None and row.known_since is None:
        row.known_since = now
    row.pressure = None if row.lag_s is None else row.lag_s / row.slo_s
    row.commit_at, row.row_at = verdict.commit.at, verdict.row.at
    row.steady, row.held = verdict.row.steady, verdict.row.held
    row.limiting = verdict.limiting
    row.era, row.epoch = verdict.era, verdict.epoch
    row.proof_seq, row.speed = verdict.proof_seq, verdict.speed
    row.legs = store.dump_legs(legs)


def _revoke(found: Sequence[tuple[TableSnapshot, str]], number: int, now: datetime) -> list[TableEvent]:
    """What was proven in an earlier era of a table is not any more."""
    if not found:
        return []
    names = [row.name for row, _ in found]
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE freshness_proof AS p SET revoked_at = %s FROM unnest(%s::text[], %s::text[]) AS now(name, era)"
            ' WHERE p."table" = now.name AND p.era <> now.era AND p.revoked_at IS NULL RETURNING p."table"',
            [now, names, [row.era for row, _ in found]],
        )
        counts = Counter(name for (name,) in cursor.fetchall())
    return [
        TableEvent(
            table=row.name,
            at=now,
            generation=number,
            kind="revoked",
            text=f"{_why(row, era)}: {count(counts[row.name], 'proof')} of completeness revoked.",
        )
        for row, era in found
    ]


def _why(row: TableSnapshot, era: str) -> str:
    before, after = era.split(","), row.era.split(",")
    if [part.split(".")[0] for part in before] != [part.split(".")[0] for part in after]:
        return f"The source's epoch is {row.epoch} now"
    return "The table is loaded anew"

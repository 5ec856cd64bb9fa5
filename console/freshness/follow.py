"""One poll's step: each task's track and each table's legs go on, and every table gets its verdict. Pure.

What belongs to a task (its watermark's course, its slopes, its source's heartbeat) is worked out once per task: tables
are many, and those of a task share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from console.freshness.outlook import Cutoff, Forecast, Holder, Nine, Outlook, Seen, eta, outlook, slope
from console.freshness.watermark import BARRIER, Basis, Condition, Leg, TaskTrack, Watermark, advance, watermark

SHORT_S, LONG_S, WINDOW_S = 900.0, 3600.0, 120.0
POINT_S = 9.0
"""Points of a course lie at least so far apart."""
PLANNED_STOPS = ("RECONFIGURATION_RESTART", "RECYCLE_TASK")
STOPPED = {"stopped", "failed", "failed-move", "deleting"}


@dataclass(frozen=True)
class Point:
    """The watermarks of a task, as they were proven at `seen_at` (the console's clock)."""

    seen_at: datetime
    commit_at: datetime | None
    row_at: datetime | None


@dataclass(frozen=True)
class Course:
    """How a task's watermarks went on. `watched_since`: since when no poll was missed for long."""

    points: tuple[Point, ...] = ()
    changed_at: datetime | None = None  # when the commit watermark last grew
    watched_since: datetime | None = None
    looked_at: datetime | None = None


def on(course: Course, track: TaskTrack, now: datetime, gap_s: float) -> Course:
    """The course after a poll that could look at the warehouse; a gap of more than `gap_s` begins a new watch."""
    newest = course.points[-1] if course.points else None
    watched_since = course.watched_since
    if course.looked_at is None or watched_since is None or (now - course.looked_at).total_seconds() > gap_s:
        watched_since = now
    grown = newest is None or track.commit_at != newest.commit_at
    points = course.points
    if grown or (newest and (now - newest.seen_at).total_seconds() >= POINT_S):
        points = (*points, Point(now, track.commit_at, track.row_at))
    oldest = now - timedelta(seconds=LONG_S)
    if points and points[0].seen_at < oldest:
        points = tuple(point for point in points if point.seen_at >= oldest)
    return Course(points, now if grown else course.changed_at, watched_since, now)


@dataclass(frozen=True)
class TaskSight:
    """One DMS task and the heartbeat at its source, at this poll."""

    name: str
    track: TaskTrack
    course: Course
    status: str | None  # None: DMS has no such task
    stop_reason: str = ""
    told_age_s: float | None = None  # of its table statistics
    beat_age_s: float | None = None  # of the newest heartbeat at the source
    ahead_s: float = 0.0  # the source's clock less the console's
    holder: Holder | None = None
    prepared: int = 0
    writer: str = ""  # why no heartbeat could be written
    blind: str = ""  # why nothing is known of open transactions
    arriving: str = ""  # why its heartbeat can't be seen in the warehouse
    overlap: int = 0
    batch_s: float = 1.0

    @property
    def broken(self) -> str:
        if self.status is None:
            return f"AWS DMS has no task called {self.name}"
        planned = any(word in self.stop_reason.upper() for word in PLANNED_STOPS)
        if self.status.lower() in STOPPED and not planned:
            why = f" ({self.stop_reason})" if self.stop_reason else ""
            return f"the DMS task {self.name} is {self.status}{why}"
        return f"{self.track.unsettled}: attest to the source's state, or reload" if self.track.unsettled else ""


@dataclass(frozen=True)
class TaskPace:
    """What its tables share, worked out once: lags of the last minutes, speeds, how long it stands still."""

    sight: TaskSight
    window: tuple[float, ...] | None  # row lags, oldest first; None: it was not watched for long enough
    speed: float | None  # seconds of watermark per second: in the last minutes, the last 15, the last hour
    short: float | None
    long: float | None
    unchanged_s: float


def pace(sight: TaskSight, now: datetime) -> TaskPace:
    course = sight.course
    rows = [(point.seen_at, point.row_at) for point in course.points if point.row_at is not None]
    since = now - timedelta(seconds=WINDOW_S)
    watched = course.watched_since is not None and course.watched_since <= since
    recent = [point for point in course.points if point.seen_at >= since]
    ahead = timedelta(seconds=sight.ahead_s)
    window = None
    if watched and recent and all(point.row_at is not None for point in recent):
        window = tuple((point.seen_at + ahead - point.row_at).total_seconds() for point in recent if point.row_at)
    began = max((at for at in (course.changed_at, course.watched_since) if at is not None), default=now)
    return TaskPace(
        sight,
        window,
        slope([point for point in rows if point[0] >= since]),
        slope([point for point in rows if point[0] >= now - timedelta(seconds=SHORT_S)]),
        slope(rows),
        (now - began).total_seconds(),
    )


@dataclass(frozen=True)
class TableSight:
    """One table at this poll. `conditions` by task; a task that is not in it could not tell them."""

    name: str
    slo_s: float
    lateness_s: float
    legs: Mapping[str, Leg]
    conditions: Mapping[str, Condition | None]
    cutoffs: Sequence[Cutoff] = ()


@dataclass(frozen=True)
class Judged:
    """What is concluded of a table. Watermarks are on the source's clock, less the table's allowed lateness."""

    era: str
    epoch: int | None
    commit: Watermark
    row: Watermark
    outlook: Outlook
    row_lag_s: float | None
    limiting: str  # JSON
    speed: float | None
    forecasts: tuple[Forecast, ...]
    proof_seq: int | None


class Judge:
    """Judges the tables of one poll, each over all of its tasks. `cadence_s`: between two beats, and between two polls.

    Each table's legs are advanced; what follows from them is worked out once for all tables that are alike, which most
    tables of a task are: by then it does not matter when a table was loaded.
    """

    def __init__(
        self, tasks: Mapping[str, TaskPace], now: datetime, warehouse_age_s: float | None, cadence_s: float
    ) -> None:
        self._tasks, self._now = tasks, now
        self._warehouse_age_s, self._cadence_s = warehouse_age_s, cadence_s
        self._found: dict[tuple[object, ...], Judged] = {}

    def __call__(self, table: TableSight) -> tuple[Mapping[str, Leg], Judged]:
        """The table's legs after this poll, and its verdict."""
        legs = {
            name: advance(leg, self._tasks[name].sight.track, table.conditions[name])
            if name in table.conditions
            else replace(leg, held=leg.held or "DMS does not tell the table's state")
            for name, leg in table.legs.items()
        }
        alike = (
            table.slo_s,
            table.lateness_s,
            *table.cutoffs,
            *(
                (
                    name, leg.epoch, leg.commit_at, leg.row_at, leg.loading, leg.loads, leg.broken, leg.held,
                    name in table.conditions and table.conditions[name] is None,
                )
                for name, leg in legs.items()
            ),
        )  # fmt: skip
        found = self._found.get(alike)
        if found is None:
            found = _judged(table, legs, self._tasks, self._now, self._warehouse_age_s, self._cadence_s)
            self._found[alike] = found
        return legs, found


def _judged(
    table: TableSight,
    legs: Mapping[str, Leg],
    tasks: Mapping[str, TaskPace],
    now: datetime,
    warehouse_age_s: float | None,
    cadence_s: float,
) -> Judged:
    """Of the legs, only what `Judge` compares may count here."""
    named = list(legs.items())
    commit = watermark(named, Basis.COMMIT, allowed_lateness_s=table.lateness_s)
    row = watermark(named, Basis.ROW, allowed_lateness_s=table.lateness_s)
    limiting = tasks[row.task] if row.task in tasks else tasks[next(iter(legs))]
    sight = limiting.sight
    here = now + timedelta(seconds=sight.ahead_s)
    row_lag_s = None if row.at is None else max(0.0, (here - row.at).total_seconds())
    forecasts = tuple(
        Forecast(cutoff, eta(row.at, cutoff.at, limiting.short, now), eta(row.at, cutoff.at, limiting.long, now))
        for cutoff in table.cutoffs
        if row.at is not None and row.at < cutoff.at
    )
    seen = Seen(
        now=now,
        slo_s=table.slo_s,
        warehouse_age_s=warehouse_age_s,
        poll_s=cadence_s,
        dms_age_s=max((tasks[name].sight.told_age_s for name in legs), key=_none_last),
        broken=_broken(table, legs, tasks),
        loading=_loading(legs),
        source_beat_age_s=max((tasks[name].sight.beat_age_s for name in legs), key=_none_last),
        beat_s=cadence_s,
        unchanged_s=max(tasks[name].unchanged_s for name in legs),
        cadence_s=2 * cadence_s + sight.batch_s,
        row_lag_s=row_lag_s,
        commit_lag_s=None if commit.at is None else max(0.0, (here - commit.at).total_seconds()),
        holder=sight.holder,
        prepared=sight.prepared,
        writer=next((tasks[name].sight.writer for name in legs if tasks[name].sight.writer), ""),
        unproven=_unproven(row, sight),
        window=limiting.window,
        speed=limiting.speed,
        forecasts=forecasts,
    )
    found = outlook(seen)
    proof = sight.track.proof
    return Judged(
        era=",".join(leg.era for leg in legs.values()),
        epoch=max((leg.epoch for leg in legs.values() if leg.epoch is not None), default=None),
        commit=commit,
        row=row,
        outlook=found,
        row_lag_s=row_lag_s,
        limiting=json.dumps(_limiting(found, sight, row.at, commit.at), separators=(",", ":")),
        speed=limiting.short,
        forecasts=forecasts,
        proof_seq=proof.seq if proof else None,
    )


def _none_last(age_s: float | None) -> float:
    return float("inf") if age_s is None else age_s


def _broken(table: TableSight, legs: Mapping[str, Leg], tasks: Mapping[str, TaskPace]) -> str:
    for name, leg in legs.items():
        sight = tasks[name].sight
        if sight.broken:
            return sight.broken
        if leg.broken:
            return leg.broken
        if sight.status == "running" and name in table.conditions and table.conditions[name] is None:
            return f"the DMS task {name} does not replicate it"
    return ""


def _loading(legs: Mapping[str, Leg]) -> str:
    return next((leg.held for leg in legs.values() if leg.loading or leg.held == BARRIER), "")


def _unproven(row: Watermark, sight: TaskSight) -> str:
    why = sight.blind if sight.blind and "open" in row.held else sight.arriving or row.held
    return f"Nothing is proven: {why}." if why else ""


def _limiting(
    found: Outlook, sight: TaskSight, row_at: datetime | None, commit_at: datetime | None
) -> dict[str, object]:
    """What the watermark waits for: a task, or a transaction at its source that what was committed has passed."""
    holder = sight.holder
    holds = holder is not None and row_at is not None and commit_at is not None and row_at <= holder.since <= commit_at
    if sight.holder is not None and (holds or "HELD_BY_TXN" in found.tags):
        return {
            "kind": "transaction",
            "id": str(sight.holder.pid),
            "pid": sight.holder.pid,
            "user": sight.holder.user,
            "since": sight.holder.since.isoformat(),
            "task": sight.name,
        }
    if found.nine == Nine.WRITER_DOWN:
        return {"kind": "writer", "id": sight.name, "task": sight.name}
    return {"kind": "task", "id": sight.name, "task": sight.name}

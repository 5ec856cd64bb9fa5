"""How late each of Airflow's processes is, and which rows of its Job table still mean a process. Pure.

Airflow's processes write a heartbeat into their Job row every 5 s, with *their* clock. The console compares it with its
own, so a clock that is off would make a living scheduler look dead, or a dead one alive. Therefore two readings are
compared: a heartbeat that was not there yet at the reading before, and yet is much older than that reading, was written
by a clock that is behind. From then on what counts is when the console saw the heartbeat move, until a heartbeat looks
younger than such a clock could write: then it was not the clock, but a commit that came late.

Invariants: a process is healthy only with a sign of life younger than `LATE_S` when the reading was begun; a row that
says "running" proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.lib.status import Status
from console.lib.words import duration
from console.platform.readings import ComponentHealth, JobReading, SchedulerReading

MISSED_S = 6.0
"""One heartbeat missed."""
LATE_S = 15.0
"""Three heartbeats missed: something is wrong."""
LOST_S = 30.0
"""Airflow itself counts a scheduler as dead after this (`scheduler_health_check_threshold`)."""
GHOST_S = 300.0
"""After this the row of a killed process is history, if another one of its kind lives."""
SKEW_S = 10.0
"""Clocks that differ by less don't matter here; a slow answer of Airflow's looks like this much."""

KINDS = {"SchedulerJob": "scheduler", "TriggererJob": "triggerer", "DagProcessorJob": "dag-processor"}
COMPONENTS = {"scheduler": "scheduler", "triggerer": "triggerer", "dag_processor": "dag-processor"}
DATABASE = "metadatabase"
RUNNING = "running"


@dataclass(frozen=True)
class Pulse:
    """What is remembered of one job's heartbeat from reading to reading."""

    job: int
    heartbeat_at: datetime  # by the process' clock
    seen_at: datetime  # the reading that showed it first, by the console's clock
    skew_s: float = 0.0  # how far the process' clock is behind (ahead: negative); 0 within the tolerance


@dataclass(frozen=True)
class Process:
    """One process of Airflow. `late_s` is how old its last sign of life was when the reading was begun."""

    kind: str  # scheduler, triggerer, dag-processor, metadatabase
    host: str  # "": Airflow does not tell
    status: Status
    reason: str
    late_s: float | None  # None: no heartbeat at all
    job: int | None = None
    running: bool = True  # False: its job has ended
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None  # by its own clock
    ended_at: datetime | None = None
    skew_s: float = 0.0

    @property
    def alive(self) -> bool:
        return self.running and self.late_s is not None and self.late_s < LOST_S


def pulses(
    jobs: Iterable[JobReading], before: Iterable[Pulse], before_as_of: datetime | None, as_of: datetime
) -> tuple[Pulse, ...]:
    """The pulses after a reading begun at `as_of`, from those after the reading begun at `before_as_of`."""
    known = {pulse.job: pulse for pulse in before}
    found = []
    for job in jobs:
        if job.heartbeat_at is None:
            continue
        old = known.get(job.id)
        if old and old.heartbeat_at == job.heartbeat_at:
            found.append(old)
            continue
        skew_s = 0.0
        ahead_s = (job.heartbeat_at - as_of).total_seconds()
        behind_s = (before_as_of - job.heartbeat_at).total_seconds() if before_as_of else 0.0
        if ahead_s > SKEW_S:
            skew_s = -ahead_s
        elif behind_s > SKEW_S and old and old.heartbeat_at < job.heartbeat_at:
            skew_s = behind_s
        elif old and old.skew_s > 0 and -ahead_s <= old.skew_s + LATE_S:
            # The readings lay too far apart to tell: what was known still explains it, as far as the heartbeat looks
            # old. One stamped by a clock that is behind is never seen younger than that.
            skew_s = min(old.skew_s, -ahead_s)
            skew_s = skew_s if skew_s > SKEW_S else 0.0
        found.append(Pulse(job.id, job.heartbeat_at, as_of, skew_s))
    return tuple(found)


def process(job: JobReading, pulse: Pulse | None, as_of: datetime) -> Process:
    """The verdict on one job of a reading begun at `as_of`."""
    kind = KINDS[job.kind]
    skew_s = pulse.skew_s if pulse else 0.0
    late_s: float | None = None
    if job.heartbeat_at is not None:
        sign_of_life = pulse.seen_at if pulse and skew_s else job.heartbeat_at
        late_s = max(0.0, (as_of - sign_of_life).total_seconds())
    running = job.state == RUNNING
    if not running:
        ago = f" {duration((as_of - job.ended_at).total_seconds())} ago" if job.ended_at else ""
        how = "stopped" if job.state == "success" else f"ended as {job.state or 'unknown'}"
        status, reason = Status.FAILING, f"it {how}{ago}"
    else:
        status, reason = _lateness(late_s, skew_s)
    return Process(
        kind=kind,
        host=job.host,
        status=status,
        reason=reason,
        late_s=late_s,
        job=job.id,
        running=running,
        started_at=job.started_at,
        heartbeat_at=job.heartbeat_at,
        ended_at=job.ended_at,
        skew_s=skew_s,
    )


def _lateness(late_s: float | None, skew_s: float) -> tuple[Status, str]:
    if late_s is None:
        return Status.FAILING, "it has never sent a heartbeat"
    if late_s >= LOST_S:
        return Status.FAILING, f"no heartbeat for {duration(late_s)}"
    if late_s >= LATE_S:
        return Status.DEGRADED, f"no heartbeat for {duration(late_s)}; lost after {duration(LOST_S)}"
    if skew_s:
        direction = "behind" if skew_s > 0 else "ahead of"
        return Status.DEGRADED, f"its clock is {duration(abs(skew_s))} {direction} the console's"
    return Status.HEALTHY, f"its heartbeat was {duration(late_s)} old"


def processes(reading: SchedulerReading, known: Sequence[Pulse], as_of: datetime) -> tuple[Process, ...]:
    """Every process that a reading tells of, ghosts left out: by kind, the living first.

    Of a kind without a running process the one that ended last is left, so that its absence is seen.
    """
    by_job = {pulse.job: pulse for pulse in known}
    found: list[Process] = []
    for kind in dict.fromkeys(KINDS.values()):
        rows = [process(job, by_job.get(job.id), as_of) for job in reading.jobs if KINDS.get(job.kind) == kind]
        kept = _standing(rows)
        if not rows:
            kept = [_by_component(one, as_of) for one in reading.components if COMPONENTS.get(one.kind) == kind]
            kept = [one for one in kept if one.running or one.late_s is not None]
        found += sorted(kept, key=lambda one: (not one.alive, -_stamp(one), one.host, one.job or 0))
    found += [_by_word(one) for one in reading.components if one.kind == DATABASE]
    return tuple(found)


def _by_word(one: ComponentHealth) -> Process:
    """Airflow's metadata database: it sends no heartbeat, Airflow says whether it answers."""
    status = Status.UNKNOWN if one.status is None else Status.HEALTHY if one.status == "healthy" else Status.FAILING
    reason = "Airflow does not say how it is" if one.status is None else f"Airflow calls it {one.status}"
    return Process(kind=DATABASE, host="", status=status, reason=reason, late_s=None)


def _standing(rows: list[Process]) -> list[Process]:
    """The rows of one kind that still mean a process, or one that is missed."""
    running = [one for one in rows if one.running]
    if not running:
        return sorted(rows, key=_stamp)[-1:]
    alive = [one for one in running if one.alive and not any(_replaced(one, other) for other in running)]
    if not alive:  # all are silent: only the last of each host can be the one that is missed
        newest = {one.host: one for one in sorted(running, key=_stamp)}
        latest = max(_stamp(one) for one in running)
        return [one for one in newest.values() if latest - _stamp(one) < GHOST_S]
    hosts = {one.host for one in alive}
    missed = [one for one in running if not one.alive and one.host not in hosts]
    return alive + [one for one in missed if one.late_s is not None and one.late_s < GHOST_S]


def _replaced(one: Process, other: Process) -> bool:
    """Whether `other` began on the same host after `one`'s last heartbeat, which has missed one since."""
    if not other.alive or other.host != one.host or other.started_at is None or one.heartbeat_at is None:
        return False
    return other.started_at > one.heartbeat_at and (one.late_s or 0.0) > MISSED_S


def _stamp(one: Process) -> float:
    return one.heartbeat_at.timestamp() if one.heartbeat_at else 0.0


def _by_component(one: ComponentHealth, as_of: datetime) -> Process:
    """Where Airflow's API has no jobs (Airflow 2): by its own word, without a host."""
    late_s = max(0.0, (as_of - one.heartbeat_at).total_seconds()) if one.heartbeat_at else None
    status, reason = _lateness(late_s, 0.0)
    if status == Status.HEALTHY and one.status != "healthy":
        status, reason = Status.FAILING, f"Airflow calls it {one.status or 'unknown'}"
    return Process(
        kind=COMPONENTS[one.kind],
        host="",
        status=status,
        reason=reason,
        late_s=late_s,
        running=one.status is not None,
        heartbeat_at=one.heartbeat_at,
    )

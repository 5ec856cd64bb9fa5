"""Is a scheduler alive, who leads, who could take over, and when leadership changed. Pure.

Invariants: nothing that can't be seen is healthy; there is at most one leader, and it stays the leader while it lives,
so that two that run side by side are not taken for a takeover every few seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from console.lib.status import Status
from console.platform.readings import SchedulerReading
from console.platform.rules import Sight
from console.scheduler.heartbeats import DATABASE, LATE_S, Process, Pulse, processes, pulses
from console.scheduler.lease import UNUSED, LeaseView
from console.scheduler.verdicts import ABSENT, Candidate, Declared, Facts, verdict


@dataclass(frozen=True)
class Leading:
    """The job that was last seen to lead."""

    job: int | None
    host: str
    since: datetime
    heartbeat_at: datetime | None


@dataclass(frozen=True)
class Memory:
    """What is carried from reading to reading."""

    as_of: datetime | None = None
    leading: Leading | None = None
    pulses: tuple[Pulse, ...] = ()


@dataclass(frozen=True)
class Change:
    """Another scheduler leads. `gap_s`: how long there was none, by the schedulers' own clocks.

    `kind` is `observed` (another host), or `restart` (a new process on the same host).
    """

    at: datetime
    kind: str
    from_host: str
    to_host: str
    gap_s: float


@dataclass(frozen=True)
class Verdict:
    """The state of scheduling. `title` is a finding, `reason` a sentence, `remedy` what to do ("" when nothing)."""

    status: Status
    title: str
    reason: str
    remedy: str
    heartbeat_age_s: float | None  # of the leader, now
    leader: Process | None
    leading_since: datetime | None
    candidates: tuple[Candidate, ...]
    processes: tuple[Process, ...]  # every kind, the leader too
    rule: str = ""  # which rule said so, in a word ("lost"); "" while it can't be seen


def judge(
    reading: SchedulerReading | None,
    memory: Memory,
    declared: Declared,
    sight: Sight,
    now: datetime,
    lease: LeaseView = UNUSED,
) -> Verdict:
    """The verdict at `now`, from the last reading, how well Airflow can be seen, and what the agents tell."""
    if reading is None or memory.as_of is None or not sight.seen:
        return _unseen(declared, sight)
    found = processes(reading, memory.pulses, memory.as_of)
    schedulers = tuple(one for one in found if one.kind == "scheduler")
    leader = _leader(schedulers, declared, memory.leading)
    reading_age_s = max(0.0, (now - memory.as_of).total_seconds())
    database = next((one.status for one in reading.components if one.kind == DATABASE), None)
    facts = Facts(
        schedulers=schedulers,
        leader=leader,
        candidates=_with_agents(_candidates(reading, schedulers, leader, declared, reading_age_s, memory.as_of), lease),
        others=tuple(one for one in found if one.kind != "scheduler"),
        database=database,
        declared=declared,
        lease=lease,
    )
    name, said = verdict(facts)
    since = memory.leading.since if memory.leading and leader and memory.leading.job == leader.job else None
    return Verdict(
        status=said.status,
        title=said.title,
        reason=said.reason,
        remedy=said.remedy,
        heartbeat_age_s=leader.late_s + reading_age_s if leader and leader.late_s is not None else None,
        leader=leader,
        leading_since=since or (leader.started_at if leader else None),
        candidates=facts.candidates,
        processes=found,
        rule=name,
    )


def remember(
    memory: Memory, reading: SchedulerReading, as_of: datetime, declared: Declared
) -> tuple[Memory, Change | None]:
    """What is known after a reading begun at `as_of`, and whether another scheduler leads than before."""
    beats = pulses(reading.jobs, memory.pulses, memory.as_of, as_of)
    schedulers = tuple(one for one in processes(reading, beats, as_of) if one.kind == "scheduler")
    before, leader = memory.leading, _leader(schedulers, declared, memory.leading)
    if leader is None:
        return Memory(as_of, before, beats), None
    if before and before.job == leader.job and before.host == leader.host:
        return Memory(as_of, Leading(before.job, before.host, before.since, leader.heartbeat_at), beats), None
    began = leader.started_at or as_of
    if before is None:
        return Memory(as_of, Leading(leader.job, leader.host, began, leader.heartbeat_at), beats), None
    last = _last_sign(before, reading)
    at = max(began, last) if last else began
    change = Change(
        at=at,
        kind="restart" if before.host == leader.host else "observed",
        from_host=before.host,
        to_host=leader.host,
        gap_s=max(0.0, (began - last).total_seconds()) if last else 0.0,
    )
    return Memory(as_of, Leading(leader.job, leader.host, at, leader.heartbeat_at), beats), change


def _last_sign(before: Leading, reading: SchedulerReading) -> datetime | None:
    """When the former leader last did anything: its last heartbeat, or its clean end."""
    row = next((job for job in reading.jobs if job.id == before.job), None)
    signs = [before.heartbeat_at, row.heartbeat_at if row else None]
    if row and row.state == "success":  # a job that another one marked as failed ended earlier than that
        signs.append(row.ended_at)
    return max((sign for sign in signs if sign), default=None)


def _leader(schedulers: Sequence[Process], declared: Declared, before: Leading | None) -> Process | None:
    """The one that led and lives, else the newest heartbeat on a declared host, else the newest of all."""
    running = [one for one in schedulers if one.running]
    pool = [one for one in running if one.alive] or running
    same = [one for one in pool if before and one.job == before.job]
    at_home = [one for one in pool if one.host in declared.hosts]
    return max(same or at_home or pool, key=lambda one: (-(one.late_s or 0.0), -(one.job or 0)), default=None)


def _candidates(
    reading: SchedulerReading,
    schedulers: Sequence[Process],
    leader: Process | None,
    declared: Declared,
    reading_age_s: float,
    as_of: datetime,
) -> tuple[Candidate, ...]:
    found = []
    others = [one for one in schedulers if one.running and one is not leader]
    for one in others:
        word = "lost" if not one.alive else "late" if (one.late_s or 0.0) >= LATE_S else "running"
        age_s = one.late_s + reading_age_s if one.late_s is not None else None
        at_home = one.host in declared.hosts
        reason = one.reason if at_home or not declared.hosts else f"{one.reason}; this host is not declared"
        found.append(
            Candidate(one.host, one.host, word, word == "running", age_s, reason, at_home, one.job, one.started_at)
        )
    taken = {one.host for one in others} | ({leader.host} if leader else set())
    for host in declared.hosts:
        if host in taken:
            continue
        rows = [job for job in reading.jobs if job.host == host and job.kind == "SchedulerJob" and job.heartbeat_at]
        last = max((job.heartbeat_at for job in rows if job.heartbeat_at), default=None)
        age_s = max(0.0, (as_of - last).total_seconds()) + reading_age_s if last else None
        reason = "no scheduler runs there" if last else "no scheduler has ever been seen there"
        found.append(Candidate(host, host, ABSENT, False, age_s, reason, True))
    order = {host: place for place, host in enumerate(declared.hosts)}
    return tuple(sorted(found, key=lambda one: (order.get(one.host, len(order)), one.host, one.job or 0)))


def _with_agents(candidates: tuple[Candidate, ...], lease: LeaseView) -> tuple[Candidate, ...]:
    """A hot standby has no Job in Airflow: its agent knows whether it could lead."""
    if not lease.seen:
        return candidates
    found = []
    for one in candidates:
        agent = lease.agent(one.host)
        if one.word == ABSENT and agent is not None and agent.word != "leading":
            reason = agent.why or "its scheduler is loaded and waits"
            one = replace(one, word=agent.word, ready=agent.ready, seen_age_s=agent.seen_age_s, reason=reason)
        found.append(one)
    return tuple(found)


def _unseen(declared: Declared, sight: Sight) -> Verdict:
    hidden = tuple(
        Candidate(host, host, "unknown", None, None, "Airflow can't be seen", True) for host in declared.hosts
    )
    return Verdict(
        status=Status.UNKNOWN,
        title="Whether a scheduler runs is unknown",
        reason=f"{sight.title} can't be seen: {sight.reason or 'nothing was kept of it yet'}.",
        remedy=sight.remedy,
        heartbeat_age_s=None,
        leader=None,
        leading_since=None,
        candidates=hidden,
        processes=(),
    )

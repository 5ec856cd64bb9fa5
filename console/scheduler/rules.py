"""Is a scheduler alive, who leads, who could take over, and when leadership changed. Pure.

Invariants: nothing that can't be seen is healthy; there is at most one leader, and it stays the leader while it lives,
so that two that run side by side are not taken for a takeover every few seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from console.lib.status import Status
from console.lib.words import count, duration, listed
from console.platform.readings import SchedulerReading
from console.platform.rules import Sight
from console.scheduler.heartbeats import DATABASE, LATE_S, LOST_S, Process, Pulse, processes, pulses
from console.scheduler.lease import UNUSED, LeaseView

ABSENT = "absent"


@dataclass(frozen=True)
class Declared:
    """What `platform.yaml` says of schedulers. No hosts: nothing is known of where one may run."""

    hosts: tuple[str, ...] = ()
    active_active: bool = False


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
class Candidate:
    """A host that does not lead. `ready`: could it take over now (None: can't be seen)?"""

    name: str
    host: str
    word: str  # running, late, lost, absent, unknown; of its agent: ready, not ready, silent
    ready: bool | None
    seen_age_s: float | None  # since its last sign of life; None: never, or can't be seen
    reason: str
    declared: bool
    job: int | None = None
    started_at: datetime | None = None


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


@dataclass(frozen=True)
class _Facts:
    schedulers: tuple[Process, ...]
    leader: Process | None
    candidates: tuple[Candidate, ...]
    others: tuple[Process, ...]
    database: str | None  # Airflow's word on its metadata database
    declared: Declared
    lease: LeaseView

    @property
    def running(self) -> tuple[Process, ...]:
        return tuple(one for one in self.schedulers if one.alive)


@dataclass(frozen=True)
class _Finding:
    status: Status
    title: str
    reason: str
    remedy: str = ""


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
    facts = _Facts(
        schedulers=schedulers,
        leader=leader,
        candidates=_with_agents(_candidates(reading, schedulers, leader, declared, reading_age_s, memory.as_of), lease),
        others=tuple(one for one in found if one.kind != "scheduler"),
        database=database,
        declared=declared,
        lease=lease,
    )
    name, verdict = next((rule.__name__.strip("_"), said) for rule in RULES if (said := rule(facts)))
    since = memory.leading.since if memory.leading and leader and memory.leading.job == leader.job else None
    return Verdict(
        status=verdict.status,
        title=verdict.title,
        reason=verdict.reason,
        remedy=verdict.remedy,
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
        reason=f"{sight.title} can't be seen: {sight.reason}.",
        remedy=sight.remedy,
        heartbeat_age_s=None,
        leader=None,
        leading_since=None,
        candidates=hidden,
        processes=(),
    )


# --- the verdict: the first rule that has something to say -----------------------------------------------------------


def _name(one: Process) -> str:
    return one.host or f"the {one.kind}"


def _first(one: Process) -> str:
    """Its name at the beginning of a sentence; a host's is never changed."""
    return one.host or f"The {one.kind}"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]


def _none_runs(facts: _Facts) -> _Finding | None:
    if facts.leader:
        return None
    last = facts.schedulers[0] if facts.schedulers else None
    reason = f"The last one, on {_name(last)}: {last.reason}." if last else "Airflow knows of none."
    hosts = f" on {listed(list(facts.declared.hosts), limit=2)}" if facts.declared.hosts else ""
    return _Finding(
        Status.FAILING,
        "No scheduler runs",
        reason,
        f"Start one{hosts}: tasks that run go on, but no new one starts.",
    )


def _lost(facts: _Facts) -> _Finding | None:
    one = facts.leader
    if one is None or one.alive:
        return None
    silent = f"has been silent for {duration(one.late_s)}" if one.late_s is not None else "has never sent a heartbeat"
    return _Finding(
        Status.FAILING,
        f"{_first(one)} {silent}",
        f"No other scheduler runs; Airflow counts one as lost after {duration(LOST_S)}.",
        f"Look at {_name(one)} and restart its scheduler: tasks that run go on, but no new one starts.",
    )


def _database(facts: _Facts) -> _Finding | None:
    if facts.database in (None, "healthy"):
        return None
    return _Finding(
        Status.FAILING,
        f"Airflow calls its metadata database {facts.database}",
        "Without it the scheduler can do nothing.",
        "Look at the datastores first.",
    )


def _late(facts: _Facts) -> _Finding | None:
    one = facts.leader
    if one is None or one.late_s is None or one.late_s < LATE_S:
        return None
    return _Finding(
        Status.DEGRADED,
        f"{_first(one)} is late: no heartbeat for {duration(one.late_s)}",
        f"It sends one every 5 s, and counts as lost after {duration(LOST_S)}.",
        "If it does not come back by itself, look at its host and the metadata database.",
    )


def _several(facts: _Facts) -> _Finding | None:
    running = facts.running
    if facts.declared.active_active or not facts.declared.hosts or len(running) < 2:
        return None
    hosts = [_name(one) for one in running]
    where = listed(hosts) if len(set(hosts)) > 1 else f"all on {hosts[0]}"
    return _Finding(
        Status.DEGRADED,
        f"{count(len(running), 'scheduler')} run, one is meant to: {where}",
        "Airflow copes with it, but a failover would not know whom to stop.",
        "Stop the one that is too many, or declare airflow.active_active in platform.yaml.",
    )


def _undeclared(facts: _Facts) -> _Finding | None:
    strangers = [one.host for one in facts.running if one.host and one.host not in facts.declared.hosts]
    if not facts.declared.hosts or not strangers:
        return None
    return _Finding(
        Status.DEGRADED,
        f"A scheduler runs on {listed(strangers)}, which is not declared",
        f"platform.yaml declares {listed(list(facts.declared.hosts))}.",
        "Add the host to airflow.schedulers, or stop the scheduler there.",
    )


def _skewed(facts: _Facts) -> _Finding | None:
    one = facts.leader
    if one is None or not one.skew_s:
        return None
    return _Finding(
        Status.DEGRADED,
        f"The clock of {_name(one)} is off by {duration(abs(one.skew_s))}",
        f"{_cap(one.reason)}: Airflow itself compares these clocks and may call a living scheduler dead.",
        "Repair its time synchronisation.",
    )


def _too_few(facts: _Facts) -> _Finding | None:
    missing = [one.host for one in facts.candidates if one.declared and not one.ready]
    if not facts.declared.active_active or not missing:
        return None
    return _Finding(
        Status.DEGRADED,
        f"{len(facts.running)} of {len(facts.declared.hosts)} schedulers run: none on {listed(missing)}",
        "All declared hosts are meant to run one (active_active).",
        f"Start the scheduler on {listed(missing)}.",
    )


def _helpers(facts: _Facts) -> _Finding | None:
    """A kind of helper of which none is well: DAGs are not parsed, or deferred tasks don't wake up."""
    costs = {"dag-processor": "Changes of DAGs are not seen", "triggerer": "Deferred tasks don't wake up"}
    for kind, cost in costs.items():
        rows = [one for one in facts.others if one.kind == kind]
        if rows and all(one.status != Status.HEALTHY for one in rows):
            one = rows[0]
            where = f" on {one.host}" if one.host else ""
            return _Finding(
                Status.DEGRADED,
                f"The {kind}{where} is not well",
                f"{_cap(one.reason)}. {cost} until one works.",
                f"Look at the {kind}{where}, and restart it.",
            )
    return None


def _no_standby(facts: _Facts) -> _Finding | None:
    """Agents run, and nobody could take over by himself now."""
    lease, leader = facts.lease, facts.leader
    if leader is None or facts.declared.active_active or not lease.used:
        return None
    if not lease.seen:
        text = f"Whether another host could take over is unknown: {lease.reason}."
        return _Finding(
            Status.DEGRADED, f"{_first(leader)} leads, its standby can't be seen", text, "Look at the lease store."
        )
    if not lease.not_acting:
        return None
    title = f"{_first(leader)} leads without a standby"
    remedy = "Look at the agent of the other host, and at its log."
    if lease.held_until is not None and lease.standbys:
        title, remedy = (
            f"{_first(leader)} leads, automatic failover is paused",
            "End the pause when the reason is over.",
        )
    return _Finding(Status.DEGRADED, title, lease.not_acting, remedy)


def _well(facts: _Facts) -> _Finding | None:
    leader = facts.leader
    if leader is None:
        raise ValueError("the rules before this one have spoken")
    absent = [one.host for one in facts.candidates if one.word == ABSENT]
    running = [one.host for one in facts.candidates if one.ready and one.word == "running"]
    waiting = [one.host for one in facts.candidates if one.ready and one.word == "ready"]
    title = f"{leader.host} leads" if leader.host else "The scheduler runs"
    reason = f"Its heartbeat was {duration(leader.late_s)} old."
    if running:
        title = f"{len(running) + 1} schedulers run, {leader.host} leads"
    elif waiting:
        title = f"{title}, {listed(waiting)} {'is' if len(waiting) == 1 else 'are'} ready"
        reason = f"{reason} A standby takes over by itself if it fails."
    elif absent:
        title = f"{title}, {listed(absent)} {'is' if len(absent) == 1 else 'are'} absent"
        reason = f"{reason} No scheduler runs on {listed(absent)}: if {leader.host} fails, one has to be started there."
    return _Finding(Status.HEALTHY, title, reason)


RULES: tuple[Callable[[_Facts], _Finding | None], ...] = (
    _none_runs,
    _database,
    _lost,
    _late,
    _several,
    _undeclared,
    _skewed,
    _too_few,
    _helpers,
    _no_standby,
    _well,
)

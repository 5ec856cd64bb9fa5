"""What is said of scheduling: the first rule that has something to say, the worst first. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from console.lib.status import Status
from console.lib.words import count, duration, listed
from console.scheduler.heartbeats import LATE_S, LOST_S, Process
from console.scheduler.lease import LeaseView

ABSENT = "absent"


@dataclass(frozen=True)
class Declared:
    """What `platform.yaml` says of schedulers. No hosts: nothing is known of where one may run."""

    hosts: tuple[str, ...] = ()
    active_active: bool = False


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
class Facts:
    """What the rules look at."""

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
class Said:
    """What a rule says: `title` is a finding, `reason` a sentence, `remedy` what to do ("" when nothing)."""

    status: Status
    title: str
    reason: str
    remedy: str = ""


def _name(one: Process) -> str:
    return one.host or f"the {one.kind}"


def _first(one: Process) -> str:
    """Its name at the beginning of a sentence; a host's is never changed."""
    return one.host or f"The {one.kind}"


def _cap(text: str) -> str:
    return text[:1].upper() + text[1:]


def _none_runs(facts: Facts) -> Said | None:
    if facts.leader:
        return None
    last = facts.schedulers[0] if facts.schedulers else None
    reason = f"The last one, on {_name(last)}: {last.reason}." if last else "Airflow knows of none."
    hosts = f" on {listed(list(facts.declared.hosts), limit=2)}" if facts.declared.hosts else ""
    return Said(
        Status.FAILING,
        "No scheduler runs",
        reason,
        f"Start one{hosts}: tasks that run go on, but no new one starts.",
    )


def _lost(facts: Facts) -> Said | None:
    one = facts.leader
    if one is None or one.alive:
        return None
    silent = f"has been silent for {duration(one.late_s)}" if one.late_s is not None else "has never sent a heartbeat"
    return Said(
        Status.FAILING,
        f"{_first(one)} {silent}",
        f"No other scheduler runs; Airflow counts one as lost after {duration(LOST_S)}.",
        f"Look at {_name(one)} and restart its scheduler: tasks that run go on, but no new one starts.",
    )


def _database(facts: Facts) -> Said | None:
    if facts.database in (None, "healthy"):
        return None
    return Said(
        Status.FAILING,
        f"Airflow calls its metadata database {facts.database}",
        "Without it the scheduler can do nothing.",
        "Look at the datastores first.",
    )


def _late(facts: Facts) -> Said | None:
    one = facts.leader
    if one is None or one.late_s is None or one.late_s < LATE_S:
        return None
    return Said(
        Status.DEGRADED,
        f"{_first(one)} is late: no heartbeat for {duration(one.late_s)}",
        f"It sends one every 5 s, and counts as lost after {duration(LOST_S)}.",
        "If it does not come back by itself, look at its host and the metadata database.",
    )


def _several(facts: Facts) -> Said | None:
    running = facts.running
    if facts.declared.active_active or not facts.declared.hosts or len(running) < 2:
        return None
    hosts = [_name(one) for one in running]
    where = listed(hosts) if len(set(hosts)) > 1 else f"all on {hosts[0]}"
    return Said(
        Status.DEGRADED,
        f"{count(len(running), 'scheduler')} run, one is meant to: {where}",
        "Airflow copes with it, but a failover would not know whom to stop.",
        "Stop the one that is too many, or declare airflow.active_active in platform.yaml.",
    )


def _undeclared(facts: Facts) -> Said | None:
    strangers = [one.host for one in facts.running if one.host and one.host not in facts.declared.hosts]
    if not facts.declared.hosts or not strangers:
        return None
    return Said(
        Status.DEGRADED,
        f"A scheduler runs on {listed(strangers)}, which is not declared",
        f"platform.yaml declares {listed(list(facts.declared.hosts))}.",
        "Add the host to airflow.schedulers, or stop the scheduler there.",
    )


def _skewed(facts: Facts) -> Said | None:
    one = facts.leader
    if one is None or not one.skew_s:
        return None
    return Said(
        Status.DEGRADED,
        f"The clock of {_name(one)} is off by {duration(abs(one.skew_s))}",
        f"{_cap(one.reason)}: Airflow itself compares these clocks and may call a living scheduler dead.",
        "Repair its time synchronisation.",
    )


def _too_few(facts: Facts) -> Said | None:
    missing = [one.host for one in facts.candidates if one.declared and not one.ready]
    if not facts.declared.active_active or not missing:
        return None
    return Said(
        Status.DEGRADED,
        f"{len(facts.running)} of {len(facts.declared.hosts)} schedulers run: none on {listed(missing)}",
        "All declared hosts are meant to run one (active_active).",
        f"Start the scheduler on {listed(missing)}.",
    )


def _helpers(facts: Facts) -> Said | None:
    """A kind of helper of which none is well: DAGs are not parsed, or deferred tasks don't wake up."""
    costs = {"dag-processor": "Changes of DAGs are not seen", "triggerer": "Deferred tasks don't wake up"}
    for kind, cost in costs.items():
        rows = [one for one in facts.others if one.kind == kind]
        if rows and all(one.status != Status.HEALTHY for one in rows):
            one = rows[0]
            where = f" on {one.host}" if one.host else ""
            return Said(
                Status.DEGRADED,
                f"The {kind}{where} is not well",
                f"{_cap(one.reason)}. {cost} until one works.",
                f"Look at the {kind}{where}, and restart it.",
            )
    return None


def _no_standby(facts: Facts) -> Said | None:
    """Agents run, and nobody could take over by himself now."""
    lease, leader = facts.lease, facts.leader
    if leader is None or facts.declared.active_active or not lease.used:
        return None
    if not lease.seen:
        text = f"Whether another host could take over is unknown: {lease.reason}."
        return Said(
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
    return Said(Status.DEGRADED, title, lease.not_acting, remedy)


def _well(facts: Facts) -> Said | None:
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
    return Said(Status.HEALTHY, title, reason)


RULES: tuple[Callable[[Facts], Said | None], ...] = (
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


def verdict(facts: Facts) -> tuple[str, Said]:
    """The name of the rule that speaks, and what it says."""
    return next((rule.__name__.strip("_"), said) for rule in RULES if (said := rule(facts)))

"""The scheduler's page, its card on the overview and what the API tells: frozen, by a bounded number of queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from console.history import series
from console.lib.status import Status
from console.lib.words import count, duration
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import AGENTS, SCHEDULER
from console.scheduler.agents import lease_at
from console.scheduler.heartbeats import LOST_S, Process
from console.scheduler.lease import LeaseView
from console.scheduler.models import Kept, Snapshot, Takeover
from console.scheduler.poll import MOST_HOSTS, URL, declared, heartbeat_series, leading_series
from console.scheduler.rules import Verdict, judge
from console.scheduler.strip import BARS, Strip, strip, window
from console.scheduler.verdicts import Candidate

HISTORY = timedelta(days=90)
MONTH = timedelta(days=30)
SHOWN = 10


@dataclass(frozen=True)
class State:
    """What is known of the scheduler at one moment."""

    verdict: Verdict
    sight: Sight
    lease: LeaseView
    airflow_version: str | None
    dags: int | None
    import_errors: int | None
    last_leader: str  # who led when it was last seen; "" when nobody ever did


@dataclass(frozen=True)
class HostCard:
    """One host on which a scheduler runs, or may run. Times are None where there is nothing to tell."""

    host: str
    role: str  # leader, running, absent, unknown
    status: str  # a word of the status vocabulary
    word: str
    heartbeat_age_s: float | None  # None: nothing runs there, or it can't be seen
    seen_age_s: float | None  # since the last sign of life, of an absent one
    since: datetime | None
    since_s: float | None  # how long it has led, or run
    job: int | None
    declared: bool
    note: str


@dataclass(frozen=True)
class TakeoverRow:
    at: datetime
    kind: str
    from_host: str
    to_host: str
    gap_s: float | None
    operation: str
    why: str


@dataclass(frozen=True)
class SchedulerPage:
    state: State
    every_s: float
    hosts: tuple[HostCard, ...]
    helpers: tuple[Process, ...]
    strip: Strip
    takeovers: tuple[TakeoverRow, ...]
    takeovers_said: str  # "90 days: 11 in all, …"
    lost_after_s: float = LOST_S


@dataclass(frozen=True)
class SchedulerSummary:
    """The scheduler in a card. Figures are None while it can't be seen."""

    status: Status
    title: str
    reason: str
    remedy: str
    as_of: datetime | None
    age_s: float | None
    heartbeat_age_s: float | None
    leader: str
    last_leader: str
    candidates: tuple[Candidate, ...]
    airflow_version: str | None
    dags: int | None
    import_errors: int | None
    sight: Sight
    url: str = URL


def scheduler_state(now: datetime) -> State:
    """Three queries."""
    sights = Source.objects.sights(now, [SCHEDULER, AGENTS])
    return _state(Snapshot.objects.kept(), sights[SCHEDULER.name], lease_at(sights[AGENTS.name], now), now)


def _state(kept: Kept, sight: Sight, lease: LeaseView, now: datetime) -> State:
    reading, leading = kept.reading, kept.memory.leading
    seen = reading if sight.seen else None
    return State(
        verdict=judge(reading, kept.memory, declared(), sight, now, lease),
        sight=sight,
        lease=lease,
        airflow_version=reading.version if reading else None,
        dags=seen.dags if seen else None,
        import_errors=seen.import_errors if seen else None,
        last_leader=leading.host if leading else "",
    )


def scheduler_summary(now: datetime) -> SchedulerSummary:
    """For the overview. Three queries."""
    state = scheduler_state(now)
    verdict = state.verdict
    return SchedulerSummary(
        status=verdict.status,
        title=verdict.title,
        reason=verdict.reason,
        remedy=verdict.remedy,
        as_of=state.sight.as_of,
        age_s=state.sight.age_s,
        heartbeat_age_s=verdict.heartbeat_age_s,
        leader=verdict.leader.host if verdict.leader else "",
        last_leader=state.last_leader,
        candidates=verdict.candidates,
        airflow_version=state.airflow_version,
        dags=state.dags,
        import_errors=state.import_errors,
        sight=state.sight,
    )


def takeover_rows(now: datetime, since: timedelta = HISTORY) -> tuple[TakeoverRow, ...]:
    """Takeovers of the time since, newest first. One query."""
    return tuple(
        TakeoverRow(row.at, row.kind, row.from_host, row.to_host, row.gap_s, row.operation, _why(row))
        for row in Takeover.objects.since(now - since)
    )


def _why(row: Takeover) -> str:
    if row.why:
        return row.why
    if row.kind == Takeover.Kind.RESTART:
        return "a new process on the same host; the console did not do it"
    if row.kind == Takeover.Kind.OBSERVED:
        return "seen from outside; the console did not do it"
    return row.get_kind_display()


def said_of(rows: Sequence[TakeoverRow], days: int) -> str:
    """`90 days: 11 in all, median gap 2.9 s, longest 16 s`."""
    gaps = [row.gap_s for row in rows if row.gap_s is not None]
    if not gaps:
        return f"{days} days: {count(len(rows), 'change') if rows else 'none'}"
    return f"{days} days: {len(rows)} in all, median gap {duration(median(gaps))}, longest {duration(max(gaps))}"


def scheduler_page(now: datetime) -> SchedulerPage:
    """The page `/scheduler/`. Five queries."""
    state = scheduler_state(now)
    verdict = state.verdict
    cards = _cards(state, now)
    rows = takeover_rows(now)
    return SchedulerPage(
        state=state,
        every_s=SCHEDULER.interval_s,
        hosts=cards,
        helpers=tuple(one for one in verdict.processes if one.kind != "scheduler"),
        strip=heartbeat_strip(_hosts(cards, rows, now), rows, now),
        takeovers=rows[:SHOWN],
        takeovers_said=said_of(rows, HISTORY.days),
    )


def heartbeat_strip(hosts: Sequence[str], rows: Sequence[TakeoverRow], now: datetime) -> Strip:
    """The heartbeats of some hosts over the last 24 hours. One query, none without hosts."""
    start, end = window(now)
    names = [name for host in hosts for name in (heartbeat_series(host), leading_series(host))]
    points = series.sparklines(names, start, end, BARS) if names else {}
    lines = {host: (points[heartbeat_series(host)], points[leading_series(host)]) for host in hosts}
    words = {Takeover.Kind.OBSERVED: "takeover"}
    changes = [(row.at, words.get(Takeover.Kind(row.kind), row.kind), row.gap_s) for row in rows]
    return strip(hosts, lines, changes, now)


def _hosts(cards: Sequence[HostCard], rows: Sequence[TakeoverRow], now: datetime) -> list[str]:
    """Whose heartbeats are drawn: those that have a card, and those that led in the last day."""
    start, _ = window(now)
    led = [host for row in rows if row.at >= start for host in (row.from_host, row.to_host)]
    return [host for host in dict.fromkeys([*sorted(card.host for card in cards), *led]) if host][:MOST_HOSTS]


def _cards(state: State, now: datetime) -> tuple[HostCard, ...]:
    verdict, known = state.verdict, declared().hosts
    cards = [_card(one, now) for one in verdict.candidates]
    leader = verdict.leader
    if leader:
        cards.insert(
            0,
            HostCard(
                host=leader.host,
                role="leader",
                status=leader.status,
                word=leader.status,
                heartbeat_age_s=verdict.heartbeat_age_s,
                seen_age_s=None,
                since=verdict.leading_since,
                since_s=_age_s(verdict.leading_since, now),
                job=leader.job,
                declared=leader.host in known or not known,
                note=leader.reason if leader.status != Status.HEALTHY else "",
            ),
        )
    return tuple(cards)


def _card(one: Candidate, now: datetime) -> HostCard:
    looks = {
        "running": "healthy", "late": "degraded", "lost": "failing", "absent": "waiting",
        "ready": "healthy", "not ready": "degraded", "silent": "failing",
    }  # fmt: skip
    here = one.word in ("running", "late", "lost")
    waits = one.word in ("ready", "not ready", "silent")
    return HostCard(
        host=one.host,
        role="running" if here else "standby" if waits else one.word,
        status=looks.get(one.word, "unknown"),
        word=one.word,
        heartbeat_age_s=one.seen_age_s if here else None,
        seen_age_s=None if here else one.seen_age_s,
        since=one.started_at,
        since_s=_age_s(one.started_at, now),
        job=one.job,
        declared=one.declared,
        note=one.reason,
    )


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())

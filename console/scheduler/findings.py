"""What is wrong with scheduling, for the incidents: from the remembered state, at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from urllib.parse import urlencode

from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.status import Status
from console.lib.words import duration
from console.operations.models import Operation
from console.scheduler.heartbeats import LOST_S
from console.scheduler.models import Takeover
from console.scheduler.pages import State, TakeoverRow, scheduler_state, takeover_rows
from console.scheduler.poll import URL, heartbeat_series

DOWN = "scheduler.down"
BLIND = "console.blind:airflow"
TAKEOVER_SHOWN = timedelta(minutes=10)
"""A takeover that nobody asked for is told for so long."""
ALONE_S = 300.0
"""A leader may be alone for so long, as after a failover, before anybody is told."""
DOWN_TARGET = "scheduler"
"""What a switchover and a failover hold."""
ORDERED_S = 60.0
"""So long may nobody lead while a change of leadership that somebody ordered is under way."""
UNASKED = frozenset({Takeover.Kind.AUTOMATIC, Takeover.Kind.OBSERVED})

_RULES = {
    # the verdict's rule: key, detector, severity, patience
    "none_runs": (DOWN, "scheduler-down", Severity.CRITICAL, 20.0),
    "lost": (DOWN, "scheduler-down", Severity.CRITICAL, 0.0),
    "database": ("scheduler.database", "airflow-database", Severity.CRITICAL, 10.0),
    "late": ("scheduler.late", "scheduler-late", Severity.WARNING, 60.0),
    "several": ("scheduler.several", "scheduler-setup", Severity.WARNING, 60.0),
    "undeclared": ("scheduler.undeclared", "scheduler-setup", Severity.WARNING, 60.0),
    "skewed": ("scheduler.skewed", "scheduler-setup", Severity.WARNING, 60.0),
    "too_few": ("scheduler.too-few", "scheduler-standby", Severity.WARNING, 60.0),
    "helpers": ("scheduler.helpers", "airflow-helper", Severity.ERROR, 60.0),
}


def findings(now: datetime) -> Report:
    """Five queries."""
    state = scheduler_state(now)
    found = [
        *_verdict(state, ordered=Operation.objects.active().filter(target=DOWN_TARGET).exists()),
        *_agents(state),
        *_standby(state),
        *_takeovers(takeover_rows(now, TAKEOVER_SHOWN)),
    ]
    return Report(tuple(found), frozenset(_unseen(state)))


def _unseen(state: State) -> Iterable[str]:
    if not state.sight.seen:
        yield "scheduler."
    elif state.lease.used and not state.lease.seen:
        yield from ("scheduler.agent:", "scheduler.standby")


def _verdict(state: State, *, ordered: bool) -> Iterable[Finding]:
    """`ordered`: a switchover or failover is under way, so that nobody leads for a moment."""
    verdict = state.verdict
    known = _RULES.get(verdict.rule)
    if verdict.status is Status.UNKNOWN or known is None:
        return
    key, detector, severity, after_s = known
    yield Finding(
        key=key,
        detector=detector,
        severity=severity,
        title=verdict.title,
        sentence=verdict.reason,
        target="scheduler/scheduler",
        url=URL,
        facts=tuple(_facts(state)),
        impact=("No new task starts; tasks that run go on.",) if key == DOWN else (),
        series=tuple(heartbeat_series(host) for host in _hosts(state)),
        recommended=_takeover(state) if key == DOWN else Recommended(verdict.remedy, URL, "Look at the scheduler"),
        after_s=ORDERED_S if ordered and key == DOWN else after_s,
        masked_by=() if key in (DOWN, "scheduler.database") else (DOWN, "scheduler.database"),
    )


def _hosts(state: State) -> list[str]:
    leader = state.verdict.leader.host if state.verdict.leader else state.last_leader
    return [host for host in (leader, *(one.host for one in state.verdict.candidates)) if host][:3]


def _facts(state: State) -> Iterable[Fact]:
    verdict, lease = state.verdict, state.lease
    leader = verdict.leader.host if verdict.leader else state.last_leader
    age_s = verdict.heartbeat_age_s
    status = "unknown" if age_s is None else "failing" if age_s >= LOST_S else "healthy"
    yield Fact(
        f"Last heartbeat of {leader or 'a scheduler'}",
        f"{duration(age_s)} ago" if age_s is not None else "unknown",
        status,
    )
    for one in verdict.candidates[:4]:
        yield Fact(
            one.host, one.reason or one.word, "healthy" if one.ready else "unknown" if one.ready is None else "degraded"
        )
    if lease.used:
        if not lease.seen:
            yield Fact("Lease", f"can't be seen: {lease.reason}", "unknown")
        else:
            yield Fact(
                "Lease",
                f"held by {lease.holder}" if lease.holder else "held by nobody",
                "" if lease.holder else "failing",
            )
            paused = lease.held_until is not None
            yield Fact(
                "Automatic failover",
                f"paused until {lease.held_until:%H:%M} UTC: {lease.held_reason}" if lease.held_until else "on",
                "paused" if paused else "healthy",
            )


def _takeover(state: State) -> Recommended:
    """Fail over to a standby that is ready; where there is none, start a scheduler."""
    ready = [one.name for one in state.lease.standbys] if state.lease.seen else []
    if not ready:
        return Recommended(state.verdict.remedy, URL, "Look at the scheduler")
    to = ready[0]
    lost = state.lease.holder or state.lease.last_holder or "the leader"
    return Recommended(
        f"Fail over from {lost} to {to}, which is ready.",
        f"{URL}failover/?{urlencode({'to': to})}",
        f"Fail over to {to}…",
        "failover",
        {"to": to},
    )


def _agents(state: State) -> Iterable[Finding]:
    for one in state.lease.agents if state.lease.seen else ():
        if one.word != "silent":
            continue
        yield Finding(
            key=f"scheduler.agent:{one.name}",
            detector="agent-silent",
            severity=Severity.ERROR,
            title=f"The scheduler agent on {one.name} is silent",
            sentence=f"It has not reported for {duration(one.seen_age_s)}: that host can't take over.",
            target=f"scheduler/{one.name}",
            url=URL,
            facts=(Fact(f"Agent on {one.name}", one.why or "silent", "failing"),),
            recommended=Recommended(
                f"Look at {one.host or one.name}: restart quarterdeck-agent there, or replace the host.",
                URL,
                "Look at the scheduler",
            ),
            masked_by=(DOWN,),
            after_s=ALONE_S,
        )


def _standby(state: State) -> Iterable[Finding]:
    """Nobody could take over. A pause that somebody ordered is no fault: its standby is ready."""
    lease = state.lease
    if not lease.used or not lease.seen or lease.holder is None or lease.standbys or state.sight.seen is False:
        return
    yield Finding(
        key="scheduler.standby",
        detector="scheduler-standby",
        severity=Severity.ERROR,
        title=f"{lease.holder} leads without a standby",
        sentence=lease.not_acting or "No standby is ready.",
        target="scheduler/scheduler",
        url=URL,
        facts=tuple(_facts(state)),
        recommended=Recommended(
            "Start the agent on a second host, and look at why its scheduler is not ready.",
            URL,
            "Look at the scheduler",
        ),
        masked_by=(DOWN, *(f"scheduler.agent:{one.name}" for one in lease.agents if one.word == "silent")),
        after_s=ALONE_S,
    )


def _takeovers(rows: Iterable[TakeoverRow]) -> Iterable[Finding]:
    for row in rows:
        if row.kind not in UNASKED or row.operation:
            continue
        gap = f" Nobody led for {duration(row.gap_s)}." if row.gap_s is not None else ""
        yield Finding(
            key=f"scheduler.takeover:{row.at:%Y%m%dT%H%M%S}",
            detector="scheduler-takeover",
            severity=Severity.WARNING,
            title=f"{row.to_host} took over scheduling from {row.from_host}",
            sentence=f"At {row.at:%H:%M:%S} UTC: {row.why}.{gap}",
            target="scheduler/scheduler",
            url=URL,
            facts=(Fact("From", row.from_host), Fact("To", row.to_host), Fact("Gap", duration(row.gap_s))),
            series=(heartbeat_series(row.from_host), heartbeat_series(row.to_host)),
            recommended=Recommended(
                f"Find out why {row.from_host} was lost, and bring it back as the standby.",
                URL,
                "Look at the scheduler",
            ),
            masked_by=(DOWN,),
            after_s=20.0,  # until the agents have told whether somebody ordered it
        )

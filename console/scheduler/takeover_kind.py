"""The operations `switchover`, `failover` and `failover-pause`: what they take, their preflight, their fresh looks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.utils import timezone

from console.lib.words import duration
from console.operations.kinds import Action, Check, Invalid, Kind, Plan
from console.operations.rules import JSON, Call, Decision, Ledger, Orders, Outcome, Progress, State, StepState
from console.platform.ports import PlatformError, Ports
from console.scheduler import takeover_rules
from console.scheduler.agents import lease_view
from console.scheduler.lease import LeaseView
from console.scheduler.takeover_rules import Seen, Takeover

LEASE = "scheduler"
PAUSES_S = (0, 3600, 7200, 14400)


def clean(sent: Mapping[str, JSON], *, forced: bool) -> dict[str, JSON]:
    """`to?`: without one the only ready standby. Invalid names who could."""
    view = lease_view(timezone.now())
    if not view.used:
        raise Invalid({"to": "No scheduler agent runs: there is nothing to switch over (docs/agents.md)."})
    holder = view.holder or view.last_holder or ""
    to = str(sent.get("to") or "").strip()
    known = [one.name for one in view.agents if one.name != holder]
    if not to:
        ready = [one.name for one in view.standbys]
        if len(ready) != 1:
            raise Invalid({"to": f"Name one of {', '.join(ready or known) or 'nobody: there is no other agent'}."})
        to = ready[0]
    if to == holder:
        raise Invalid({"to": f"{to} leads already; choose one of {', '.join(known) or 'nobody'}."})
    if to not in known:
        raise Invalid({"to": f"No scheduler agent is called {to[:100]!r}; there is {', '.join(known) or 'none'}."})
    return {"from": holder, "to": to, "forced": forced, "why": str(sent.get("reason") or "ordered")[:500]}


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    view = lease_view(now)
    old, new, forced = parameters["from"], parameters["to"], parameters["forced"]
    agent = view.agent(new)
    checks = [Check("The lease can be seen." if view.seen else f"The lease can't be seen: {view.reason}.", view.seen)]
    if view.seen:
        leads = view.holder == old
        expired = forced and view.holder is None
        text = f"{old} leads." if leads else f"{old} leads no more: its lease has run out."
        checks.append(Check(text, leads or expired))
        ready = agent is not None and agent.ready
        checks.append(
            Check(f"{new} is ready." if ready else f"{new} is not ready: {agent.why if agent else 'unknown'}.", ready)
        )
    touches = [
        f"The scheduler on {old} is {'killed' if forced else 'told to stop'}.",
        f"{new} starts its scheduler, which is loaded already; the tasks of the old one are adopted.",
        "Tasks that run go on; no new one starts in between.",
    ]
    return Plan(
        kind="failover" if forced else "switchover",
        target="scheduler",
        parameters=_planned(parameters),
        checks=tuple(checks),
        touches=tuple(touches),
        confirm=old if forced else None,
    )


def _planned(parameters: Mapping[str, JSON]) -> dict[str, JSON]:
    """What makes two plans the same: not the reason, which is given only after the plan was shown."""
    return {name: value for name, value in parameters.items() if name != "why"}


def observe(ports: Ports, parameters: Mapping[str, JSON], state: Takeover, now: datetime) -> Seen:
    leases = ports.agents().leases(LEASE)
    try:
        return Seen(leases, ports.airflow().scheduler().jobs)
    except PlatformError:
        return Seen(leases, None)


def order(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.agents().order_takeover(
        args["lease"], args["holder"], args["candidate"], args["kind"], args["reason"], args["for_s"]
    )


def withdraw(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.agents().withdraw_order(args["lease"], args["candidate"])


ACTIONS: Mapping[str, Action] = {"order": order, "withdraw": withdraw}


def load(memory: Mapping[str, Any], version: int) -> Takeover:
    known = {name: value for name, value in memory.items() if name in Takeover.__dataclass_fields__}
    return Takeover(**known | {"beats": tuple(known.get("beats", ()))})


def _kind(name: str, title: Callable[[Mapping[str, JSON]], str], *, forced: bool) -> Kind[Takeover, Seen]:
    return Kind(
        name=name,
        title=title,
        clean=lambda sent: clean(sent, forced=forced),
        targets=lambda parameters: ("scheduler",),
        plan=plan,
        start=lambda parameters: Takeover(),
        dump=asdict,
        load=load,
        version=takeover_rules.VERSION,
        observe=observe,
        decide=takeover_rules.decide,
        actions=ACTIONS,
        can_abort=lambda state: not state.moved_at,
        topics=("scheduler",),
    )


SWITCHOVER = _kind("switchover", lambda p: f"Switch over from {p['from']} to {p['to']}", forced=False)
FAILOVER = _kind("failover", lambda p: f"Fail over from {p['from']} to {p['to']}", forced=True)


# --- pausing automatic failover --------------------------------------------------------------------------------------


def clean_pause(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`for_s`: 3600, 7200 or 14400 pause it for so long; 0 ends the pause."""
    for_s = sent.get("for_s")
    if for_s not in PAUSES_S or isinstance(for_s, bool):
        raise Invalid({"for_s": "3600, 7200 or 14400 seconds; 0 ends the pause."})
    return {"for_s": for_s, "why": str(sent.get("reason") or "")[:500]}


def plan_pause(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    view: LeaseView = lease_view(now)
    for_s = parameters["for_s"]
    text = (
        f"For {duration(for_s)} nobody takes over by itself: a dead scheduler then waits for a person."
        if for_s
        else "A standby that is ready takes over by itself again."
    )
    checks = (
        Check("The agents can be seen." if view.seen else f"The agents can't be seen: {view.reason}.", view.seen),
    )
    return Plan("failover-pause", "scheduler-failover", parameters, checks, (text,))


def decide_pause(
    parameters: Mapping[str, Any], state: bool, seen: datetime | None, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[bool]:
    if ledger.stage("hold") is StepState.FAILED:
        return Decision(state, outcome=Outcome(State.FAILED, ledger.steps["hold"].error))
    if ledger.done("hold"):
        text = "Automatic failover is on." if seen is None else f"Automatic failover is paused until {seen:%H:%M} UTC."
        return Decision(state, verified=("hold",), outcome=Outcome(State.SUCCEEDED, text), progress=Progress(1, 1))
    if orders.aborting:
        return Decision(state, outcome=Outcome(State.ABORTED, "Nothing had been done."))
    args = {"lease": LEASE, "for_s": parameters["for_s"], "reason": parameters["why"]}
    title = "Pause automatic failover" if parameters["for_s"] else "Turn automatic failover on"
    return Decision(state, calls=(Call("hold", "hold", title, args),), progress=Progress(0, 1), next_tick_s=0.5)


def observe_pause(ports: Ports, parameters: Mapping[str, JSON], state: bool, now: datetime) -> datetime | None:
    leases = ports.agents().leases(LEASE)
    until = leases.lease.held_until if leases.lease else None
    return until if until is not None and until > leases.server_now else None


def hold(ports: Ports, args: Mapping[str, JSON]) -> None:
    ports.agents().hold_takeovers(args["lease"], args["for_s"], args["reason"])


PAUSE: Kind[bool, datetime | None] = Kind(
    name="failover-pause",
    title=lambda p: f"Pause automatic failover for {duration(p['for_s'])}" if p["for_s"] else "End the failover pause",
    clean=clean_pause,
    targets=lambda parameters: ("scheduler-failover",),
    plan=plan_pause,
    start=lambda parameters: False,
    dump=lambda state: {},
    load=lambda memory, version: False,
    version=1,
    observe=observe_pause,
    decide=decide_pause,
    actions={"hold": hold},
    topics=("scheduler",),
)
KINDS = (SWITCHOVER, FAILOVER, PAUSE)

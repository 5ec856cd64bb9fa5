"""The operation `autoscaling`: a fleet's autoscaling on or off, for a while or until it is said otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.fleets.actions import ACTIONS
from console.fleets.drain_kind import number
from console.fleets.models import ScalingSwitch
from console.fleets.scaling.switch import mode_of
from console.lib.words import duration, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import (
    JSON,
    Call,
    Decision,
    Ledger,
    Orders,
    Outcome,
    Progress,
    State,
    StepState,
)
from console.platform.declared import declaration
from console.platform.ports import Ports


@dataclass(frozen=True)
class Switching:
    """`until` is fixed at the first tick: a request that waited does not end earlier for it."""

    begun: bool = False
    until: str | None = None


@dataclass(frozen=True)
class SwitchSeen:
    on: bool | None  # None: nobody ever said anything
    until: str | None


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`queue autoscaling for_s`; Invalid names each field."""
    queue = str(sent.get("queue", ""))
    if declaration().fleet(queue) is None:
        known = listed([each.queue for each in declaration().fleets], 10)
        raise Invalid({"queue": f"{queue!r} is not a declared fleet; declared: {known or 'none'}."})
    word = sent.get("autoscaling")
    if word not in ("on", "off"):
        raise Invalid({"autoscaling": "One of on, off."})
    for_s = None if sent.get("for_s") is None else number(sent, "for_s", 0, least=60, most=30 * 86400)
    return {"queue": queue, "autoscaling": word, "for_s": for_s}


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"autoscaling:{parameters['queue']}",)


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    queue, on = parameters["queue"], parameters["autoscaling"] == "on"
    fleet = declaration().fleet(queue)
    assert fleet is not None
    switch = ScalingSwitch.objects.filter(queue=queue).first()
    mode = mode_of(fleet, switch, now)
    span = f" for {duration(parameters['for_s'])}" if parameters["for_s"] else " until somebody says otherwise"
    does = "only publishes its metrics" if fleet.autoscaling.mode == "publish" else "adds and drains workers by itself"
    touches = [
        f"The console {does} for {queue}{span}."
        if on
        else f"Nothing is added to or drained from {queue} by itself{span}; drains under way go on."
    ]
    now_word = "off" if mode == "off" else "on"
    checks = [Check(f"It is {now_word} now ({fleet.autoscaling.mode} is declared).", True)]
    return Plan("autoscaling", targets(parameters)[0], parameters, tuple(checks), tuple(touches))


def observe(ports: Ports, parameters: Mapping[str, JSON], state: Switching, now: datetime) -> SwitchSeen:
    row = ScalingSwitch.objects.filter(queue=parameters["queue"]).first()
    return SwitchSeen(None, None) if row is None else SwitchSeen(row.on, row.until.isoformat() if row.until else None)


def decide(
    parameters: Mapping[str, Any], state: Switching, seen: SwitchSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Switching]:
    if orders.aborting and not ledger.done("switch"):
        return Decision(state, outcome=Outcome(State.ABORTED, "Nothing had been changed."))
    if not state.begun:
        until = (now + timedelta(seconds=parameters["for_s"])).isoformat() if parameters["for_s"] else None
        state = Switching(True, until)
    on = parameters["autoscaling"] == "on"
    if (seen.on, seen.until) == (on, state.until) and ledger.stage("switch") is not StepState.INTENT:
        text = f"Autoscaling of {parameters['queue']} is {parameters['autoscaling']}"
        text += f" until {state.until[:16].replace('T', ' ')} UTC." if state.until else "."
        verified = ("switch",) if ledger.stage("switch") is StepState.CALLED else ()
        return Decision(state, verified=verified, progress=Progress(1, 1), outcome=Outcome(State.SUCCEEDED, text))
    args = {"queue": parameters["queue"], "on": on, "until": state.until}
    call = Call("switch", "set_switch", f"Switch autoscaling {parameters['autoscaling']}", args)
    return Decision(state, (call,), progress=Progress(0, 1), next_tick_s=0.5)


def title(parameters: Mapping[str, JSON]) -> str:
    span = f" for {duration(parameters['for_s'])}" if parameters.get("for_s") else ""
    return f"Autoscaling of {parameters['queue']} {parameters['autoscaling']}{span}"


KIND: Kind[Switching, SwitchSeen] = Kind(
    name="autoscaling",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=lambda parameters: Switching(),
    dump=lambda state: {"begun": state.begun, "until": state.until},
    load=lambda memory, version: Switching(bool(memory.get("begun")), memory.get("until")),
    version=1,
    observe=observe,
    decide=decide,
    actions=ACTIONS,
)

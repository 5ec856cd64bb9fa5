"""The group itself ends an instance (rebalance, spot, health): its worker is drained while the group waits. Pure.

The drain is the usual one (`drain_rules`). What differs: nobody asked for it and nobody can call it off; its last step
is not a termination but the word that the group may go on; until then the group is told, by heartbeats, to wait on.
Whether it will end before the group stops waiting is said at the beginning and at every heartbeat.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.fleets import drain_rules
from console.fleets.crew import Crew
from console.fleets.drain_rules import DrainSeen
from console.fleets.draining import Phase, Seen
from console.lib.words import duration
from console.operations.rules import Call, Decision, Ledger, Level, Line, Orders, StepState

VERSION = 1
WAITS = "Terminating:Wait"
LET_GO = "let_go"


@dataclass(frozen=True)
class TerminationSeen:
    """One look. `left_s`: when the last of its tasks should end, by their history; None: that can't be said."""

    drain: DrainSeen
    left_s: float | None


def start(parameters: Mapping[str, Any]) -> Crew:
    workers = [{"instance_id": parameters["instance_id"], "node": parameters["node"]}]
    return drain_rules.start({**parameters, "workers": workers})


def decide(
    parameters: Mapping[str, Any], crew: Crew, seen: TerminationSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Crew]:
    instance = parameters["instance_id"]
    look = seen.drain.workers.get(instance, Seen(None))
    waits = look.lifecycle == WAITS
    # While the group waits the instance is there and works: to the drain it is an instance like any other.
    shown = replace(look, lifecycle="InService") if waits else look
    terms = {
        **parameters,
        "deadline_s": parameters["limit_s"],
        "on_deadline": "wait",
        "replace": False,
        "override_last": True,
    }
    plain = DrainSeen({instance: shown}, seen.drain.others_serving)
    decision = drain_rules.decide(terms, crew, plain, ledger, replace(orders, aborting=False), now)
    if not waits:
        return _told(replace(decision, calls=_translated(decision.calls, parameters)), ledger)
    calls = list(_translated(decision.calls, parameters))
    drain = crew.drains[instance]
    if drain.phase is Phase.SERVING and look.answered is False and look.running == () and not ledger.done(LET_GO):
        # It has stopped before: another operation drained it, and then ended its instance.
        calls = [_let_go(parameters)]
    notes = list(decision.notes)
    number = _beats(parameters, now)
    beat = Call(f"heartbeat:{number}", "keep_waiting", "Ask the group to wait on", _names(parameters))
    due = number > 0 and beat.key not in ledger.steps and not ledger.done(LET_GO)
    if due:
        calls.append(beat)
    begins = drain.phase is Phase.SERVING and any(call.action == "cancel" for call in calls)
    late = _too_late(parameters, seen.left_s, now)
    if late and (due or begins):
        notes.append(Line(late, Level.WARNING))
    progress = replace(decision.progress, text=late) if late else decision.progress
    return _told(replace(decision, calls=tuple(calls), notes=tuple(notes), progress=progress), ledger)


def _told(decision: Decision[Crew], ledger: Ledger) -> Decision[Crew]:
    """A heartbeat that the group took is proven by that; the last word by the instance's end, which the drain sees."""
    beats = [
        key for key, step in ledger.steps.items() if key.startswith("heartbeat:") and step.state is StepState.CALLED
    ]
    gone = [LET_GO] if decision.outcome and ledger.stage(LET_GO) is StepState.CALLED else []
    return replace(decision, verified=(*decision.verified, *beats, *gone))


def _translated(calls: tuple[Call, ...], parameters: Mapping[str, Any]) -> tuple[Call, ...]:
    """Instead of ending the instance the group is told that it may."""
    return tuple(_let_go(parameters, call.key) if call.action == "terminate" else call for call in calls)


def _let_go(parameters: Mapping[str, Any], key: str = LET_GO) -> Call:
    return Call(key, "let_go", "Tell the group to go on", _names(parameters))


def _names(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: parameters[name] for name in ("group", "hook", "instance_id", "token")}


def _beats(parameters: Mapping[str, Any], now: datetime) -> int:
    """How many heartbeats are due by now: one each half of the time that the group waits without one."""
    waited_s = (now - datetime.fromisoformat(parameters["at"])).total_seconds()
    return int(waited_s / (parameters["heartbeat_s"] / 2))


def _too_late(parameters: Mapping[str, Any], left_s: float | None, now: datetime) -> str:
    """That its work will not end before the group stops waiting; "" when it should, or that can't be said."""
    ends_s = parameters["limit_s"] - (now - datetime.fromisoformat(parameters["at"])).total_seconds()
    if left_s is None or left_s <= ends_s:
        return ""
    most = duration(max(0.0, ends_s))
    return (
        f"It can't finish in time: its tasks need about {duration(left_s)}, the group waits {most} at most, "
        "and then ends it with them."
    )

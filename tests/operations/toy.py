"""A kind of operation to try the engine with: it lights lamps, one a tick, on a platform that is a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.operations import kinds
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import Call, Decision, Ledger, Line, Orders, Outcome, Progress, Question, State
from console.platform.ports import PlatformError


class Killed(BaseException):
    """What SIGKILL is to a process: nothing catches it, nothing is cleaned up."""


@dataclass
class Lamps:
    """The platform. `calls` is every call it received; `faults` what happens instead of one, by its number."""

    lit: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    faults: dict[int, BaseException] = field(default_factory=dict)
    after: dict[int, BaseException] = field(default_factory=dict)

    def light(self, lamp: str) -> None:
        number = len(self.calls)
        self.calls.append(lamp)
        if number in self.faults:
            raise self.faults.pop(number)
        self.lit.add(lamp)
        if number in self.after:
            raise self.after.pop(number)


LAMPS = Lamps()


def decide(
    parameters: Mapping[str, Any], state: int, seen: frozenset[str], ledger: Ledger, orders: Orders, now: datetime
) -> Decision[int]:
    lamps: list[str] = parameters["lamps"]
    lit = [lamp for lamp in lamps if lamp in seen]
    progress = Progress(len(lit), len(lamps), f"{len(lit)} lit")
    verified = tuple(f"light:{lamp}" for lamp in lit)
    if orders.aborting:
        return Decision(state, outcome=Outcome(State.ABORTED, "Left as it was."), progress=progress)
    if len(lit) == len(lamps):
        return Decision(state, verified=verified, outcome=Outcome(State.SUCCEEDED, "All lit."), progress=progress)
    if orders.paused:
        return Decision(state, verified=verified, progress=progress)
    if parameters.get("ask") and not any(a.choice == "go" for a in orders.answers) and state == 0:
        return Decision(state, question=Question("Shall it go on?", (("go", "light them"),)), progress=progress)
    lamp = next(lamp for lamp in lamps if lamp not in seen)
    once = bool(parameters.get("once"))
    if once and ledger.stage(f"light:{lamp}") is not None:
        text = "It can't be seen whether the lamp was lit; look at it."
        return Decision(state, outcome=Outcome(State.FAILED, text), progress=progress)
    call = Call(f"light:{lamp}", "light", f"Light {lamp}", {"lamp": lamp}, once=once)
    lock = (f"lamp:{lamp}",) if parameters.get("lock") else ()
    return Decision(
        state + 1,
        calls=(call,),
        verified=verified,
        notes=(Line(f"lighting {lamp}"),),
        progress=progress,
        lock=lock,
        next_tick_s=0.5,
    )


def clean(sent: Mapping[str, Any]) -> dict[str, Any]:
    if not sent.get("lamps"):
        raise Invalid({"lamps": "Name at least one lamp."})
    return dict(sent)


def plan(parameters: Mapping[str, Any], now: datetime) -> Plan:
    broken = [lamp for lamp in parameters["lamps"] if lamp.startswith("broken")]
    check = Check(f"{broken[0]} is broken." if broken else "No lamp is broken.", not broken)
    return Plan("lamps", parameters["room"], parameters, (check,), confirm=parameters.get("confirm"))


KIND: Kind[int, frozenset[str]] = Kind(
    name="lamps",
    title=lambda parameters: f"Light {parameters['room']}",
    clean=clean,
    targets=lambda parameters: (f"room:{parameters['room']}", *parameters.get("also", ())),
    plan=plan,
    start=lambda parameters: 0,
    dump=lambda state: {"ticks": state},
    load=lambda memory, version: int(memory["ticks"]),
    version=1,
    observe=lambda ports, parameters, state, now: frozenset(LAMPS.lit),
    decide=decide,
    actions={"light": lambda ports, args: LAMPS.light(args["lamp"])},
    can_pause=True,
)
kinds.register(KIND)

TEMPORARY = PlatformError("the lamps", "unavailable", "The lamps do not answer.")
PERMANENT = PlatformError("the lamps", "rejected", "That lamp is not yours.", permanent=True)

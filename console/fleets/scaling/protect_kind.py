"""The operation `protect`: scale-in protection for busy workers, so that their group never chooses one by itself.

Asked for by the autoscaler: a worker that has tasks and is not protected is protected. Where the group decides by
itself (mode publish) an idle one is released again, so that the group finds one to end. A drain ends a protected
instance all the same: it names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from console.fleets.actions import ACTIONS
from console.fleets.models import Instance
from console.lib.words import count, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON, Call, Decision, Ledger, Orders, Outcome, Progress, State, StepState
from console.platform.declared import declaration
from console.platform.ports import Ports

MOST = 200
Seen = Mapping[str, bool]
"""Whether each instance of the group is protected."""


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`queue protect[] release[]`: instance ids of its group."""
    fleet = declaration().fleet(str(sent.get("queue", "")))
    if fleet is None:
        raise Invalid({"queue": f"{str(sent.get('queue', ''))[:100]!r} is not a declared fleet."})
    found: dict[str, JSON] = {"queue": fleet.queue, "group": fleet.group}
    for name in ("protect", "release"):
        value = sent.get(name) or []
        if not isinstance(value, list) or len(value) > MOST:
            raise Invalid({name: f"A list of at most {MOST} instances."})
        found[name] = sorted({str(each) for each in value})
    known = set(Instance.objects.filter(group=fleet.group).values_list("instance_id", flat=True))
    unknown = [each for each in (*found["protect"], *found["release"]) if each not in known]
    if unknown:
        raise Invalid({"protect": f"{listed(unknown)} is not in {fleet.group}."})
    if not found["protect"] and not found["release"]:
        raise Invalid({"protect": "Name at least one instance."})
    return found


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (f"protection:{parameters['queue']}",)


def _sentences(parameters: Mapping[str, JSON]) -> list[str]:
    return [
        f"{listed(parameters[name], 5)} {text}."
        for name, text in (("protect", "can't be ended by the group itself"), ("release", "may be ended by the group"))
        if parameters[name]
    ]


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    checks = (Check("Nothing that runs is touched.", True),)
    return Plan("protect", targets(parameters)[0], parameters, checks, tuple(_sentences(parameters)))


def observe(ports: Ports, parameters: Mapping[str, JSON], state: None, now: datetime) -> Seen:
    groups = ports.compute().groups([parameters["group"]])
    return {each.instance_id: each.protected for group in groups for each in group.instances}


def decide(
    parameters: Mapping[str, Any], state: None, seen: Seen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[None]:
    if orders.aborting:
        return Decision(None, outcome=Outcome(State.ABORTED, "Left as it is."))
    calls, verified, refused = [], [], []
    for name, protected in (("protect", True), ("release", False)):
        waiting = [each for each in parameters[name] if seen.get(each, protected) is not protected]
        stage = ledger.stage(name)
        if stage is StepState.FAILED and waiting:
            refused.append(ledger.steps[name].error)
        elif waiting:
            args = {"group": parameters["group"], "instances": waiting, "protected": protected}
            word = "Protect" if protected else "Release"
            calls.append(Call(name, "protect", f"{word} {count(len(waiting), 'worker')}", args))
        elif stage is StepState.CALLED:
            verified.append(name)
    if refused:
        return Decision(None, verified=tuple(verified), outcome=Outcome(State.FAILED, f"Refused: {refused[0]}"))
    if not calls:
        text = " ".join(_sentences(parameters))
        return Decision(None, verified=tuple(verified), progress=Progress(1, 1), outcome=Outcome(State.SUCCEEDED, text))
    return Decision(None, tuple(calls), tuple(verified), progress=Progress(0, 1), next_tick_s=1.0)


def title(parameters: Mapping[str, JSON]) -> str:
    number = len(parameters["protect"]) + len(parameters["release"])
    word = "Protect" if parameters["protect"] else "Release"
    return f"{word} {count(number, 'worker')} of {parameters['queue']}"


def wanted(
    busy: Mapping[str, bool | None], protected: Mapping[str, bool], *, release: bool
) -> tuple[Sequence[str], Sequence[str]]:
    """Which instances to protect and which to release; one whose work can't be seen stays as it is. Pure."""
    protect = [each for each, works in busy.items() if works and not protected.get(each, True)]
    idle = [each for each, works in busy.items() if works is False and protected.get(each, False)]
    return sorted(protect), sorted(idle) if release else []


KIND: Kind[None, Seen] = Kind(
    name="protect",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=lambda parameters: None,
    dump=lambda state: {},
    load=lambda memory, version: None,
    version=1,
    observe=observe,
    decide=decide,
    actions=ACTIONS,
)

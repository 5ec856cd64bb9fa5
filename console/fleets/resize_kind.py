"""The operation `resize`: what it takes, its preflight from snapshots, its fresh looks. The rule is `resize_rules`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from console.fleets import hands, resize_rules
from console.fleets.actions import ACTIONS
from console.fleets.drain_kind import DEADLINE_S, ORDERS, at_deadline, choice, number, visible
from console.fleets.looking_at_fleets import look_at_fleet
from console.fleets.members import FleetSeen
from console.fleets.models import GroupSnapshot, ScalingSwitch
from console.fleets.resize_rules import Resize, aim
from console.fleets.scaling.switch import mode_of
from console.lib.words import count, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.ports import Ports
from console.platform.sources import COMPUTE, WORKERS

MOST = 10_000
SIZES = ("baseline", "max", "desired")


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`queue baseline max desired deadline_s on_deadline override_last`; Invalid names each field."""
    queue = str(sent.get("queue", ""))
    fleet = declaration().fleet(queue)
    if fleet is None:
        known = listed([each.queue for each in declaration().fleets], 10)
        raise Invalid({"queue": f"{queue!r} is not a declared fleet; declared: {known or 'none'}."})
    switch = sent.get("autoscaling")
    if switch not in (None, "on", "off"):
        raise Invalid({"autoscaling": "One of on, off."})
    sizes = {name: _size(sent, name) for name in SIZES}
    if all(value is None for value in sizes.values()):
        raise Invalid({"desired": "Give at least one of baseline, max and desired: nothing would change."})
    low, high = sizes["baseline"], sizes["max"]
    if low is not None and high is not None and low > high:
        raise Invalid({"baseline": f"{low} is above the maximum of {high}.", "max": f"{high} is below {low}."})
    wanted = sizes["desired"]
    if wanted is not None:
        if low is not None and wanted < low:
            raise Invalid({"desired": f"{wanted} is below the baseline of {low}."})
        if high is not None and wanted > high:
            raise Invalid({"desired": f"{wanted} is above the maximum of {high}."})
    return {
        "queue": queue,
        "group": fleet.group,
        **sizes,
        "deadline_s": number(sent, "deadline_s", DEADLINE_S, least=10, most=7 * 86400),
        "on_deadline": choice(sent, "on_deadline", ("wait", "stop")),
        "override_last": bool(sent.get("override_last", False)),
        "autoscaling": switch,
        "wait": bool(sent.get("wait", True)),
    }


def _size(sent: Mapping[str, JSON], name: str) -> int | None:
    value = sent.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MOST:
        raise Invalid({name: f"A whole number from 0 to {MOST}."})
    return value


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return (hands.fleet_target(parameters["queue"]),)


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    queue, name = parameters["queue"], parameters["group"]
    sights = Source.objects.sights(now, (WORKERS, COMPUTE))
    checks = [
        visible(sights[COMPUTE.name], "The Auto Scaling Groups can be seen.", "The Auto Scaling Groups can't be seen"),
        visible(sights[WORKERS.name], "The workers answer.", "The workers can't be asked"),
    ]
    group = GroupSnapshot.objects.filter(name=name).first()
    if group is None or group.minimum is None or group.maximum is None or group.desired is None or not group.present:
        checks.append(Check(f"The group {name} has not been seen.", None))
        return Plan("resize", targets(parameters)[0], parameters, tuple(checks))
    low, high, wanted = aim(parameters, group.minimum, group.maximum, group.desired)
    if low > high:
        checks.append(Check(f"A baseline of {low} is above the maximum of {high}: change both.", False))
    asked = parameters["desired"]
    if asked is not None and asked != wanted:
        checks.append(Check(f"{asked} is outside of {low} to {high}: change the limits with it.", False))
    surplus = group.desired - wanted
    last = wanted == 0 and surplus > 0
    if last:
        text = f"No worker of {queue} would be left: its tasks would wait."
        checks.append(Check(text, False, blocking=not parameters["override_last"]))
    if surplus > 0:
        checks += _at_rest(queue)
        checks.append(Check(f"{count(wanted, 'worker')} stay; the others finish their work first.", True))
    touches = []
    if (low, high) != (group.minimum, group.maximum):
        touches.append(f"{name} may have {low} to {high} workers (now {group.minimum} to {group.maximum}).")
    if surplus < 0:
        touches.append(f"{name} launches {count(-surplus, 'worker')}: {group.desired} → {wanted}.")
    if parameters["autoscaling"]:
        touches.append(f"Autoscaling of {queue} is {parameters['autoscaling']} until somebody says otherwise.")
    elif asked is not None and _scaled(queue, now):
        text = "Its autoscaling is on: it moves the number again with the work. Switch it off to keep it."
        checks.append(Check(text, None, blocking=False))
    if surplus > 0:
        touches.append(f"{count(surplus, 'worker')} drained, idle ones first: {group.desired} → {wanted}.")
    if not touches:
        checks.append(Check(f"{name} is like that already: nothing would change.", False))
    return Plan(
        kind="resize",
        target=targets(parameters)[0],
        parameters=parameters,
        checks=tuple(checks),
        touches=tuple(touches),
        at_risk=at_deadline(parameters["on_deadline"], parameters["deadline_s"]) if surplus > 0 else (),
        confirm=queue if last and parameters["override_last"] else None,
    )


def _scaled(queue: str, now: datetime) -> bool:
    fleet = declaration().fleet(queue)
    switch = ScalingSwitch.objects.filter(queue=queue).first()
    return fleet is not None and mode_of(fleet, switch, now) == "console"


def _at_rest(queue: str) -> list[Check]:
    """Workers that somebody else is taking away already are not taken again."""
    busy = hands.drains_of(queue)
    if not busy:
        return []
    text = f"{listed([f'OP-{each.pk}' for each in busy])} drains workers of {queue}: these are left to it."
    return [Check(text, None, blocking=False)]


def observe(ports: Ports, parameters: Mapping[str, JSON], state: Resize, now: datetime) -> FleetSeen:
    return look_at_fleet(ports, parameters["queue"], parameters["group"], state.crew, now)


def title(parameters: Mapping[str, JSON]) -> str:
    words = [f"{name} {parameters[name]}" for name in SIZES if parameters.get(name) is not None]
    return f"Resize {parameters['queue']}: {', '.join(words)}"


KIND: Kind[Resize, FleetSeen] = Kind(
    name="resize",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=resize_rules.start,
    dump=resize_rules.dump,
    load=resize_rules.load,
    version=resize_rules.VERSION,
    observe=observe,
    decide=resize_rules.decide,
    actions=ACTIONS,
    can_pause=True,
    orders=ORDERS,
    topics=("fleets",),
)

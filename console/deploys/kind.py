"""The operation `deploy`: what it takes, its preflight from snapshots, its fresh looks. The rule is `deploys.rules`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.deploys import memory, rules
from console.deploys.state import Deploy
from console.fleets import hands
from console.fleets.actions import ACTIONS
from console.fleets.drain_kind import DEADLINE_S, ORDERS, at_deadline, choice, number, visible
from console.fleets.looking_at_fleets import look_at_fleet
from console.fleets.members import FleetSeen
from console.fleets.models import GroupSnapshot, Instance, Worker
from console.fleets.rules import State
from console.lib.words import count, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.ports import Ports
from console.platform.sources import COMPUTE, WORKERS

MIN_READY_S = 10.0
READY_TIMEOUT_S = 600.0


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """CONTRACT's body of POST deploys → parameters; Invalid names each field."""
    fleets = {fleet.queue: fleet for fleet in declaration().fleets}
    queues = sent.get("queues") or list(fleets)
    if not isinstance(queues, list) or not queues:
        raise Invalid({"queues": "No fleet is declared in platform.yaml." if not fleets else "A list of queues."})
    unknown = [str(queue) for queue in queues if queue not in fleets]
    if unknown:
        raise Invalid({"queues": f"No fleet serves {listed(unknown)}; declared: {listed(list(fleets), 10)}."})
    surge = int(number(sent, "max_surge", 1, least=0, most=1000))
    unavailable = int(number(sent, "max_unavailable", 0, least=0, most=1000))
    if surge == 0 and unavailable == 0:
        text = "max_surge and max_unavailable are both 0: nothing could ever be replaced. Give one of them 1 or more."
        raise Invalid({"max_surge": text, "max_unavailable": text})
    version = str(sent.get("version") or "").strip()
    if len(version) > 100 or version.startswith("$"):
        raise Invalid({"version": "The number of a launch template's version; leave it out for the one in use now."})
    return {
        "version": version,
        "fleets": [{"queue": queue, "group": fleets[queue].group} for queue in dict.fromkeys(queues)],
        "max_surge": surge,
        "max_unavailable": unavailable,
        "drain_deadline_s": number(sent, "drain_deadline_s", DEADLINE_S, least=10, most=7 * 86400),
        "on_deadline": choice(sent, "on_deadline", ("wait", "stop")),
        "min_ready_s": number(sent, "min_ready_s", MIN_READY_S, least=0, most=3600),
        "ready_timeout_s": number(sent, "ready_timeout_s", READY_TIMEOUT_S, least=10, most=7200),
        "canary": bool(sent.get("canary", False)),
    }


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return tuple(hands.fleet_target(fleet["queue"]) for fleet in parameters["fleets"])


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    sights = Source.objects.sights(now, (WORKERS, COMPUTE))
    checks = [
        visible(sights[COMPUTE.name], "The Auto Scaling Groups can be seen.", "The Auto Scaling Groups can't be seen"),
        visible(sights[WORKERS.name], "The workers answer.", "The workers can't be asked"),
    ]
    touches: list[str] = []
    old = 0
    for fleet in parameters["fleets"]:
        group = GroupSnapshot.objects.filter(name=fleet["group"]).first()
        rows = list(Instance.objects.filter(group=fleet["group"], gone_at=None))
        checks += _fleet_checks(fleet, group, rows, parameters)
        wanted = parameters["version"] or (group.version if group else "")
        number_old = sum(1 for row in rows if row.version != wanted)
        old += number_old
        versions = sorted({row.version or "unknown" for row in rows if row.version != wanted})
        by = f"version {wanted}" if wanted else "a version that can't be seen"
        now_on = f" (now on {listed(versions)})" if versions else ""
        touches.append(f"{fleet['queue']}: {count(number_old, 'worker')} replaced by {by}{now_on}.")
    if not old:
        checks.append(
            Check("Every worker is of that version already: nothing would be replaced.", True, blocking=False)
        )
    return Plan(
        kind="deploy",
        target=targets(parameters)[0],
        parameters=parameters,
        checks=tuple(checks),
        touches=tuple(touches),
        at_risk=at_deadline(parameters["on_deadline"], parameters["drain_deadline_s"]) if old else (),
    )


def _fleet_checks(
    fleet: Mapping[str, str], group: GroupSnapshot | None, rows: list[Instance], parameters: Mapping[str, Any]
) -> list[Check]:
    queue = fleet["queue"]
    if group is None or not group.present or group.desired is None or group.maximum is None:
        return [Check(f"{queue}: its Auto Scaling Group {fleet['group']} has not been seen.", None)]
    if not rows:
        return [Check(f"{queue}: no worker runs; there is nothing to replace.", True)]
    checks = []
    if not parameters["version"] and not group.version:
        checks.append(Check(f"{queue}: it can't be seen which version {fleet['group']} launches: name one.", None))
    if busy := hands.drains_of(queue):
        text = f"{queue}: {listed([f'OP-{each.pk}' for each in busy])} drains workers; wait for it, or abort it."
        checks.append(Check(text, False))
    top = group.desired + min(parameters["max_surge"], len(rows))
    if top > group.maximum:
        text = f"{queue}: a surge to {top} is above the group's maximum of {group.maximum}; surge less, or raise it."
        checks.append(Check(text, False))
    floor = max(1, group.desired - parameters["max_unavailable"])
    serving = Worker.objects.serving(queue).filter(state=State.IN_SERVICE).count()
    if parameters["max_surge"] == 0 and serving - 1 < floor:
        text = f"{queue}: {serving} in service and {floor} must stay: without a surge nothing could be drained."
        checks.append(Check(text, False))
    words = f"{queue}: {count(serving, 'worker')} in service, at least {floor} stay ready, at most {top} at once."
    return [*checks, Check(words, True)]


def observe(ports: Ports, parameters: Mapping[str, JSON], deploy: Deploy, now: datetime) -> dict[str, FleetSeen]:
    seen = {}
    for fleet in parameters["fleets"]:
        rollout = deploy.rollouts.get(fleet["queue"])
        if rollout is None or not rollout.done:  # what is done is not looked at any more
            crew = rollout.crew if rollout else None
            seen[fleet["queue"]] = look_at_fleet(ports, fleet["queue"], fleet["group"], crew, now)
    return seen


def title(parameters: Mapping[str, JSON]) -> str:
    queues = [fleet["queue"] for fleet in parameters["fleets"]]
    return f"Deploy {parameters['version'] or 'the current version'} to {listed(queues)}"


KIND: Kind[Deploy, dict[str, FleetSeen]] = Kind(
    name="deploy",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=rules.start,
    dump=memory.dump,
    load=memory.load,
    version=rules.VERSION,
    observe=observe,
    decide=rules.decide,
    actions=ACTIONS,
    can_pause=True,
    orders=ORDERS,
    topics=("deploys", "fleets"),
    mark="deploy",
)

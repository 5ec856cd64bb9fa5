"""The operation `termination`: a group announced that it ends an instance, and its worker is drained meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime

from console.accounts.actor import CONSOLE
from console.fleets.actions import ACTIONS
from console.fleets.crew import Crew, dump_crew, load_crew
from console.fleets.drain_kind import ORDERS
from console.fleets.drain_rules import DrainSeen
from console.fleets.looking import look, of_drains
from console.fleets.models import RunningTask, Worker
from console.fleets.names import node_of
from console.fleets.running import past_runs
from console.fleets.scaling import termination_rules
from console.fleets.scaling.foresight import empty_in_s
from console.fleets.scaling.termination_rules import TerminationSeen
from console.lib.words import duration, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.operations.submit import Conflict, Refused, submit
from console.platform.declared import declaration
from console.platform.ports import Ports
from console.platform.readings import TerminationNotice

log = logging.getLogger(__name__)

NAMES = ("queue", "group", "hook", "instance_id", "token", "node", "at")


def take_up(notices: Iterable[TerminationNotice], now: datetime) -> list[str]:
    """An operation for each announced termination of a declared group; the messages that need not be told again."""
    queues = {fleet.group: fleet.queue for fleet in declaration().fleets}
    handled = []
    for notice in notices:
        handled.append(notice.receipt)
        if notice.group not in queues:
            log.warning("a termination was announced for %s, which is not declared", notice.group)
            continue
        worker = Worker.objects.filter(instance_id=notice.instance_id).first()
        sent = {
            "queue": queues[notice.group],
            "group": notice.group,
            "hook": notice.hook,
            "instance_id": notice.instance_id,
            "token": notice.token,
            "node": worker.node if worker else node_of(notice.instance_id),
            "at": now.isoformat(),
            "heartbeat_s": notice.heartbeat_s,
            "limit_s": notice.limit_s,
        }
        reason = f"{notice.group} ends {notice.instance_id} by itself and waits for it (hook {notice.hook})."
        try:
            submit("termination", sent, reason=reason, by=CONSOLE, now=now)
        except Conflict:
            continue  # told twice: it is being drained
        except (Invalid, Refused) as error:
            log.warning("the termination of %s: %s", notice.instance_id, error)
    return handled


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """What the notice said; only the console asks for this, of what its group announced."""
    found: dict[str, JSON] = {name: str(sent.get(name, ""))[:400] for name in NAMES}
    fleet = declaration().fleet(found["queue"])
    if fleet is None or fleet.group != found["group"]:
        known = listed([each.queue for each in declaration().fleets], 10)
        raise Invalid({"queue": f"It is not a declared fleet of this group; declared: {known or 'none'}."})
    for name in ("hook", "instance_id"):
        if not found[name]:
            raise Invalid({name: "It is missing."})
    for name in ("heartbeat_s", "limit_s"):
        value = sent.get(name)
        if not isinstance(value, int | float) or value <= 0:
            raise Invalid({name: "A number above 0."})
        found[name] = float(value)
    try:
        datetime.fromisoformat(found["at"])
    except ValueError:
        raise Invalid({"at": "A time, ISO 8601."}) from None
    return found


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    """Not the worker itself: an operation that drains it already goes on, and this one completes the hook after it."""
    return (f"termination:{parameters['instance_id']}",)


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    text = f"{parameters['group']} waits up to {duration(parameters['limit_s'])} for it."
    touches = (f"{parameters['node']} finishes its work and stops; then the group may go on.",)
    return Plan("termination", targets(parameters)[0], parameters, (Check(text, True),), touches)


def observe(ports: Ports, parameters: Mapping[str, JSON], crew: Crew, now: datetime) -> TerminationSeen:
    found = look(ports, parameters["queue"], parameters["group"], lambda group: of_drains(crew), now)
    return TerminationSeen(DrainSeen(found.seen, 1), _left_s(parameters["instance_id"], now))


def _left_s(instance_id: str, now: datetime) -> float | None:
    worker = Worker.objects.filter(instance_id=instance_id).first()
    if worker is None or not worker.host_key:
        return None
    tasks = list(RunningTask.objects.filter(host_key=worker.host_key, state="running", started_at__isnull=False))
    past = past_runs((task.dag_id, task.task_id) for task in tasks)
    ran = [
        (past.get((task.dag_id, task.task_id), []), (now - task.started_at).total_seconds())
        for task in tasks
        if task.started_at
    ]
    return empty_in_s(ran, len(tasks))


def title(parameters: Mapping[str, JSON]) -> str:
    return f"Drain {parameters['instance_id']} of {parameters['queue']}, which its group ends"


KIND: Kind[Crew, TerminationSeen] = Kind(
    name="termination",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=termination_rules.start,
    dump=dump_crew,
    load=lambda memory, version: load_crew(memory),
    version=termination_rules.VERSION,
    observe=observe,
    decide=termination_rules.decide,
    actions=ACTIONS,
    can_abort=lambda crew: False,  # the group does not change its mind
    orders=ORDERS,
)

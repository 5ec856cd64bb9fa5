"""The operation `drain`: what it takes, its preflight from snapshots, its fresh looks. The rule is `drain_rules`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from console.fleets import drain_rules, hands
from console.fleets.actions import ACTIONS
from console.fleets.crew import Crew, dump_crew, load_crew, target
from console.fleets.drain_rules import DrainSeen
from console.fleets.looking import look, named, of_drains
from console.fleets.models import GroupSnapshot, RunningTask, Worker
from console.fleets.rules import State
from console.lib.words import count, duration, listed
from console.operations.kinds import Check, Invalid, Kind, Plan
from console.operations.rules import JSON
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.ports import Ports
from console.platform.readings import TaskIdentity
from console.platform.rules import Sight
from console.platform.sources import COMPUTE, TASKS, WORKERS

DEADLINE_S = 3600.0
ORDERS = frozenset({"wait", "undrain", "force"})
"""What may be ordered of a worker by its name at any time; without a name only where a person is asked."""
MOST = 200
TASKS_SHOWN = 50


def clean(sent: Mapping[str, JSON]) -> dict[str, JSON]:
    """`queue workers[] deadline_s on_deadline replace override_last`; each worker with its node and instance."""
    queue = str(sent.get("queue", ""))
    fleet = declaration().fleet(queue)
    if fleet is None:
        known = listed([each.queue for each in declaration().fleets], 10)
        raise Invalid({"queue": f"{queue!r} is not a declared fleet; declared: {known or 'none'}."})
    names = sent.get("workers") or []
    if not isinstance(names, list) or not names:
        raise Invalid({"workers": "Name at least one worker."})
    if len(names) > MOST:
        raise Invalid({"workers": f"{len(names)} workers; at most {MOST} in one drain. To replace a fleet, deploy."})
    deadline_s = number(sent, "deadline_s", DEADLINE_S, least=10, most=7 * 86400)
    on_deadline = choice(sent, "on_deadline", ("wait", "stop"))
    return {
        "queue": queue,
        "group": fleet.group,
        "workers": _resolved(queue, [str(name) for name in names]),
        "deadline_s": deadline_s,
        "on_deadline": on_deadline,
        "replace": bool(sent.get("replace", False)),
        "override_last": bool(sent.get("override_last", False)),
    }


def number(sent: Mapping[str, JSON], name: str, default: float, *, least: float, most: float) -> float:
    value = sent.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid({name: f"A number from {least:g} to {most:g}."})
    return float(value)


def choice(sent: Mapping[str, JSON], name: str, choices: tuple[str, ...]) -> str:
    value = sent.get(name) or choices[0]
    if value not in choices:
        raise Invalid({name: f"One of {', '.join(choices)}."})
    return str(value)


def _resolved(queue: str, names: list[str]) -> list[dict[str, str]]:
    """Workers by node, instance or host name, each once. Invalid names the nearest of an unknown one."""
    rows = list(Worker.objects.serving(queue))
    by_name: dict[str, Worker] = {}
    for row in rows:
        by_name.update({name: row for name in (row.node, row.host, row.instance_id) if name})
    found: dict[str, dict[str, str]] = {}
    for name in names:
        if name not in by_name:
            near = get_close_matches(name, list(by_name), n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]}?" if near else f"The queue has {count(len(rows), 'worker')}."
            raise Invalid({"workers": f"No worker of {queue} is called {name[:100]!r}. {hint}"})
        row = by_name[name]
        if not row.instance_id:
            raise Invalid({"workers": f"{row.node} runs on no known instance: the console could not end its host."})
        found[row.instance_id] = {"node": row.node, "instance_id": row.instance_id}
    return list(found.values())


def targets(parameters: Mapping[str, JSON]) -> tuple[str, ...]:
    return tuple(target(worker["instance_id"]) for worker in parameters["workers"])


def plan(parameters: Mapping[str, JSON], now: datetime) -> Plan:
    queue = parameters["queue"]
    sights = Source.objects.sights(now, (WORKERS, COMPUTE, TASKS))
    chosen = {worker["instance_id"] for worker in parameters["workers"]}
    rows = list(Worker.objects.serving(queue).filter(instance_id__in=chosen))
    group = GroupSnapshot.objects.filter(name=parameters["group"]).first()
    others = hands.others_serving(queue, chosen)
    checks = [visible(sights[WORKERS.name], "The workers answer.", "The workers can't be asked")]
    checks += _fleet_at_rest(queue, rows)
    checks.append(_enough(queue, others, parameters))
    if not parameters["replace"]:
        checks.append(_room(group, len(chosen)))
    if not sights[TASKS.name].seen:
        checks.append(Check("What runs there can't be seen now; it is waited for all the same.", None, blocking=False))
    after = "replaced by its group" if parameters["replace"] else "and the fleet is smaller by it"
    touches = [
        f"{worker['node']} finishes its work, stops, and its instance ends ({after})."
        for worker in parameters["workers"]
    ]
    return Plan(
        kind="drain",
        target=targets(parameters)[0],
        parameters=parameters,
        checks=tuple(checks),
        touches=tuple(touches),
        at_risk=at_deadline(parameters["on_deadline"], parameters["deadline_s"]),
        confirm=queue if parameters["override_last"] and not others else None,
    )


def at_deadline(on_deadline: str, deadline_s: float) -> tuple[str, ...]:
    """What `on_deadline: stop` puts at risk. Tasks of now are not named: by then others run, and a plan must keep."""
    if on_deadline != "stop":
        return ()
    return (f"Whatever still runs there {duration(deadline_s)} after its drain began is killed, and its try is lost.",)


def visible(sight: Sight, seen: str, hidden: str) -> Check:
    """A check that a source can be seen, with the reason where it can't."""
    return Check(seen if sight.seen else f"{hidden}: {sight.reason}.", True if sight.seen else None)


def _fleet_at_rest(queue: str, rows: list[Worker]) -> list[Check]:
    """A deploy or a resize counts on the workers that serve; those that don't may be taken away meanwhile."""
    busy = hands.holder_of_fleet(queue)
    if busy is None:
        return []
    serving = [row.node for row in rows if row.state == State.IN_SERVICE]
    text = f"OP-{busy.pk} ({busy.kind}) works on the whole fleet {queue}"
    if not serving:
        return [Check(f"{text}; what is drained here does not serve.", True)]
    return [Check(f"{text} and counts on {listed(serving)}: wait for its end, or abort it.", False)]


def _enough(queue: str, others: int, parameters: Mapping[str, JSON]) -> Check:
    if others:
        return Check(f"{count(others, 'other worker')} of {queue} {'serves' if others == 1 else 'serve'} on.", True)
    text = f"No other worker of {queue} is in service: its tasks would wait."
    return Check(text, False, blocking=not parameters["override_last"])


def _room(group: GroupSnapshot | None, leaving: int) -> Check:
    """AWS refuses to take a group below its minimum."""
    if group is None or group.desired is None or group.minimum is None:
        return Check("The Auto Scaling Group has not been seen yet.", None)
    left = group.desired - leaving
    if left < group.minimum:
        text = (
            f"{group.name} may not go below {group.minimum}: replace the workers instead, or lower the baseline first."
        )
        return Check(text, False)
    return Check(f"{group.name} goes from {group.desired} to {left}.", True)


def tasks_on(host_keys: list[str]) -> list[str]:
    """What runs on these hosts by the last reading, the oldest first: dag.task (run)."""
    rows = RunningTask.objects.filter(host_key__in=host_keys, state="running").order_by("started_at")[:TASKS_SHOWN]
    return [named(TaskIdentity(row.dag_id, row.task_id, row.run_id, row.map_index)) for row in rows]


def observe(ports: Ports, parameters: Mapping[str, JSON], crew: Crew, now: datetime) -> DrainSeen:
    queue = parameters["queue"]
    found = look(ports, queue, parameters["group"], lambda group: of_drains(crew), now)
    visible = Source.objects.sights(now, (WORKERS,))[WORKERS.name].seen
    busy = hands.holder_of_fleet(queue)
    others = hands.others_serving(queue, crew.drains) if visible else None
    return DrainSeen(found.seen, others, f"OP-{busy.pk}" if busy else "")


def title(parameters: Mapping[str, JSON]) -> str:
    workers: list[dict[str, Any]] = parameters["workers"]
    who = workers[0]["instance_id"] if len(workers) == 1 else count(len(workers), "worker")
    return f"Drain {who} of {parameters['queue']}"


KIND: Kind[Crew, DrainSeen] = Kind(
    name="drain",
    title=title,
    clean=clean,
    targets=targets,
    plan=plan,
    start=drain_rules.start,
    dump=dump_crew,
    load=lambda memory, version: load_crew(memory),
    version=drain_rules.VERSION,
    observe=observe,
    decide=drain_rules.decide,
    actions=ACTIONS,
    can_pause=True,
    orders=ORDERS,
    topics=("fleets",),
)

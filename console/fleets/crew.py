"""Several drains of one fleet at once: step each, and gather what they want into as few calls as can be. Pure.

A call goes to many workers at a time (`nodes`): the cost of a tick does not grow with the fleet. What a call was to
achieve is remembered as a `Batch` until every worker in it shows the effect: only then is its step VERIFIED.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.fleets.drain_memory import dump, load
from console.fleets.draining import Act, Drain, Next, Phase, Seen, step
from console.lib.words import count
from console.operations.rules import Call

MOST_TERMINATED = 10
"""Instances that one tick ends in a fleet."""
Terminate = Callable[[Drain], bool]
"""Whether the group's desired capacity goes down with this instance (True), or it is replaced (False)."""

_ACHIEVED: dict[Act, frozenset[Phase]] = {
    Act.CANCEL: frozenset(Phase) - {Phase.SERVING, Phase.QUIESCING},
    Act.CONSUME: frozenset({Phase.UNDRAINED}),
    Act.STOP: frozenset({Phase.EXITED, Phase.TERMINATING, Phase.GONE, Phase.LOST}),
    Act.TERMINATE: frozenset({Phase.GONE, Phase.LOST}),
}


def target(instance_id: str) -> str:
    """What an operation on one worker holds alone."""
    return f"worker:{instance_id}"


@dataclass(frozen=True)
class Batch:
    key: str
    act: Act
    instances: tuple[str, ...]


@dataclass(frozen=True)
class Crew:
    """The drains of one fleet, by instance; the batches whose effect is not proven; a number for the next keys."""

    queue: str
    group: str
    drains: Mapping[str, Drain]
    batches: tuple[Batch, ...] = ()
    number: int = 0

    def at_work(self) -> tuple[Drain, ...]:
        return tuple(drain for drain in self.drains.values() if not drain.ended)


@dataclass(frozen=True)
class Moved:
    crew: Crew
    calls: tuple[Call, ...] = ()
    notes: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()


def advance(crew: Crew, seen: Mapping[str, Seen], now: datetime, terminate: Terminate) -> Moved:
    """Step every drain that is at work, by what was seen of it; a worker that was not looked at stays as it is."""
    results = {
        drain.instance_id: step(drain, seen[drain.instance_id], now)
        for drain in crew.at_work()
        if drain.instance_id in seen
    }
    return settle(crew, results, terminate)


def settle(crew: Crew, results: Mapping[str, Next], terminate: Terminate) -> Moved:
    """Take over the results of steps: the new drains, their wants as calls, and the batches that are proven now."""
    results = _in_turn(crew, results)
    drains = {**crew.drains, **{instance: result.drain for instance, result in results.items()}}
    wanted: dict[tuple[Act, tuple[str, ...]], list[Drain]] = {}
    for result in results.values():
        for want in result.wants:
            queues = result.drain.queues if want.act in (Act.CANCEL, Act.CONSUME) else ()
            wanted.setdefault((want.act, queues), []).append(result.drain)
    calls: list[Call] = []
    batches = list(crew.batches)
    number = crew.number
    for (act, queues), members in wanted.items():
        for group in [[m] for m in members] if act is Act.TERMINATE else [members]:
            number += 1
            key = f"{crew.queue}:{act}:{number}"
            calls.append(_call(key, act, queues, group, crew, terminate))
            batches.append(Batch(key, act, tuple(m.instance_id for m in group)))
    proven = [batch for batch in batches if all(_achieved(batch.act, drains.get(i)) for i in batch.instances)]
    return Moved(
        Crew(crew.queue, crew.group, drains, tuple(b for b in batches if b not in proven), number),
        tuple(calls),
        tuple(note for result in results.values() for note in result.notes),
        tuple(batch.key for batch in proven),
    )


def _in_turn(crew: Crew, results: Mapping[str, Next]) -> dict[str, Next]:
    """At most `MOST_TERMINATED` instances are ended at once: each is a call of its own, and a tick has to end in time.

    The others stay exited, and have their turn at the next tick. What a person forced is not held back.
    """
    ending = [
        instance
        for instance, result in results.items()
        if any(want.act is Act.TERMINATE for want in result.wants)
        and instance in crew.drains
        and crew.drains[instance].phase is Phase.EXITED
    ]
    later = set(ending[MOST_TERMINATED:])
    return {instance: result for instance, result in results.items() if instance not in later}


def _achieved(act: Act, drain: Drain | None) -> bool:
    return drain is None or drain.phase in _ACHIEVED[act]


def _call(key: str, act: Act, queues: tuple[str, ...], members: list[Drain], crew: Crew, terminate: Terminate) -> Call:
    who = members[0].node if len(members) == 1 else count(len(members), "worker")
    nodes = [member.node for member in members]
    match act:
        case Act.CANCEL:
            return Call(key, "cancel", f"Stop {who} from taking new work", {"nodes": nodes, "queues": list(queues)})
        case Act.CONSUME:
            return Call(key, "consume", f"Let {who} take work again", {"nodes": nodes, "queues": list(queues)})
        case Act.STOP:
            return Call(key, "stop", f"Stop {who}, empty now", {"nodes": nodes})
        case Act.TERMINATE:
            decrement = terminate(members[0])
            what = "not replaced" if decrement else "replaced by its group"
            args = {"instance_id": members[0].instance_id, "group": crew.group, "decrement": decrement}
            # Never twice: a second one could take the desired capacity down twice.
            return Call(key, "terminate", f"Terminate {members[0].instance_id}, {what}", args, once=True)


def dump_crew(crew: Crew) -> dict[str, Any]:
    return {
        "queue": crew.queue,
        "group": crew.group,
        "drains": [dump(drain) for drain in crew.drains.values()],
        "batches": [[batch.key, batch.act, list(batch.instances)] for batch in crew.batches],
        "number": crew.number,
    }


def load_crew(memory: Mapping[str, Any]) -> Crew:
    drains = [load(each) for each in memory.get("drains", ())]
    return Crew(
        memory["queue"],
        memory["group"],
        {drain.instance_id: drain for drain in drains},
        tuple(Batch(key, Act(act), tuple(instances)) for key, act, instances in memory.get("batches", ())),
        int(memory.get("number", 0)),
    )

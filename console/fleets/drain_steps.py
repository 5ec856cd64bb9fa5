"""One worker's drain under an operation: what people ordered comes first, then its deadline, then the next step. Pure.

Shared by every operation that drains workers, so that an answer means the same everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from console.fleets import draining
from console.fleets.draining import UNDOABLE, Drain, Next, Phase, Seen
from console.operations.rules import Answer, Orders


@dataclass(frozen=True)
class Terms:
    """What an operation grants the workers that it drains."""

    deadline_s: float
    stop_at_deadline: bool  # asked for at the start; else a person is asked


def answer_to(drain: Drain, answers: Iterable[Answer], now: datetime) -> Answer | None:
    """The order that is meant for this worker: the one that names it, else one for all that are in question."""
    meant = None
    for answer in answers:
        named = answer.args.get("instance_id")
        asked = drain.needs_choice(now) or (answer.choice == "undrain" and drain.phase in UNDOABLE)
        if named == drain.instance_id or (named is None and asked and meant is None):
            meant = answer
    return meant


def next_of(
    drain: Drain, seen: Seen, orders: Orders, terms: Terms, now: datetime, *, giving_up: bool, too_few: str = ""
) -> Next:
    """What becomes of it at this tick. A worker that has not been begun is left as it is unless somebody orders.

    `too_few` says why no further worker may be taken from the queue now: one that still consumes (its cancel was lost,
    or it came back after a reconnect) then serves on until there are enough again.
    """
    answer = answer_to(drain, orders.answers, now)
    if giving_up and drain.phase in UNDOABLE:
        return draining.undrain(drain, now, "abort")
    match answer.choice if answer else "":
        case "force" if answer and (drain.overdue(now) or "instance_id" in answer.args or not recovered(drain, seen)):
            return draining.force(drain, seen, now, answer.by)
        case "undrain" if answer:
            return draining.undrain(drain, now, answer.by)
        case "wait" if answer:
            longer = draining.step(draining.extend(drain, now, terms.deadline_s), seen, now)
            return replace(longer, notes=(f"{drain.node} gets more time ({answer.by}).", *longer.notes))
    if drain.overdue(now) and terms.stop_at_deadline:
        return draining.force(drain, seen, now, "its deadline, as ordered at the start")
    if too_few and drain.phase in (Phase.QUIESCING, Phase.DRAINING) and seen.queues:
        return Next(replace(drain, looks=0, remaining=seen.active or drain.remaining, why=f"{too_few}: it serves on"))
    return draining.step(drain, seen, now)


def recovered(drain: Drain, seen: Seen) -> bool:
    """Whether what it was in question for is over by now: then nobody meant it to be forced."""
    if drain.phase in UNDOABLE:
        return bool(seen.answered)
    if drain.phase is Phase.UNDRAINING:
        return bool(seen.answered) and set(drain.queues) <= set(seen.queues or ())
    return seen.receipt is not None


def by_instance(drains: Iterable[Drain], seen: Mapping[str, Seen]) -> list[tuple[Drain, Seen]]:
    """Each drain with its look; all unknown where there was none."""
    return [(drain, seen.get(drain.instance_id, Seen(None))) for drain in drains]

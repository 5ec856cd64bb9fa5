"""The operation `drain`: take chosen workers out of one queue without losing a task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.fleets import draining
from console.fleets.crew import Crew, Moved, settle
from console.fleets.drain_steps import Terms, answer_to, by_instance, next_of
from console.fleets.draining import UNDOABLE, Drain, Next, Phase, Seen
from console.lib.words import count, listed
from console.operations.rules import (
    Decision,
    Ledger,
    Level,
    Line,
    Orders,
    Outcome,
    Progress,
    Question,
    State,
)

VERSION = 1
NOBODY_ELSE = "no other worker would serve the queue"


@dataclass(frozen=True)
class DrainSeen:
    """One look: each worker by its instance, and how many other workers of the queue serve now (None: not seen).

    `fleet_busy` names the operation that works on the whole fleet (a deploy, a resize); "" when there is none.
    """

    workers: Mapping[str, Seen]
    others_serving: int | None
    fleet_busy: str = ""


def start(parameters: Mapping[str, Any]) -> Crew:
    queue, group = parameters["queue"], parameters["group"]
    drains = {
        worker["instance_id"]: Drain(worker["node"], worker["instance_id"], (queue,))
        for worker in parameters["workers"]
    }
    return Crew(queue, group, drains)


def decide(
    parameters: Mapping[str, Any], crew: Crew, seen: DrainSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Crew]:
    """One tick: carry out what people ordered, begin what has not begun, step the rest, and say how far it is."""
    terms = Terms(parameters["deadline_s"], parameters["on_deadline"] == "stop")
    enough = bool(seen.others_serving) or bool(parameters["override_last"])
    too_few = "" if enough else NOBODY_ELSE
    results: dict[str, Next] = {}
    waits = ""
    for drain, look in by_instance(crew.at_work(), seen.workers):
        begun = drain.phase is not Phase.SERVING
        if begun or orders.aborting or answer_to(drain, orders.answers, now):
            result = next_of(drain, look, orders, terms, now, giving_up=orders.aborting, too_few=too_few)
        elif draining.is_gone(look):
            result = draining.gone_already(drain, now)
        elif orders.paused:
            continue
        elif why := _not_yet(drain, look, seen, enough):
            waits = why
            result = Next(draining.silent(drain, look, now))
        else:
            result = draining.begin(drain, look, now, parameters["deadline_s"])
        results[drain.instance_id] = result
    moved = settle(crew, results, lambda drain: not parameters["replace"])
    return _decision(moved, parameters, orders, waits, now)


def _not_yet(drain: Drain, look: Seen, seen: DrainSeen, enough: bool) -> str:
    """Why this worker's drain can't begin now; "" when it can."""
    if look.answered is None:
        return "the broker can't be asked"
    if not look.answered:
        return f"{drain.node} does not answer yet"
    if seen.fleet_busy and look.queues:
        # That operation counts on the workers that serve; one that does not serve may go all the same.
        return f"{seen.fleet_busy} works on the whole fleet"
    if not enough:
        return NOBODY_ELSE if seen.others_serving == 0 else "the others can't be seen"
    return ""


def _decision(moved: Moved, parameters: Mapping[str, Any], orders: Orders, hold: str, now: datetime) -> Decision[Crew]:
    drains = list(moved.crew.drains.values())
    ended = [drain for drain in drains if drain.ended]
    remaining = sum(len(drain.remaining) for drain in drains if not drain.ended)
    words = hold or (f"{count(remaining, 'task')} to finish" if remaining else "")
    progress = Progress(len(ended), len(drains), words)
    lines = tuple(Line(note, level_of(note)) for note in moved.notes)
    return Decision(
        moved.crew,
        moved.calls,
        moved.verified,
        lines,
        next_tick_s=2.0,
        progress=progress,
        question=question(drains, now, ask_overdue=parameters["on_deadline"] == "wait"),
        outcome=_outcome(drains, orders) if len(ended) == len(drains) or _never_begun(drains, orders) else None,
    )


def level_of(note: str) -> Level:
    """A note of work that was lost is an error; any other is only told."""
    return Level.ERROR if "took along" in note or "takes along" in note else Level.INFO


def _never_begun(drains: list[Drain], orders: Orders) -> bool:
    return orders.aborting and all(drain.ended or drain.phase is Phase.SERVING for drain in drains)


def _outcome(drains: list[Drain], orders: Orders) -> Outcome:
    lost = [drain for drain in drains if drain.phase is Phase.LOST]
    back = [drain for drain in drains if drain.phase is Phase.UNDRAINED]
    gone = [drain for drain in drains if drain.phase is Phase.GONE]
    if lost:
        tasks = [task for drain in lost for task in drain.lost]
        what = f"lost work: {listed(tasks, 5)}" if tasks else "no task is known to be lost"
        return Outcome(State.FAILED, f"{listed([drain.node for drain in lost])} ended before it was empty; {what}.")
    if orders.aborting or (back and not gone):
        return Outcome(
            State.ABORTED, f"{count(len(gone), 'worker')} drained, {len(drains) - len(gone)} left in service."
        )
    tail = f"; {count(len(back), 'worker')} put back in service" if back else ""
    return Outcome(State.SUCCEEDED, f"{count(len(gone), 'worker')} drained, no task lost{tail}.")


def question(drains: list[Drain], now: datetime, *, ask_overdue: bool) -> Question | None:
    """What a person must choose: of workers that still have work at their deadline, and of those that wait in vain.

    What a force would lose is named in the question. With `ask_overdue` False the deadline itself decides.
    """
    overdue = [drain for drain in drains if ask_overdue and drain.overdue(now)]
    stuck = [drain for drain in drains if drain not in overdue and drain.stuck(now)]
    if not overdue and not stuck:
        return None
    said = [f"{listed([drain.node for drain in overdue])} still has work at its deadline."] if overdue else []
    said += [drain.stuck(now) for drain in stuck[:3]]
    said += [f"So do {count(len(stuck) - 3, 'other worker')}."] if len(stuck) > 3 else []
    tasks = [task for drain in (*overdue, *stuck) for task in drain.remaining]
    if tasks:
        said.append(f"A force would lose {listed(tasks, 5)}.")
    elif stuck:
        said.append("No task is known that a force would lose.")
    choices = [("wait", "give it as long again")]
    if any(drain.phase in UNDOABLE for drain in (*overdue, *stuck)):
        choices.append(("undrain", "put it back in service"))
    choices.append(("force", "terminate it now and lose what runs on it"))
    return Question(" ".join(said), tuple(choices))

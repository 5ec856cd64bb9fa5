"""The operation `drain`: take chosen workers out of one queue without losing a task. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.fleets import draining
from console.fleets.crew import Crew, Moved, settle
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
    results: dict[str, Next] = {}
    for answer in orders.answers:
        for drain in _meant(crew, answer.args, answer.choice, now):
            results[drain.instance_id] = _obey(drain, answer.choice, answer.by, seen, parameters, now)
    if orders.aborting:
        for drain in crew.at_work():
            if drain.phase in UNDOABLE:
                results[drain.instance_id] = draining.undrain(drain, now, "abort")
    hold = ""
    for drain in crew.at_work():
        if drain.instance_id in results:
            continue
        look = seen.workers.get(drain.instance_id, Seen(None))
        if drain.phase is not Phase.SERVING:
            if drain.overdue(now) and parameters["on_deadline"] == "stop":
                results[drain.instance_id] = draining.force(drain, look, now, "its deadline, as ordered at the start")
            else:
                results[drain.instance_id] = draining.step(drain, look, now)
        elif draining.is_gone(look):
            results[drain.instance_id] = draining.gone_already(drain, now)
        elif orders.paused:
            continue
        elif not look.answered:
            hold = f"{drain.node} does not answer yet" if look.answered is False else "the broker can't be asked"
            results[drain.instance_id] = Next(draining.silent(drain, look, now))
        elif seen.fleet_busy and look.queues:
            # That operation counts on the workers that serve; one that does not serve may go all the same.
            hold = f"{seen.fleet_busy} works on the whole fleet"
        elif not seen.others_serving and not parameters["override_last"]:
            hold = "no other worker would serve the queue" if seen.others_serving == 0 else "the others can't be seen"
        else:
            results[drain.instance_id] = draining.begin(drain, look, now, parameters["deadline_s"])
    moved = settle(crew, results, lambda drain: not parameters["replace"])
    return _decision(moved, parameters, orders, hold, now)


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


def _meant(crew: Crew, args: Mapping[str, Any], choice: str, now: datetime) -> list[Drain]:
    """The workers an answer speaks of: the one it names, else all in question (for undrain: all that can be)."""
    if (instance := args.get("instance_id")) is not None:
        return [crew.drains[instance]] if instance in crew.drains and not crew.drains[instance].ended else []
    asked = [drain for drain in crew.at_work() if drain.needs_choice(now)]
    return asked or (list(crew.at_work()) if choice == "undrain" else [])


def _obey(drain: Drain, choice: str, by: str, seen: DrainSeen, parameters: Mapping[str, Any], now: datetime) -> Next:
    look = seen.workers.get(drain.instance_id, Seen(None))
    match choice:
        case "wait":
            longer = draining.step(draining.extend(drain, now, parameters["deadline_s"]), look, now)
            return replace(longer, notes=(f"{drain.node} gets more time ({by}).", *longer.notes))
        case "undrain":
            return draining.undrain(drain, now, by)
        case "force":
            return draining.force(drain, look, now, by)
    return Next(drain)

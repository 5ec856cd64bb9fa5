"""The operation `resize`: how many workers a fleet has, and between which limits. Pure.

Growing is done at once, by the group's desired capacity. Shrinking is never left to the group, which would end a worker
with its tasks: workers are drained, the idle ones first, and each goes together with its place in the group. While that
lasts the group's maximum stays high enough that it has no reason to end one by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.fleets import draining
from console.fleets.crew import Crew, dump_crew, load_crew, settle, target
from console.fleets.drain_rules import NOBODY_ELSE, level_of, question
from console.fleets.drain_steps import Terms, next_of
from console.fleets.draining import UNDOABLE, Drain, Next, Phase
from console.fleets.members import FleetSeen, ends_soonest
from console.lib.words import count, listed
from console.operations.rules import Call, Decision, Ledger, Line, Orders, Outcome, Progress, State, StepState

VERSION = 1
REDO_S = 20.0
REFUSALS = 3
LAUNCH_S = 900.0


@dataclass(frozen=True)
class Resize:
    """What it is to become, and how far it is. `planned` False: nothing was looked at yet."""

    crew: Crew
    planned: bool = False
    before: int = 0  # workers at the start
    wanted: int = 0
    minimum: int = 0
    maximum: int = 0
    asked_at: datetime | None = None  # the last change of limits or desired capacity
    number: int = 0
    grown_at: datetime | None = None  # when the group was first seen to want as many as are due
    declined: tuple[str, ...] = ()  # instances that other operations were found to hold


def start(parameters: Mapping[str, Any]) -> Resize:
    return Resize(Crew(parameters["queue"], parameters["group"], {}))


def aim(parameters: Mapping[str, Any], minimum: int, maximum: int, desired: int) -> tuple[int, int, int]:
    """What is asked for as minimum, maximum and number of workers, given what the group has now."""
    least = minimum if parameters["baseline"] is None else parameters["baseline"]
    most = maximum if parameters["max"] is None else parameters["max"]
    wanted = desired if parameters["desired"] is None else parameters["desired"]
    return least, most, min(max(wanted, least), most)


def decide(
    parameters: Mapping[str, Any], state: Resize, seen: FleetSeen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Resize]:
    if not state.planned:
        return _plan(parameters, state, seen, orders)
    return _Tick(parameters, state, seen, ledger, orders, now).run()


def _plan(parameters: Mapping[str, Any], state: Resize, seen: FleetSeen, orders: Orders) -> Decision[Resize]:
    if orders.aborting:
        return Decision(state, outcome=Outcome(State.ABORTED, "Nothing had been touched."))
    if not seen.visible:
        return Decision(state, progress=Progress(text="waiting to see the group and its workers"))
    minimum, maximum, wanted = aim(parameters, seen.minimum, seen.maximum, seen.desired)
    if minimum > maximum:
        text = f"The group's minimum would be {minimum} and its maximum {maximum}: it was changed meanwhile."
        return Decision(state, outcome=Outcome(State.FAILED, text))
    planned = replace(state, planned=True, before=seen.desired, wanted=wanted, minimum=minimum, maximum=maximum)
    text = f"From {count(seen.desired, 'worker')} to {wanted}, between {minimum} and {maximum}."
    calls = _switch(parameters)
    return Decision(planned, calls, notes=(Line(text),), progress=_progress(planned, seen, "planned"), next_tick_s=0.5)


def _switch(parameters: Mapping[str, Any]) -> tuple[Call, ...]:
    """With the sizes the autoscaling may be switched: in the console's own memory, at once."""
    word = parameters.get("autoscaling")
    if not word:
        return ()
    args = {"queue": parameters["queue"], "on": word == "on", "until": None}
    return (Call("switch", "set_switch", f"Switch autoscaling {word}", args),)


class _Tick:
    """A class only to carry what the steps share; nothing of it outlives the tick but `state`."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        state: Resize,
        seen: FleetSeen,
        ledger: Ledger,
        orders: Orders,
        now: datetime,
    ) -> None:
        self.parameters = parameters
        self.state = state
        self.seen = seen
        self.ledger = ledger
        self.orders = orders
        self.now = now
        self.calls: list[Call] = []
        self.notes: list[str] = []
        self.verified: list[str] = []
        self.lock: list[str] = []
        self.waits = ""

    def run(self) -> Decision[Resize]:
        results = self._step_drains()
        if self.ledger.stage("switch") is StepState.CALLED:
            self.verified.append("switch")
        elif self.ledger.stage("switch") is StepState.INTENT:
            self.calls += _switch(self.parameters)
        refused = self._refused()
        if not self.seen.visible:
            self.waits = "the group or its workers can't be seen"
        elif refused:
            self.waits = refused
        elif self.orders.paused:
            self.waits = "paused"
        elif not self.orders.aborting:
            results |= self._towards(results)
        moved = settle(self.state.crew, results, lambda drain: True)
        self.state = replace(self.state, crew=moved.crew)
        at_work = list(moved.crew.at_work())
        if self.orders.aborting:
            at_work = [drain for drain in at_work if drain.phase not in UNDOABLE]
        return Decision(
            self.state,
            (*self.calls, *moved.calls),
            (*self.verified, *moved.verified),
            tuple(Line(note, level_of(note)) for note in (*self.notes, *moved.notes)),
            next_tick_s=2.0,
            progress=_progress(self.state, self.seen, self.waits),
            question=question(at_work, self.now, ask_overdue=self.parameters["on_deadline"] == "wait"),
            outcome=self._outcome(refused),
            lock=tuple(self.lock),
        )

    # -- the ones that go --------------------------------------------------------------------------------------------

    def _step_drains(self) -> dict[str, Next]:
        terms = Terms(self.parameters["deadline_s"], self.parameters["on_deadline"] == "stop")
        queue, aborting = self.state.crew.queue, self.orders.aborting
        others = sum(m.serves(queue) for m in self.seen.live if m.instance_id not in self.state.crew.drains)
        too_few = "" if others or self.parameters["override_last"] else NOBODY_ELSE
        return {
            drain.instance_id: next_of(drain, look, self.orders, terms, self.now, giving_up=aborting, too_few=too_few)
            for drain in self.state.crew.at_work()
            for look in (self.seen.of(drain.instance_id),)
        }

    def _goal(self) -> int:
        """As many as are wanted, and those that a person put back in service."""
        back = sum(1 for drain in self.state.crew.drains.values() if drain.phase is Phase.UNDRAINED)
        return self.state.wanted + back

    def _towards(self, results: Mapping[str, Next]) -> dict[str, Next]:
        """One step nearer: the limits, then more workers, or the next ones to drain."""
        state, seen, goal = self.state, self.seen, self._goal()
        shrinking = seen.desired > goal
        # The group must have no reason to end a worker by itself, and leave to let one go.
        high = max(state.before, seen.desired) if shrinking else 0
        limits = (min(state.minimum, goal), max(state.maximum, goal, high))
        if (seen.minimum, seen.maximum) != limits:
            low, high = limits
            text = f"Let {state.crew.group} have {low} to {high} workers"
            self._ask("limits", "set_limits", text, {"minimum": low, "maximum": high})
            if shrinking or not seen.minimum <= goal <= seen.maximum:
                self.waits = "the group's limits change"
                return {}
        else:
            self._proven("limits")
        if seen.desired < goal:
            self._ask(
                "desired", "set_desired", f"Raise {state.crew.group} to {count(goal, 'worker')}", {"desired": goal}
            )
            self.waits = "the group launches workers"
            return {}
        if seen.desired == goal:
            self._proven("desired")
            self.state = replace(state, grown_at=state.grown_at or self.now)
            return {}
        return self._begin_drains(results, seen.desired - goal)

    def _begin_drains(self, results: Mapping[str, Next], surplus: int) -> dict[str, Next]:
        crew = self.state.crew
        now_at_work = [results[d.instance_id].drain if d.instance_id in results else d for d in crew.at_work()]
        missing = surplus - sum(1 for drain in now_at_work if not drain.ended)
        if missing <= 0:
            return {}
        queue = crew.queue
        refused = [m.instance_id for m in self.seen.live if target(m.instance_id) in self.ledger.refused]
        declined = {*self.state.declined, *refused}
        free = [m for m in self.seen.live if m.instance_id not in crew.drains and m.instance_id not in declined]
        # Serving ones first: one that does not answer can't be seen to be empty, and would need a person.
        free.sort(key=lambda m: (not m.serves(queue), target(m.instance_id) not in self.ledger.held, *ends_soonest(m)))
        chosen = free[:missing]
        serving = sum(1 for member in free if member.serves(queue))
        begun: dict[str, Next] = {}
        for member in chosen:
            name = target(member.instance_id)
            if name not in self.ledger.held:
                self.lock.append(name)
                continue
            if member.seen.answered is None or member.lifecycle != "InService":
                self.waits = f"{member.node} can't be seen yet"
                continue
            left = serving - member.serves(queue)
            if left < 1 and not self.parameters["override_last"]:
                self.waits = f"no other worker would serve {queue}"
                continue
            serving = left
            drain = Drain(member.node, member.instance_id, (queue,))
            begun[member.instance_id] = draining.begin(drain, member.seen, self.now, self.parameters["deadline_s"])
        if len(chosen) < missing:  # ask again for those that were held
            self.waits, declined = "the others are held by other operations", set()
        self.state = replace(self.state, declined=tuple(sorted(declined)))
        return begun

    # -- the group ---------------------------------------------------------------------------------------------------

    def _ask(self, what: str, action: str, title: str, args: dict[str, int]) -> None:
        """Call the group, and again when nothing came of it for a while (also by a clock that went back)."""
        state = self.state
        lately = state.asked_at is not None and abs((self.now - state.asked_at).total_seconds()) < REDO_S
        if lately and f"{what}:{state.number}" in self.ledger.steps:
            return
        number = state.number + 1
        self.calls.append(Call(f"{what}:{number}", action, title, {"group": state.crew.group, **args}))
        self.state = replace(state, asked_at=self.now, number=number)

    def _proven(self, what: str) -> None:
        steps = self.ledger.steps.items()
        self.verified += [key for key, step in steps if key.startswith(f"{what}:") and step.state is StepState.CALLED]

    def _refused(self) -> str:
        """What the group will not do, however often it is asked; "" when nothing was refused."""
        failed = [
            step
            for key, step in self.ledger.steps.items()
            if key.startswith(("limits:", "desired:")) and step.state is StepState.FAILED
        ]
        return f"the group refuses: {failed[-1].error}" if len(failed) >= REFUSALS else ""

    # -- the end -----------------------------------------------------------------------------------------------------

    def _outcome(self, refused: str) -> Outcome | None:
        state, seen = self.state, self.seen
        if self.ledger.stage("switch") is StepState.INTENT:
            return None
        drains = list(state.crew.drains.values())
        if state.crew.at_work():
            return None
        lost = [task for drain in drains for task in drain.lost]
        died = [drain.node for drain in drains if drain.phase is Phase.LOST]
        gone = sum(1 for drain in drains if drain.phase in (Phase.GONE, Phase.LOST))
        if self.orders.aborting:
            return Outcome(State.ABORTED, f"Given up: {count(gone, 'worker')} drained, {_size(seen)}.")
        if refused:
            return Outcome(State.FAILED, _sentence(f"{refused.rstrip('.')}; {_size(seen)}."))
        if not seen.visible or self.calls or self.lock or seen.desired != self._goal() or not self._limited():
            return None
        if died:
            what = f"lost work: {listed(lost, 5)}" if lost else "no task is known to be lost"
            return Outcome(State.FAILED, f"Resized, but {listed(died)} ended before it was empty; {what}.")
        ready = sum(1 for member in seen.live if member.lifecycle == "InService")
        if seen.desired > state.before and ready < seen.desired and self.parameters.get("wait", True):
            late = state.grown_at is not None and (self.now - state.grown_at).total_seconds() >= LAUNCH_S
            text = f"{ready} of {count(seen.desired, 'worker')} are in service: the group can't launch the others."
            return Outcome(State.FAILED, text) if late else None
        tail = f", {gone} drained, no task lost" if gone else ""
        text = f"{_size(seen)}, between {seen.minimum} and {seen.maximum}{tail}."
        return Outcome(State.SUCCEEDED, _sentence(text))

    def _limited(self) -> bool:
        goal = self._goal()
        limits = (min(self.state.minimum, goal), max(self.state.maximum, goal))
        return (self.seen.minimum, self.seen.maximum) == limits


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _size(seen: FleetSeen) -> str:
    return f"the group wants {count(seen.desired, 'worker')}" if seen.visible else "the group can't be seen"


def _progress(state: Resize, seen: FleetSeen, waits: str) -> Progress:
    total = abs(state.wanted - state.before)
    if state.wanted < state.before:
        done = sum(1 for drain in state.crew.drains.values() if drain.phase in (Phase.GONE, Phase.LOST))
    else:
        in_service = sum(1 for member in seen.live if member.lifecycle == "InService")
        done = max(0, min(total, in_service - state.before))
    remaining = sum(len(drain.remaining) for drain in state.crew.at_work())
    return Progress(done, total, waits or (f"{count(remaining, 'task')} to finish" if remaining else ""))


def dump(state: Resize) -> dict[str, Any]:
    values = {name: getattr(state, name) for name in Resize.__dataclass_fields__}
    for name in ("asked_at", "grown_at"):
        values[name] = values[name].isoformat() if values[name] else None
    return values | {"crew": dump_crew(state.crew)}


def load(memory: Mapping[str, Any], version: int) -> Resize:
    """Of this or an earlier version: what is missing takes its default, what is not known is left out."""
    known = {name: value for name, value in memory.items() if name in Resize.__dataclass_fields__}
    for name in ("asked_at", "grown_at"):
        known[name] = datetime.fromisoformat(known[name]) if known.get(name) else None
    known |= {"crew": load_crew(memory["crew"]), "declined": tuple(memory.get("declined") or ())}
    return Resize(**known)

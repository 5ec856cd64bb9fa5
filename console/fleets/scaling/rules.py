"""How many workers a fleet should have, and because of what. Pure: `now` and every reading are passed in.

The order of thought, each part of it a line on the card and a clause of the sentence:
1. what can't be seen is never a reason to change anything: hold;
2. Airflow's queued and running tasks over the slots of a worker: the plain need;
3. of more workers only as many as shorten a wait: none for work that starts or ends before they are up;
4. what is scheduled to start within the boot time of a worker is there already;
5. between the baseline of this hour and the maximum, a step at a time;
6. fewer only when fewer have been enough for the whole cooldown (`Past`): so a constant load never oscillates.

Invariants (tests/fleets/scaling): baseline <= desired <= maximum; no change on unknown data; under a constant load
the number settles and stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heapify, heappop, heappush
from math import ceil, inf

from console.fleets.scaling.policy import BOOT_S, INTERVAL_S, Policy, clock
from console.lib.words import count, duration, listed

LINGER_S = 30.0
"""A scheduled run's tasks are queued within so long after its time; so long it is expected, unless it was seen."""
FORESEEN = 2000
"""More queued tasks than these are not foreseen one by one: the plain need stands."""


class Action(StrEnum):
    OUT = "out"
    IN = "in"
    HOLD = "hold"
    BLIND = "blind"  # held because something can't be seen


@dataclass(frozen=True)
class Peak:
    """Tasks that a DAG's next run will bring to this queue at once."""

    dag_id: str
    at: datetime
    tasks: int
    take_s: float | None = None  # how long one of them usually takes


@dataclass(frozen=True)
class Demand:
    """The work of one queue. None in a count: it can't be seen.

    `left_s` are the seconds that running tasks still need by their own history, `take_s` those that queued ones will:
    None where a task has none. There may be fewer of either than there are tasks: the others are unknown too.
    """

    queued: int | None
    running: int | None
    depth: int | None = None
    reserved: int | None = None
    left_s: tuple[float | None, ...] = ()
    take_s: tuple[float | None, ...] = ()
    peaks: tuple[Peak, ...] = ()


@dataclass(frozen=True)
class Supply:
    """The fleet as it is. `leaving` workers are being drained by the autoscaler and take their place along."""

    desired: int | None
    minimum: int | None
    maximum: int | None
    in_service: int | None
    arriving_s: tuple[float, ...] = ()  # of each launching worker: seconds until it should be up
    leaving: int = 0
    active: int | None = None  # tasks of the workers in service, by their own word
    boot_s: float | None = None  # measured

    @property
    def current(self) -> int:
        """Workers that there will be if nothing is decided."""
        return max(0, (self.desired or 0) - self.leaving)


@dataclass(frozen=True)
class Past:
    """What was needed at the decisions of the cooldown, and for how long decisions have been made without a gap."""

    needs: tuple[int, ...] = ()
    watched_s: float = 0.0


@dataclass(frozen=True)
class Decision:
    """`desired` None: nothing is known, and nothing is to change. `lines` are (word, sentence) for the card."""

    action: Action
    current: int | None
    desired: int | None
    need: int | None
    because: str
    lines: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = field(default=())

    @property
    def delta(self) -> int:
        return 0 if self.desired is None or self.current is None else self.desired - self.current


def decide(
    policy: Policy, demand: Demand, supply: Supply, past: Past, now: datetime, *, blind: str = "", hold: str = ""
) -> Decision:
    """The decision of this moment.

    `blind` says what can't be seen (then nothing changes); `hold` why nothing may be changed although all is seen:
    another operation works on the fleet.
    """
    unseen = blind or _unseen(demand, supply)
    if unseen:
        current = None if supply.desired is None else supply.current
        text = f"{_capital(unseen)}: {'kept ' + str(current) if current is not None else 'nothing is changed'}."
        return Decision(Action.BLIND, current, current, None, text, (("Unknown", text),), _remarks(demand, supply))
    return _Thought(policy, demand, supply, past, now, hold).decision()


def _unseen(demand: Demand, supply: Supply) -> str:
    missing = [
        word
        for word, value in (
            ("Airflow's queued tasks", demand.queued),
            ("Airflow's running tasks", demand.running),
            ("the group's desired capacity", supply.desired),
            ("the group's limits", None if supply.minimum is None else supply.maximum),
            ("the workers in service", supply.in_service),
        )
        if value is None
    ]
    return f"{listed(missing)} can't be seen" if missing else ""


class _Thought:
    """One decision while it is made; a class only to carry what its parts share."""

    def __init__(
        self, policy: Policy, demand: Demand, supply: Supply, past: Past, now: datetime, hold: str = ""
    ) -> None:
        self.policy, self.demand, self.supply, self.past, self.now, self.hold = policy, demand, supply, past, now, hold
        self.queued, self.running = demand.queued or 0, demand.running or 0
        self.current = supply.current
        self.boot_s = boot_of(policy, supply)
        self.lines: list[tuple[str, str]] = []
        self.clauses: list[str] = []

    def decision(self) -> Decision:
        need = self._plain()
        need = self._worth_a_launch(need)
        need = self._with_peaks(need, self.boot_s + INTERVAL_S)
        low, high = self._bounds()
        wanted = min(max(need, low), high)
        self._say_clamp(need, wanted, low, high)
        action, desired = self._step(wanted, low, high)
        self.lines.append(("Result", _result(self.current, desired)))
        if self.hold and action is not Action.HOLD:
            text = f"{'; '.join(self.clauses)}: would go {_result(self.current, desired)}, but {self.hold}"
            self.lines[-1] = ("Result", f"held: {self.hold}")
            return self._made(Action.HOLD, self.current, wanted, text)
        return self._made(action, desired, wanted, f"{'; '.join(self.clauses)}: {_result(self.current, desired)}")

    def _made(self, action: Action, desired: int, need: int, text: str) -> Decision:
        lines = tuple(self.lines)
        remarks = _remarks(self.demand, self.supply)
        return Decision(action, self.current, desired, need, _capital(text) + ".", lines, remarks)

    # -- what is needed ----------------------------------------------------------------------------------------------

    def _plain(self) -> int:
        tasks, slots = self.queued + self.running, self.policy.slots
        need = ceil(tasks / slots)
        self.lines.append(("Work", f"{self.queued} queued + {self.running} running = {count(tasks, 'task')}"))
        self.lines.append(("Formula", f"⌈{tasks} / {slots} slots⌉ = {count(need, 'worker')}"))
        if tasks:
            self.clauses.append(
                f"{self.queued} queued and {self.running} running / {count(slots, 'slot')} need {count(need, 'worker')}"
            )
        else:
            self.clauses.append("nothing queued, nothing running")
        return need

    def _worth_a_launch(self, need: int) -> int:
        """Of more workers only as many as let a task start sooner than it would without them."""
        if not self.policy.expected_work or need <= self.current or not 0 < self.queued <= FORESEEN:
            return need
        patience_s = max(self.boot_s, self.policy.target_wait_s)
        late = self._late(self.current, patience_s)
        if not late:
            text = f"all start within {duration(patience_s)} on the {count(self.current, 'worker')} there are"
            why = "before a new one is up" if self.boot_s >= self.policy.target_wait_s else "the wait that is allowed"
            self.lines.append(("Work left", f"{text}: {why}"))
            self.clauses.append(f"{text}, {why}")
            return self.current
        low, high = self.current + 1, need
        while low < high:  # the fewest workers with which none is late
            middle = (low + high) // 2
            low, high = (middle + 1, high) if self._late(middle, patience_s) else (low, middle)
        text = f"{count(late, 'task')} would wait over {duration(patience_s)} on the {self.current} there are"
        if low < need:
            text += f", none on {low}"
        self.lines.append(("Work left", text))
        self.clauses.append(text)
        return low

    def _late(self, workers: int, patience_s: float) -> int:
        """Queued tasks that start later than that, were there so many workers; those above now come up in `boot_s`."""
        return sum(1 for start_s in self._starts(workers, []) if start_s > patience_s)

    def _starts(self, workers: int, coming: list[tuple[float, float | None]]) -> list[float]:
        """When the queued tasks, then those that come, would start on so many workers."""
        in_service = min(workers, self.supply.in_service or 0)
        arriving = sorted(self.supply.arriving_s)[: max(0, workers - in_service)]
        extra = max(0, workers - in_service - len(arriving))
        left = sorted(_filled(self.demand.left_s, self.running), key=lambda each: inf if each is None else each)
        return foreseen_starts(
            self.policy.slots,
            in_service=in_service,
            arriving_s=[*arriving, *[self.boot_s] * extra],
            left_s=left[-in_service * self.policy.slots :] if in_service else [],
            tasks=[*((0.0, take_s) for take_s in _filled(self.demand.take_s, self.queued)), *coming],
        )

    def _with_peaks(self, need: int, ahead_s: float) -> int:
        """With what is scheduled to begin before a worker that is launched now would be up."""
        due = self._due(ahead_s)
        if not due:
            return need
        tasks = sum(peak.tasks for peak in due)
        until_s = max(0.0, (min(peak.at for peak in due) - self.now).total_seconds())
        when = f"in {duration(until_s)}" if until_s > 0 else "now"
        text = f"{listed([peak.dag_id for peak in due])} {'brings' if len(due) == 1 else 'bring'} "
        text += f"{count(tasks, 'task')} {when}"
        peak_need = self._peak_need(due, need, until_s)
        if peak_need <= need:
            self.lines.append(("Scheduled", f"{text}: no more than that is needed for it"))
            return need
        self.lines.append(("Scheduled", f"{text}: {count(peak_need, 'worker')} with what still runs then"))
        self.clauses.append(f"{text}, which takes {peak_need}")
        return peak_need

    def _peak_need(self, due: list[Peak], need: int, until_s: float) -> int:
        """Slots for all of it at once beside what still runs by then; by its history as many as keep the target."""
        left = _filled(self.demand.left_s, self.running)
        staying = sum(1 for left_s in left if left_s is None or left_s > until_s)
        high = ceil((staying + self.queued + sum(peak.tasks for peak in due)) / self.policy.slots)
        if not self.policy.expected_work or self.queued + sum(peak.tasks for peak in due) > FORESEEN:
            return high
        coming = [
            (max(0.0, (peak.at - self.now).total_seconds()), peak.take_s)
            for peak in sorted(due, key=lambda peak: peak.at)
            for _ in range(peak.tasks)
        ]
        low = min(need, high)
        while low < high:  # the fewest with which none of it is late
            middle = (low + high) // 2
            starts = self._starts(middle, coming)[self.queued :]
            patience_s = self.boot_s if middle > self.current else 0.0
            late = any(
                start_s > max(at_s + self.policy.target_wait_s, patience_s)
                for start_s, (at_s, _) in zip(starts, coming, strict=True)
            )
            low, high = (middle + 1, high) if late else (low, middle)
        return low

    def _due(self, ahead_s: float) -> list[Peak]:
        if not self.policy.scheduled_peaks:
            return []
        since, until = self.now - timedelta(seconds=LINGER_S), self.now + timedelta(seconds=ahead_s)
        return [peak for peak in self.demand.peaks if since <= peak.at <= until and peak.tasks > 0]

    # -- what is allowed ---------------------------------------------------------------------------------------------

    def _bounds(self) -> tuple[int, int]:
        """The lowest and the highest number now: the policy's, never outside of the group's own."""
        high = min(self.policy.maximum, self.supply.maximum or 0)
        low = max(self.policy.baseline_at(self.now), self.supply.minimum or 0)
        return min(low, high), high

    def _say_clamp(self, need: int, wanted: int, low: int, high: int) -> None:
        window = self.policy.window_at(self.now)
        hours = f" from {clock(window.start_min)} to {clock(window.end_min)}" if window and low > 0 else ""
        text = f"at least {low}{hours}, at most {high}"
        if wanted > need:
            self.clauses.append(f"the baseline{hours} is {low}")
            text += f": {need} → {wanted}"
        elif wanted < need:
            self.clauses.append(f"at most {count(high, 'worker')}")
            text += f": {need} → {wanted}"
        self.lines.append(("Bounds", text))

    def _step(self, wanted: int, low: int, high: int) -> tuple[Action, int]:
        # Below its baseline a fleet is brought back at once, whatever the step.
        if wanted > self.current:
            desired = max(min(wanted, self.current + self.policy.step), low)
            if desired < wanted:
                text = f"at most {self.policy.step} more at once"
                self.lines.append(("Step", text))
                self.clauses.append(text)
            return Action.OUT, desired
        if wanted == self.current:
            return Action.HOLD, self.current
        return self._fewer(wanted, low, high)

    def _fewer(self, wanted: int, low: int, high: int) -> tuple[Action, int]:
        """As few as were enough for the whole cooldown, and will be for what is scheduled within it."""
        cooldown_s = self.policy.cooldown_s
        if self.current > high:  # the maximum was lowered: nothing to wait for
            return Action.IN, high
        if self.past.watched_s < cooldown_s:
            left = duration(cooldown_s - self.past.watched_s)
            return self._cooling(f"seen for {duration(self.past.watched_s)} only, {left} of the cooldown to go")
        highest = max(self.past.needs, default=wanted)
        if highest >= self.current:
            return self._cooling(f"{count(highest, 'worker')} were needed within the last {duration(cooldown_s)}")
        coming = self._with_peaks(wanted, 2 * self.boot_s + INTERVAL_S)
        floor = min(max(wanted, highest, coming, low), high)
        if floor >= self.current:
            return self._cooling("they are needed again within the cooldown")
        desired = max(floor, self.current - self.policy.step)
        text = f"no more than {floor} were needed for {duration(cooldown_s)}"
        self.lines.append(("Cooldown", f"over: {text}"))
        self.clauses.append(text)
        return Action.IN, desired

    def _cooling(self, why: str) -> tuple[Action, int]:
        self.lines.append(("Cooldown", why))
        self.clauses.append(why)
        return Action.HOLD, self.current


def boot_of(policy: Policy, supply: Supply) -> float:
    """The boot time that counts: declared, else measured, else assumed."""
    return policy.boot_s or supply.boot_s or BOOT_S


def foreseen_starts(
    slots: int,
    *,
    in_service: int,
    arriving_s: Sequence[float],
    left_s: Sequence[float | None],
    tasks: Sequence[tuple[float, float | None]],
) -> list[float]:
    """When each task starts, in seconds from now, first come first served; `inf` for never.

    `tasks` are (when it comes, how long it takes). A running task of unknown end keeps its slot for ever, and so does
    a waiting one of unknown length: foresight only ever saves a launch where the history says so.
    """
    free = [0.0] * max(0, in_service * slots - len(left_s))
    free += [inf if each is None else max(0.0, each) for each in left_s[: in_service * slots]]
    for each in arriving_s:
        free += [max(0.0, each)] * slots
    heapify(free)
    starts = []
    for comes_s, takes_s in tasks:
        if not free:
            starts.append(inf)
            continue
        start_s = max(comes_s, heappop(free))
        starts.append(start_s)
        heappush(free, inf if takes_s is None else start_s + takes_s)
    return starts


def _filled(known: Sequence[float | None], number: int) -> list[float | None]:
    return [*known[:number], *[None] * max(0, number - len(known))]


def _remarks(demand: Demand, supply: Supply) -> tuple[str, ...]:
    """Where the broker or the workers say something else than Airflow, and what that may be."""
    found = []
    if demand.queued is not None and demand.depth is not None and demand.reserved is not None:
        missing, extra = demand.queued - demand.depth - demand.reserved, demand.depth - demand.queued
        if missing > 0:
            found.append(
                f"The broker holds {demand.depth + demand.reserved} of the {demand.queued} queued tasks: "
                f"{count(missing, 'message')} on the way, or ghosts that Airflow queues again after its timeout."
            )
        elif extra > 0:
            found.append(
                f"The broker holds {count(demand.depth, 'message')} for {demand.queued} queued tasks: "
                f"{extra} of tasks that Airflow no longer waits for."
            )
    if demand.running is not None and supply.active is not None and not supply.leaving:
        leaked = demand.running - supply.active
        if leaked > 0:
            found.append(
                f"Airflow calls {demand.running} running, the workers in service have {supply.active}: "
                f"{leaked} started or ended a moment ago, run on workers that leave, or leak their slots."
            )
    return tuple(found)


def _result(before: int, after: int) -> str:
    return f"stays at {before}" if before == after else f"{before} → {after}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""A queue's tasks over hours, and what a way of scaling makes of them. Pure: for the bench, the tests and the replay.

Second by second where something happens: tasks arrive, start on the least loaded worker that takes work, end; workers
boot, serve, drain and go when they are empty. Each strategy is asked every `INTERVAL_S` and sees what the console would
see. Nothing that runs is ever killed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heappop, heappush
from math import ceil

from console.fleets.scaling.foresight import empty_in_s, left_s, takes_s
from console.fleets.scaling.policy import INTERVAL_S, Policy
from console.fleets.scaling.rules import Demand, Past, Peak, Supply, decide
from console.fleets.scaling.victims import Candidate, choose

BILLED_S = 60.0
"""EC2 charges at least a minute."""
LEFT_SHOWN = 500
"""Task instances whose history is looked at in one decision, as the console reads them."""


@dataclass(frozen=True)
class Job:
    """One task of the simulated queue: when it is queued (seconds from the start), how long it takes, which task it is.

    `scheduled`: it belongs to a DAG whose runs are known in advance.
    """

    at_s: float
    takes_s: float
    name: str


@dataclass(frozen=True)
class Load:
    """What happens, and what of it may be known before: past durations by task, and scheduled peaks."""

    jobs: tuple[Job, ...]
    length_s: float
    past: Mapping[str, tuple[float, ...]]
    peaks: tuple[tuple[float, str, int], ...] = ()  # (at, DAG, tasks)


@dataclass
class _Worker:
    number: int
    launched_s: float
    up_s: float
    running: dict[int, float] = field(default_factory=dict)  # task → started
    draining: bool = False
    gone_s: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What a strategy made of a load. Waits of all tasks, in seconds; workers in hours."""

    waits_s: tuple[float, ...]
    worker_hours: float
    boot_hours: float  # of them launching: paid, and of no use yet
    idle_hours: float  # slots without a task, as hours of workers in service
    launches: int
    most: int
    changes: int  # decisions that changed something
    sizes: tuple[tuple[float, int], ...] = ()  # (at, workers) at each change

    def wait_s(self, percent: float) -> float:
        ordered = sorted(self.waits_s)
        return ordered[min(len(ordered) - 1, ceil(percent / 100 * len(ordered)) - 1)] if ordered else 0.0


Strategy = Callable[["Fleet", float], int]
"""How many workers there should be, given the fleet and the time."""


class Fleet:
    """The simulated fleet. A strategy may look at it as the console would: counts, not the future."""

    def __init__(self, load: Load, slots: int, boot_s: float, first: int, start: datetime) -> None:
        self.load, self.slots, self.boot_s, self.start = load, slots, boot_s, start
        self.waiting: deque[int] = deque()
        self.workers: list[_Worker] = [_Worker(number, -boot_s, 0.0) for number in range(first)]
        self.waits: list[float] = []
        self.launches = 0
        self.now_s = 0.0

    @property
    def there(self) -> list[_Worker]:
        return [worker for worker in self.workers if worker.gone_s is None]

    @property
    def kept(self) -> list[_Worker]:
        """Those that count: not draining."""
        return [worker for worker in self.there if not worker.draining]

    @property
    def serving(self) -> list[_Worker]:
        return [worker for worker in self.kept if worker.up_s <= self.now_s]

    @property
    def running(self) -> int:
        return sum(len(worker.running) for worker in self.there)

    def to(self, wanted: int, events: list[tuple[float, int, int]]) -> bool:
        """Grow by launches, shrink by drains of chosen victims; True when anything changed."""
        kept = self.kept
        for _ in range(wanted - len(kept)):
            self.workers.append(_Worker(len(self.workers), self.now_s, self.now_s + self.boot_s))
            heappush(events, (self.now_s + self.boot_s, 1, len(self.workers) - 1))
            self.launches += 1
        surplus = len(kept) - wanted
        if surplus <= 0:
            return wanted > len(kept)
        victims = choose([self._candidate(worker) for worker in self.serving], surplus)
        for victim in victims:
            worker = self.workers[int(victim.candidate.instance_id)]
            worker.draining = True
            if not worker.running:
                worker.gone_s = self.now_s
        return bool(victims)

    def _candidate(self, worker: _Worker) -> Candidate:
        past = [
            (self.load.past.get(self.load.jobs[task].name, ()), self.now_s - started)
            for task, started in worker.running.items()
        ]
        return Candidate(
            str(worker.number),
            str(worker.number),
            len(worker.running),
            empty_in_s(past, len(worker.running)),
            up_s=self.now_s - worker.up_s,
        )

    def give(self, events: list[tuple[float, int, int]]) -> None:
        """Waiting tasks to free slots, the oldest first, each to the least loaded worker."""
        if not self.waiting:
            return
        free = [worker for worker in self.serving if len(worker.running) < self.slots]
        while self.waiting and free:
            worker = min(free, key=lambda each: (len(each.running), each.number))
            task = self.waiting.popleft()
            worker.running[task] = self.now_s
            self.waits.append(self.now_s - self.load.jobs[task].at_s)
            heappush(events, (self.now_s + self.load.jobs[task].takes_s, 0, task))
            if len(worker.running) >= self.slots:
                free.remove(worker)


def simulate(
    load: Load,
    strategy: Strategy,
    *,
    slots: int,
    boot_s: float,
    first: int,
    start: datetime,
    interval_s: float = INTERVAL_S,
) -> Outcome:
    """The whole load under a strategy that begins with `first` workers in service and is asked each `interval_s`."""
    fleet = Fleet(load, slots, boot_s, first, start)
    events: list[tuple[float, int, int]] = [(job.at_s, 2, task) for task, job in enumerate(load.jobs)]
    events += [(step * interval_s, 3, 0) for step in range(int(load.length_s / interval_s) + 1)]
    events.sort()
    changes, sizes, most = 0, [(0.0, first)], first
    host: dict[int, _Worker] = {}
    while events:
        at_s, kind, task = heappop(events)
        if at_s > load.length_s and not fleet.waiting and not fleet.running:
            break
        fleet.now_s = at_s
        if kind == 0:
            worker = host.pop(task)
            del worker.running[task]
            if worker.draining and not worker.running:
                worker.gone_s = at_s
        elif kind == 2:
            fleet.waiting.append(task)
        elif kind == 3 and fleet.to(strategy(fleet, at_s), events):
            changes += 1
            sizes.append((at_s, len(fleet.kept)))
            most = max(most, len(fleet.there))
        before = set(host)
        fleet.give(events)
        for worker in fleet.serving:
            host.update({each: worker for each in worker.running if each not in before})
        if kind == 3 and at_s + interval_s > load.length_s and (fleet.waiting or fleet.running):
            heappush(events, (at_s + interval_s, 3, 0))
    return _outcome(fleet, load, changes, tuple(sizes), most)


def _outcome(fleet: Fleet, load: Load, changes: int, sizes: tuple[tuple[float, int], ...], most: int) -> Outcome:
    paid_s = boot_s = 0.0
    for worker in fleet.workers:
        begin_s, end_s = max(0.0, worker.launched_s), worker.gone_s if worker.gone_s is not None else load.length_s
        if end_s > begin_s:
            paid_s += max(BILLED_S, end_s - begin_s)
            boot_s += max(0.0, min(end_s, worker.up_s) - begin_s)
    worked_s = sum(job.takes_s for job in load.jobs)
    return Outcome(
        tuple(fleet.waits),
        paid_s / 3600,
        boot_s / 3600,
        max(0.0, paid_s - boot_s - worked_s / fleet.slots) / 3600,
        fleet.launches,
        most,
        changes,
        sizes,
    )


# --- strategies ------------------------------------------------------------------------------------------------------


def static(workers: int) -> Strategy:
    """Always as many."""
    return lambda fleet, now_s: workers


def plain(policy: Policy) -> Strategy:
    """The usual formula between the same bounds, followed at once in both directions."""

    def wanted(fleet: Fleet, now_s: float) -> int:
        low = policy.baseline_at(fleet.start + timedelta(seconds=now_s))
        return min(max(ceil((len(fleet.waiting) + fleet.running) / fleet.slots), low), policy.maximum)

    return wanted


class Ours:
    """The console's own rules, seeing what the console would see."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.needs: deque[tuple[float, int]] = deque()

    def __call__(self, fleet: Fleet, now_s: float) -> int:
        policy, now = self.policy, fleet.start + timedelta(seconds=now_s)
        while self.needs and self.needs[0][0] < now_s - policy.cooldown_s:
            self.needs.popleft()
        kept = fleet.kept
        leaving = len(fleet.there) - len(kept)
        supply = Supply(
            desired=len(fleet.there),
            minimum=0,
            maximum=policy.maximum + leaving,
            in_service=len(fleet.serving),
            arriving_s=tuple(worker.up_s - now_s for worker in kept if worker.up_s > now_s),
            leaving=leaving,
            boot_s=fleet.boot_s,
        )
        past = Past(tuple(need for _, need in self.needs), now_s)
        decision = decide(policy, self._demand(fleet, now_s), supply, past, now)
        self.needs.append((now_s, decision.need or 0))
        return supply.current if decision.desired is None else decision.desired

    def _demand(self, fleet: Fleet, now_s: float) -> Demand:
        load = fleet.load
        left = tuple(
            left_s(load.past.get(load.jobs[task].name, ()), now_s - started)
            for worker in fleet.there
            for task, started in worker.running.items()
        )
        waiting = [load.jobs[task].name for task in list(fleet.waiting)[:LEFT_SHOWN]]
        usual = {name: takes_s(load.past.get(name, ())) for name in set(waiting)}
        come = {load.jobs[task].name for task in fleet.waiting} | {
            load.jobs[task].name for worker in fleet.there for task, at_s in worker.running.items() if now_s - at_s < 60
        }
        peaks = tuple(
            Peak(dag, fleet.start + timedelta(seconds=at_s), tasks, takes_s(load.past.get(dag, ())))
            for at_s, dag, tasks in load.peaks
            if -120 <= at_s - now_s <= 3600 and not (at_s <= now_s and dag in come)
        )
        return Demand(
            len(fleet.waiting), fleet.running, left_s=left, take_s=tuple(usual[name] for name in waiting), peaks=peaks
        )


def smallest_static(
    load: Load, wait_s: float, most: int, *, slots: int, boot_s: float, start: datetime
) -> tuple[int, Outcome]:
    """The fewest workers that, always there, keep the 95th percentile of the wait at most there (`most` at most)."""
    low, high = 1, most
    while low < high:
        middle = (low + high) // 2
        found = simulate(load, static(middle), slots=slots, boot_s=boot_s, first=middle, start=start)
        low, high = (low, middle) if found.wait_s(95) <= wait_s else (middle + 1, high)
    return low, simulate(load, static(low), slots=slots, boot_s=boot_s, first=low, start=start)

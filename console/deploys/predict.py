"""When a draining worker is empty, and when a deploy ends, from how long the same tasks took before. Pure.

A running task ends as those of its past runs ended that had lasted at least as long as it has by now. A worker is empty
when the last of its tasks has ended. A deploy is played through a few hundred times, wave by wave, with the workers
that are being drained now and with those that wait as if their turn had come now: what runs on them then is not known,
but it is work of the same kind.
"""

from __future__ import annotations

import heapq
import random
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles

PLAYS = 200
GRID = 40
LIKELY, AT_WORST = 0.5, 0.9
OVERHEAD_S = 12.0
"""From empty to gone: three looks, the stop, the receipt, the end of the instance."""
_OUTLASTED = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5)
"""How much longer, in parts of the time it has run, a task may last that has outlasted every run that is known."""


@dataclass(frozen=True)
class Running:
    """A task that runs: for how long by now, and how long its past runs took, in seconds."""

    ran_s: float
    past_s: Sequence[float]


@dataclass(frozen=True)
class Spread:
    """How long something may still take: `points` are evenly spaced quantiles, in seconds, rising.

    `guessed`: a part of it rests on no past run of its own.
    """

    points: tuple[float, ...]
    guessed: bool = False

    def at(self, share: float) -> float:
        """The time within which it ends in that share of all cases."""
        if not self.points:
            return 0.0
        return self.points[min(len(self.points) - 1, int(share * len(self.points)))]


def remaining(task: Running, others_s: Sequence[float] = ()) -> tuple[list[float], bool]:
    """How long it may still run, each equally likely, rising; and whether that is guessed.

    Without past runs of its own those of other tasks (`others_s`) stand in for it; without any of these nothing can be
    said but that what has lasted long often lasts longer.
    """
    for known, guessed in ((task.past_s, False), (others_s, True)):
        left = sorted(took - task.ran_s for took in known if took > task.ran_s)
        if left:
            return left, guessed
        if known and not guessed:
            break  # it has outlasted them all: other tasks say nothing about it
    return [part * max(task.ran_s, 10.0) for part in _OUTLASTED], True


def until_empty(tasks: Sequence[Running], others_s: Sequence[float] = ()) -> Spread:
    """How long until the last of these tasks has ended; at once where there is none."""
    if not tasks:
        return Spread((0.0,))
    found = [remaining(task, others_s) for task in tasks]
    lefts = [left for left, _ in found]
    moments = sorted({moment for left in lefts for moment in left})
    points: list[float] = []
    for moment in moments:
        chance = 1.0
        for left in lefts:
            chance *= bisect_right(left, moment) / len(left)
            if not chance:
                break
        while len(points) < GRID and chance >= (len(points) + 0.5) / GRID - 1e-9:
            points.append(moment)
    return Spread(tuple(points), any(guessed for _, guessed in found))


@dataclass(frozen=True)
class FleetPlan:
    """One fleet's part that is still to be done.

    `draining` and `waiting` are spreads by instance, the waiting ones in the order of their turn. `at_once` workers can
    be drained at the same time; `launching_s` is how long each new one on its way still needs, `boot_s` how long one
    takes from its launch until it is proven. `dropped` of the last ones are not replaced.
    """

    draining: Mapping[str, Spread]
    waiting: Mapping[str, Spread]
    at_once: int
    dropped: int
    boot_s: float
    launching_s: Sequence[float] = ()


@dataclass(frozen=True)
class End:
    """Seconds from now: when it is likely over, and in nine of ten cases. `starts_s`: when its turn comes."""

    likely_s: float
    at_worst_s: float
    starts_s: float | None = None
    guessed: bool = False


def foretell(fleets: Sequence[FleetPlan], seed: int) -> tuple[End, dict[str, End]]:
    """The end of the whole, and of each worker. The same question has the same answer."""
    dice = random.Random(seed)
    starts: dict[str, list[float]] = {}
    finishes: dict[str, list[float]] = {}
    ends = [max((_play(each, dice, starts, finishes) for each in fleets), default=0.0) for _ in range(PLAYS)]
    spreads = {i: s for fleet in fleets for i, s in {**fleet.draining, **fleet.waiting}.items()}
    each = {
        instance: End(
            _share(times, LIKELY), _share(times, AT_WORST), _share(starts.get(instance, [0.0]), LIKELY), spread.guessed
        )
        for instance, spread in spreads.items()
        for times in (finishes[instance],)
    }
    guessed = any(spread.guessed for spread in spreads.values())
    return End(_share(ends, LIKELY), _share(ends, AT_WORST), None, guessed), each


def _play(
    fleet: FleetPlan, dice: random.Random, starts: dict[str, list[float]], finishes: dict[str, list[float]]
) -> float:
    """One course of a fleet's part; its end in seconds from now."""
    end = max(fleet.launching_s, default=0.0)
    free: list[float] = []
    replaced = max(0, len(fleet.draining) + len(fleet.waiting) - fleet.dropped)
    number = 0

    def over(instance: str, begins_s: float, spread: Spread) -> None:
        nonlocal end, number
        number += 1
        gone_s = begins_s + (dice.choice(spread.points) if spread.points else 0.0) + OVERHEAD_S
        finishes.setdefault(instance, []).append(gone_s)
        again_s = gone_s + (fleet.boot_s if number <= replaced else 0.0)
        end = max(end, again_s)
        heapq.heappush(free, again_s)

    for instance, spread in fleet.draining.items():
        over(instance, 0.0, spread)
    # A place for another drain is there at once, or as soon as a new worker that is on its way is proven.
    places = max(0, fleet.at_once - len(fleet.draining))
    coming = sorted(fleet.launching_s)[-places:] if places else []
    for launching_s in [*coming, *([0.0] * (places - len(coming)))]:
        heapq.heappush(free, launching_s)
    for instance, spread in fleet.waiting.items():
        begins_s = heapq.heappop(free) if free else end
        starts.setdefault(instance, []).append(begins_s)
        over(instance, begins_s, spread)
    return end


def _share(times: Sequence[float], share: float) -> float:
    if len(times) < 2:
        return times[0] if times else 0.0
    return quantiles(times, n=100, method="inclusive")[round(share * 100) - 1]

"""The wait is the service level: how long tasks are queued, its percentiles, and how fast its budget burns. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BUCKETS_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0, 1800.0, 3600.0)
"""Upper ends; one more bucket holds what waited longer."""
BUDGET = 0.05
"""So many of a hundred tasks may wait longer than the target: the objective is its 95th percentile."""


def counts(waits_s: Iterable[float]) -> list[int]:
    """How many waits fall into each bucket."""
    found = [0] * (len(BUCKETS_S) + 1)
    for wait_s in waits_s:
        found[bisect_left(BUCKETS_S, max(0.0, wait_s))] += 1
    return found


def added(one: Sequence[int], other: Sequence[int]) -> list[int]:
    return [a + b for a, b in zip(one, other, strict=True)]


def percentile_s(found: Sequence[int], percent: float) -> float | None:
    """The wait below which so many of a hundred tasks started, within its bucket by a straight line; None for none."""
    total = sum(found)
    if not total:
        return None
    wanted, seen = percent / 100 * total, 0
    for index, number in enumerate(found):
        if number and seen + number >= wanted:
            low = BUCKETS_S[index - 1] if index else 0.0
            high = BUCKETS_S[index] if index < len(BUCKETS_S) else BUCKETS_S[-1]
            return low + (high - low) * (wanted - seen) / number
        seen += number
    return BUCKETS_S[-1]


@dataclass(frozen=True)
class Level:
    """The waits of a span against a target. `burn` 1: the budget of late tasks is used up exactly; None without any."""

    started: int
    late: int
    p50_s: float | None
    p95_s: float | None
    target_s: float

    @property
    def burn(self) -> float | None:
        return self.late / (BUDGET * self.started) if self.started else None

    @property
    def burn_word(self) -> str:
        return "" if self.burn is None else f"{100 * self.burn:.0f} %"

    @property
    def kept(self) -> bool | None:
        return None if self.burn is None else self.burn <= 1


def level(found: Sequence[int], late: int, target_s: float) -> Level:
    return Level(sum(found), late, percentile_s(found, 50), percentile_s(found, 95), target_s)

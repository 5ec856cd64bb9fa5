"""How a time series is named, how coarse a chart of it is, and what a gap in it means. Pure.

A bucket without a sample is a gap: nobody could see the figure then. It is never a zero and never a line
through it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

RAW_S = 15
MINUTE_S = 60
QUARTER_S = 900
STEPS_S = (15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""The steps a chart may have: each falls on whole minutes, hours or days of UTC from one minute up."""

NAME_LIMIT = 400
CARRY_S = 60
FRESH_S = 30
_UNITS = {"_per_s": "/s", "_s": "s", "_bytes": "B", "_usd": "USD", "_percent": "%"}


@dataclass(frozen=True)
class Retention:
    """How long each resolution is kept: samples of 15 s, minutes, quarters of an hour."""

    raw: timedelta = timedelta(hours=6)
    minute: timedelta = timedelta(days=14)
    quarter: timedelta = timedelta(days=90)


def canonical(name: str) -> str:
    """`name` as it is stored: without NUL, and cut to `NAME_LIMIT` characters that end in a digest."""
    name = name.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_LIMIT - 17]}~{digest}"


def unit_of(name: str) -> str:
    """The unit that a series' name tells by its ending: `s`, `/s`, `B`, `USD`, `%`, or none (a count)."""
    return next((unit for ending, unit in _UNITS.items() if name.endswith(ending)), "")


def keeps_worst(name: str) -> bool:
    """Whether a coarser step keeps the highest sample (ages and lags) instead of the mean (counts and rates).

    The mean of a quarter of an hour would hide a minute without heartbeat; the highest backlog of it would
    hide that it was gone a moment later.
    """
    return unit_of(name) == "s"


def storable(value: float | None) -> float | None:
    """`value` as a four-byte float can hold it, else None: not a number, infinite or out of range is not
    known.
    """
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number) or abs(number) > 3.4e38:
        return None
    return 0.0 if abs(number) < 1.2e-38 else number


def floored(at: datetime, span: timedelta) -> datetime:
    """The beginning of the `span` in which `at` lies, counted from 1970 in UTC."""
    seconds = int(span.total_seconds())
    return datetime.fromtimestamp(math.floor(at.timestamp()) // seconds * seconds, UTC)


def step_for(start: datetime, end: datetime, max_points: int, now: datetime, kept: Retention) -> int:
    """The finest step in seconds that gives at most `max_points` points and is still kept for `start`."""
    range_s = (end - start).total_seconds()
    finest = RAW_S
    if start < now - kept.raw:
        finest = MINUTE_S
    if start < now - kept.minute:
        finest = QUARTER_S
    for step in STEPS_S:
        if step >= finest and range_s / step <= max_points:
            return step
    days = math.ceil(range_s / max_points / STEPS_S[-1])
    return days * STEPS_S[-1]


class Chunk(NamedTuple):
    """Some points of a series: `y[i]` was seen at `times[i]`, in Unix seconds; None was not seen."""

    times: Sequence[float]
    y: Sequence[float | None]


class Bins(NamedTuple):
    """Points of a series put together by step: of `counts[i]` of them in step `slots[i]` the highest, or their sum."""

    slots: Sequence[int]
    values: Sequence[float]
    counts: Sequence[int]


def reduced(
    chunks: Iterable[Chunk], bins: Iterable[Bins], span: tuple[float, float], step_s: float, count: int, worst: bool
) -> tuple[float | None, ...]:
    """The points within `span` (Unix seconds, its end excluded) in `count` steps from its beginning.

    A step's value is the highest of its points (`worst`; then bins hold that) or their mean (bins hold sums),
    rounded to what four bytes hold; None without.
    """
    start, end = span
    last = count - 1
    if worst:
        highest: list[float | None] = [None] * count
        found = [(slot, value) for slots, values, _ in bins for slot, value in zip(slots, values, strict=True)]
        for times, y in chunks:
            found += [
                (int((at - start) / step_s), value)
                for at, value in zip(times, y, strict=True)
                if value is not None and start <= at < end
            ]
        for slot, value in found:
            place = slot if slot < last else last
            known = highest[place]
            if known is None or value > known:
                highest[place] = value
        return tuple(highest)
    sums, counts = [0.0] * count, [0] * count
    for slots, totals, numbers in bins:
        for slot, total, number in zip(slots, totals, numbers, strict=True):
            sums[min(slot, last)] += total
            counts[min(slot, last)] += number
    for times, y in chunks:
        for at, point in zip(times, y, strict=True):
            if point is not None and start <= at < end:
                slot = min(int((at - start) / step_s), last)
                sums[slot] += point
                counts[slot] += 1
    return tuple(float(f"{total / n:.7g}") if n else None for total, n in zip(sums, counts, strict=True))


def bridged(y: Sequence[float | None], step_s: float) -> tuple[float | None, ...]:
    """Fill holes that come from sampling, not from blindness, in a series of fine steps.

    A series that is read every minute has one point in four steps of 15 s. A hole as long as is usual for the
    series (at least one step, at most `CARRY_S`) takes the value before it; a longer one stays a gap.
    """
    if step_s >= MINUTE_S:
        return tuple(y)
    seen = [index for index, value in enumerate(y) if value is not None]
    distances = sorted(after - before for before, after in pairwise(seen))
    usual = distances[len(distances) // 2] if len(distances) > 2 else 1  # two points tell no habit
    reach = min(max(usual, 2), int(CARRY_S // step_s))
    out = list(y)
    for before, after in pairwise([*seen, len(out)]):
        if after - before <= reach:
            out[before + 1 : after] = [out[before]] * (after - before - 1)
    return tuple(out)

"""Geometry of the small drawings on a page. Pure: numbers in, coordinates out; templates only print them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple


class Spark(NamedTuple):
    """A sparkline: `line` and `area` are SVG path data, `x` and `y` the last point (None: not seen)."""

    line: str
    area: str
    x: float | None
    y: float | None


def spark(points: Sequence[float | None], width: int = 120, height: int = 24) -> Spark:
    """Path of a series from left to right; None leaves a gap, never a line through it.

    The floor is 0 (or the lowest value below it), so that a flat series of large numbers does not look
    like an empty one.
    """
    seen = [value for value in points if value is not None]
    if not seen:
        return Spark("", "", None, None)
    low, high = min(0.0, *seen), max(seen)
    span, bottom, top = (high - low) or 1.0, height - 3, 3
    xs, tenths, last = _xs(len(points), width), _tenths(height), len(points) - 1
    floor, room = 10 * bottom, 10 * (bottom - top)  # in tenths of a pixel: so a number's text is looked up
    line, area = [], []
    begun, run = 0, list[str]()
    for index, value in enumerate((*points, None)):
        if value is not None:
            if not run:
                begun = index
            run.append(f"{xs[index]} {tenths[round(floor - (value - low) / span * room)]}")
        elif run:
            text = "L".join(run)
            line.append(f"M{text}")
            if len(run) > 1:
                area.append(f"M{text}L{xs[index - 1]} {height}L{xs[begun]} {height}Z")
            run = []
    if points[-1] is None:
        return Spark("".join(line), "".join(area), None, None)
    y = round(floor - (points[-1] - low) / span * room) / 10
    return Spark("".join(line), "".join(area), float(xs[last]), y)


@lru_cache(maxsize=64)
def _xs(count: int, width: int) -> tuple[str, ...]:
    """Where each of so many points stands."""
    step = (width - 4) / max(1, count - 1)
    return tuple(f"{round(1 + index * step, 1):g}" for index in range(count))


@lru_cache(maxsize=8)
def _tenths(height: int) -> tuple[str, ...]:
    """Every height there is, as it is written."""
    return tuple(f"{tenth / 10:g}" for tenth in range(10 * height + 1))


class Part(NamedTuple):
    """A stretch of a bar, in per cent of its whole."""

    tone: str
    x: float
    width: float


def parts(amounts: Sequence[tuple[str, float]], total: float, gap: float = 0.0) -> list[Part]:
    """Stretches of a bar that stands for `total`; what exceeds it is cut off, nothing when the total is 0."""
    out: list[Part] = []
    at = 0.0
    for tone, amount in amounts:
        if total <= 0 or amount <= 0 or at >= 100:
            continue
        width = min(100 - at, amount / total * 100)
        out.append(Part(tone, round(at, 2), round(max(0.4, width - gap), 2)))
        at += width
    return out


class Cell(NamedTuple):
    """One worker in a fleet bar: `kind` is ok, launch, drain, lost or open; `x` its left edge in pixels."""

    kind: str
    x: int


FLEET_STEP = 8


def fleet_cells(in_service: int, launching: int, draining: int, lost: int, maximum: int) -> list[Cell]:
    """One cell per worker up to `maximum`, in the order a person counts them; more workers are drawn too."""
    kinds = ["ok"] * in_service + ["launch"] * launching + ["drain"] * draining + ["lost"] * lost
    kinds += ["open"] * max(0, maximum - len(kinds))
    return [Cell(kind, index * FLEET_STEP) for index, kind in enumerate(kinds)]

"""Geometry of the small drawings on a page. Pure: numbers in, coordinates out; templates only print them."""

from __future__ import annotations

from collections.abc import Sequence
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
    span, right, bottom, top = (high - low) or 1.0, width - 3, height - 3, 3
    step = (right - 1) / max(1, len(points) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return round(1 + index * step, 1), round(bottom - (value - low) / span * (bottom - top), 1)

    runs: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(points):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(place(index, value))
    runs = [run for run in runs if run]
    line = "".join("M" + "L".join(f"{x:g} {y:g}" for x, y in run) for run in runs)
    area = "".join(
        "M" + "L".join(f"{x:g} {y:g}" for x, y in run) + f"L{run[-1][0]:g} {height}L{run[0][0]:g} {height}Z"
        for run in runs
        if len(run) > 1
    )
    last = points[-1]
    x, y = place(len(points) - 1, last) if last is not None else (None, None)
    return Spark(line, area, x, y)


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

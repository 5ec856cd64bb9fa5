"""The strip of heartbeats: one bar per ten minutes for each host, from the history. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

from console.lib.words import duration
from console.scheduler.heartbeats import LATE_S, LOST_S

BAR = timedelta(minutes=10)
BARS = 144
WORDS = {
    "leading": "leading",
    "standing_by": "running beside the leader",
    "degraded": "late",
    "failing": "heartbeat lost",
    "waiting": "absent",
    "unknown": "no data",
}
LEGEND = (
    ("ok", "leading"),
    ("idle", "running beside"),
    ("warn", "late"),
    ("bad", "heartbeat lost"),
    ("mute", "absent"),
    ("unk", "no data"),
)
APART = 16.0
"""Marks nearer than this many per cent would write over each other."""


@dataclass(frozen=True)
class Row:
    """One host's day: a word of the status vocabulary per bar, and the same said in words."""

    host: str
    cells: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Mark:
    """A takeover above the strip: where, in per cent, and its words. `anchor` keeps them inside."""

    x: float
    time: str
    kind: str
    gap: str
    anchor: str


@dataclass(frozen=True)
class Strip:
    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    axis: tuple[str, ...]
    legend: tuple[tuple[str, str], ...] = LEGEND


def window(now: datetime) -> tuple[datetime, datetime]:
    """The day that the strip shows: whole bars, the last of them under way."""
    step_s = int(BAR.total_seconds())
    end = datetime.fromtimestamp((int(now.timestamp()) // step_s + 1) * step_s, UTC)
    return end - BARS * BAR, end


def cell(age_s: float | None, leading: float | None) -> str:
    """One bar, from the worst age of the host's heartbeat in it and the share of it that the host led."""
    if age_s is not None and age_s >= LOST_S:
        return "failing"
    if age_s is not None and age_s >= LATE_S:
        return "degraded"
    if leading:
        return "leading"
    if age_s is not None:
        return "standing_by"
    return "unknown" if leading is None else "waiting"


def row(host: str, ages: Sequence[float | None], leading: Sequence[float | None], start: datetime) -> Row:
    cells = tuple(cell(age, leads) for age, leads in zip(ages, leading, strict=True))
    return Row(host, cells, f"{host}: {_said(cells, start)}")


def _said(cells: Sequence[str], start: datetime) -> str:
    runs, at = [], start
    for word, group in groupby(cells):
        runs.append((word, at))
        at += BAR * len(list(group))
    shown = [f"{WORDS[word]} from {at:%H:%M}" for word, at in runs[-6:]]
    return ", ".join((["…"] if len(runs) > 6 else []) + shown)


def marks(changes: Sequence[tuple[datetime, str, float | None]], start: datetime, end: datetime) -> tuple[Mark, ...]:
    """The newest takeovers `(at, kind, gap_s)` that fit beside each other."""
    found: list[Mark] = []
    for at, kind, gap_s in sorted(changes, reverse=True):
        x = (at - start) / (end - start) * 100
        if not 0 <= x <= 100 or any(abs(x - other.x) < APART for other in found):
            continue
        anchor = "start" if x < APART / 2 else "end" if x > 100 - APART / 2 else "middle"
        found.append(Mark(round(x, 2), f"{at:%H:%M}", kind, duration(gap_s) if gap_s is not None else "", anchor))
    return tuple(reversed(found))


def strip(
    hosts: Sequence[str],
    lines: Mapping[str, tuple[Sequence[float | None], Sequence[float | None]]],
    changes: Sequence[tuple[datetime, str, float | None]],
    now: datetime,
) -> Strip:
    """The drawing. `lines` holds each host's `(heartbeat ages, shares led)`, a value per bar."""
    start, end = window(now)
    quarter = (end - start) / 4
    axis = [f"{start:%a %H:%M}", *(f"{start + quarter * part:%H:%M}" for part in (1, 2, 3)), "now"]
    rows = tuple(row(host, *lines[host], start) for host in hosts)
    return Strip(rows, marks(changes, start, end), tuple(axis))

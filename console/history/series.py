"""Time series: every poll records into them, every chart and sparkline is read from them.

`record` what was seen, `fetch` a chart, `sparklines` for a list, `latest` for a figure; `mark` puts an event
on the axis of all charts. Names are dotted, their ending tells the unit: `fleet.cpu.outstanding`,
`scheduler.heartbeat_age_s`, `table.shop.public.orders.lag_s`. What could not be seen is not recorded, and is
a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.utils import timezone

from console.history import sql
from console.history.levels import HOUR, retention
from console.history.models import Mark, Rolled
from console.history.rules import (
    FRESH_S,
    RAW_S,
    Bins,
    Chunk,
    bridged,
    canonical,
    floored,
    keeps_worst,
    reduced,
    step_for,
    storable,
    unit_of,
)

Sample = tuple[str, float | None]
"""A series' name and its value; None: it could not be seen, so there is no point."""


@dataclass(frozen=True)
class Line:
    """One series of a chart. `y` has a value for each of the chart's `x`; None is a gap: it was not seen."""

    name: str
    unit: str
    y: tuple[float | None, ...]


@dataclass(frozen=True)
class ChartMark:
    """An event on a chart's axis; `at` in Unix seconds like `x`."""

    at: int
    kind: str
    title: str
    url: str
    target: str


@dataclass(frozen=True)
class Chart:
    """Lines over one shared axis. `x` holds the beginnings of the steps, in Unix seconds, `step_s` apart."""

    start: datetime
    end: datetime
    step_s: int
    x: tuple[int, ...]
    lines: tuple[Line, ...]  # in the order of the names asked for; a series never recorded is all gaps
    marks: tuple[ChartMark, ...]

    def line(self, name: str) -> Line:
        return next(line for line in self.lines if line.name == name)


@dataclass(frozen=True)
class Latest:
    """The newest sample of a series, and when it was taken (to 15 s)."""

    value: float
    at: datetime


def record(samples: Iterable[Sample], at: datetime) -> None:
    """Keep samples that were seen at `at`, in one statement; None, NaN and infinity are left out.

    A series has at most one point per 15 s: the first one stays, so a poll may record as often as it likes,
    and twice. Never fails for want of a partition. Called inside the transaction that saves the snapshot it
    comes from.
    """
    seen = {canonical(name): number for name, value in samples if (number := storable(value)) is not None}
    if not seen:
        return
    names = sorted(seen)
    with connection.cursor() as cursor:
        cursor.execute(
            sql.RECORD,
            [
                names,
                [unit_of(name) for name in names],
                [keeps_worst(name) for name in names],
                [seen[name] for name in names],
                floored(at, timedelta(seconds=RAW_S)),
            ],
        )
    if at < timezone.now() - HOUR:  # it may belong to an hour that has been rolled up
        Rolled.objects.filter(level="minute", starts_at=floored(at, HOUR)).delete()


def fetch(
    names: Sequence[str],
    start: datetime,
    end: datetime,
    max_points: int = 700,
    *,
    now: datetime | None = None,
    marks: bool = True,
) -> Chart:
    """The chart of some series from `start` to `end`, in at most about `max_points` steps; two queries.

    The step is the finest that is kept for `start`: 15 s, minutes, quarters of an hour or more; the axis is
    aligned to it, so that a refreshed chart doesn't wobble. A last step that has only begun and holds nothing
    yet is left out.
    """
    if end <= start:
        raise ValueError("a chart ends after it starts")
    step_s = step_for(start, end, max_points, now or timezone.now(), retention())
    first = floored(start, timedelta(seconds=step_s))
    origin = int(first.timestamp())
    count = -(-int(end.timestamp() - origin) // step_s) or 1
    units, columns = _columns(names, first, end, step_s, count)
    last_began = origin + (count - 1) * step_s
    if count > 1 and end.timestamp() - last_began < FRESH_S and all(y[-1] is None for y in columns.values()):
        count -= 1
        columns = {name: y[:-1] for name, y in columns.items()}
    lines = tuple(
        Line(name, units.get(canonical(name), unit_of(name)), bridged(columns[canonical(name)], step_s))
        for name in names
    )
    x = tuple(range(origin, origin + count * step_s, step_s))
    return Chart(first, end, step_s, x, lines, _marks(first, end) if marks else ())


def sparklines(
    names: Sequence[str], start: datetime, end: datetime, points: int = 40
) -> dict[str, tuple[float | None, ...]]:
    """For each name `points` values from `start` to `end`, in one query however many names; None is a gap."""
    if end <= start or points < 1:
        raise ValueError("a sparkline has points, and ends after it starts")
    width_s = (end - start).total_seconds() / points
    _, columns = _columns(names, start, end, width_s, points)
    return {name: bridged(columns[canonical(name)], width_s) for name in names}


def latest(names: Sequence[str], now: datetime, within: timedelta = timedelta(minutes=5)) -> dict[str, Latest]:
    """The newest sample of each series that has one in the last `within`; one query."""
    stored = {canonical(name): name for name in names}
    with connection.cursor() as cursor:
        cursor.execute(sql.LATEST, {"names": list(stored), "start": now - within, "now": now})
        return {stored[name]: Latest(value, at) for name, value, at in cursor.fetchall()}


def mark(at: datetime, kind: str, title: str, url: str = "", target: str = "") -> None:
    """Put an event on the axis of all charts; once, however often it is said."""
    Mark.objects.bulk_create(
        [Mark(at=at, kind=Mark.Kind(kind), title=title[:200], url=url[:500], target=target[:400])],
        ignore_conflicts=True,
    )


def _columns(
    names: Sequence[str], start: datetime, end: datetime, step_s: float, count: int
) -> tuple[dict[str, str], dict[str, tuple[float | None, ...]]]:
    """Units and values by stored name, in one query; a name that was never recorded has no unit and only gaps."""
    stored = list(dict.fromkeys(canonical(name) for name in names))
    units: dict[str, str] = {}
    worst: set[str] = set()
    chunks: dict[str, list[Chunk]] = {name: [] for name in stored}
    bins: dict[str, list[Bins]] = {name: [] for name in stored}
    span = (start.timestamp(), end.timestamp())
    if stored:
        with connection.cursor() as cursor:
            cursor.execute(
                sql.points(step_s),
                {"names": stored, "start": start, "end": end, "origin": span[0], "step_s": float(step_s)},
            )
            for name, unit, keeps, slots, began, each_s, y, sums, counts in cursor.fetchall():
                units[name] = unit
                if keeps:
                    worst.add(name)
                if slots:
                    bins[name].append(Bins(slots, y if keeps else sums, counts))
                else:
                    chunks[name].append(Chunk(range(int(began), int(began) + len(y) * each_s, each_s), y))
    return units, {name: reduced(chunks[name], bins[name], span, step_s, count, name in worst) for name in stored}


def _marks(start: datetime, end: datetime) -> tuple[ChartMark, ...]:
    newest = Mark.objects.within(start, end).order_by("-at", "-id")[:200]
    return tuple(
        ChartMark(int(row.at.timestamp()), row.kind, row.title, row.url, row.target) for row in reversed(newest)
    )

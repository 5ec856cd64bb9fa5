"""A deploy's lanes on a time axis: bars by phase, in percent of the width. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

STEPS_S = (10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
TICKS = 7
LABEL_PERCENT = 9.0
"""A bar narrower than this holds no words."""


@dataclass(frozen=True)
class Tick:
    x: float
    word: str


@dataclass(frozen=True)
class Axis:
    """From the start of a deploy to its end, as far as that is known or foretold."""

    start: datetime
    end: datetime
    now: datetime
    ticks: tuple[Tick, ...]

    def x(self, at: datetime) -> float:
        """Where a moment lies, from 0 to 100."""
        span_s = (self.end - self.start).total_seconds()
        return round(min(100.0, max(0.0, (at - self.start).total_seconds() / span_s * 100)), 2)

    @property
    def now_x(self) -> float | None:
        return self.x(self.now) if self.start <= self.now <= self.end else None


def axis(start: datetime, end: datetime, now: datetime) -> Axis:
    """An axis with round times on it; at least a minute long, and with room for the last label."""
    span_s = max(60.0, (end - start).total_seconds() * 1.04)
    step_s = next((step for step in STEPS_S if span_s / step <= TICKS), STEPS_S[-1])
    first_s = (int(start.timestamp()) // step_s + 1) * step_s
    whole = Axis(start, start + timedelta(seconds=span_s), now, ())
    moments = [datetime.fromtimestamp(first_s + n * step_s, UTC) for n in range(TICKS + 1) if first_s + n * step_s]
    form = "%H:%M:%S" if step_s < 60 else "%H:%M" if step_s < 43200 else "%-d %b"
    ticks = tuple(
        Tick(whole.x(at), at.strftime(form))
        for at in moments
        if at < whole.end and (whole.now_x is None or abs(whole.x(at) - whole.now_x) > 7) and whole.x(at) < 96
    )
    return Axis(whole.start, whole.end, now, ticks)


@dataclass(frozen=True)
class Bar:
    """`css` of `qd-ph-…`; `label` is empty where it would not fit."""

    css: str
    x: float
    width: float
    label: str = ""
    label_css: str = ""


@dataclass(frozen=True)
class Track:
    """An old worker's bars, those of the one that takes its place, and marks."""

    old: tuple[Bar, ...] = ()
    new: tuple[Bar, ...] = ()
    gone_x: float | None = None
    whisker: tuple[float, float] | None = None
    deadline_x: float | None = None


@dataclass(frozen=True)
class Span:
    """One phase: from when until when (None: until now), its style, and what to write on it."""

    css: str
    since: datetime | None
    until: datetime | None
    label: str = ""
    label_css: str = ""


def bars(axis: Axis, spans: Sequence[Span]) -> tuple[Bar, ...]:
    """The spans as bars; what has no beginning, and what has no width, is left out."""
    drawn = []
    for span in spans:
        if span.since is None:
            continue
        left, right = axis.x(span.since), axis.x(span.until or axis.now)
        width = round(right - left, 2)
        if width <= 0:
            continue
        label = span.label if width >= LABEL_PERCENT else ""
        drawn.append(Bar(span.css, left, max(width, 0.3), label, span.label_css))
    return tuple(drawn)

"""How a table with a watermark is doing, when it will reach a cutoff, how fast it uses its error budget. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import combinations
from statistics import median

from console.lib.status import Status
from console.lib.words import count, duration

DMS_LIMIT_S = 300.0
POLLS_LIMIT = 3
WRITER_LIMIT_S = 60.0
STALLED_AFTER = 3.0
STANDSTILL = 0.01
"""A watermark that grows by less than this many seconds a second never arrives."""
RUNWAY_S = 3600.0
"""How long a repair takes: with less time left, a cutoff that will be missed is somebody's to know now."""
POINTS = 60


class Nine(StrEnum):
    """The statuses, in the order in which they are tried."""

    UNKNOWN = "UNKNOWN"
    BROKEN = "BROKEN"
    LOADING = "LOADING"
    WRITER_DOWN = "WRITER_DOWN"
    STALLED = "STALLED"
    BREACHED = "BREACHED"
    AT_RISK = "AT_RISK"
    CATCHING_UP = "CATCHING_UP"
    FRESH = "FRESH"


STATUS = {
    Nine.UNKNOWN: Status.UNKNOWN,
    Nine.BROKEN: Status.FAILING,
    Nine.LOADING: Status.DEGRADED,
    Nine.WRITER_DOWN: Status.UNKNOWN,  # unprovable, which is not late
    Nine.STALLED: Status.FAILING,
    Nine.BREACHED: Status.FAILING,
    Nine.AT_RISK: Status.DEGRADED,
    Nine.CATCHING_UP: Status.DEGRADED,
    Nine.FRESH: Status.HEALTHY,
}


# --- Forecast ------------------------------------------------------------------------------------------------------

Point = tuple[datetime, datetime]
"""When it was seen, and the watermark then."""


def slope(points: Sequence[Point]) -> float | None:
    """Seconds of watermark per second (Theil–Sen: the median over all pairs, so that a stray poll does not bend it).

    At most `POINTS` of them are looked at, evenly spread. None with fewer than two moments.
    """
    if len(points) > POINTS:
        points = [points[index * (len(points) - 1) // (POINTS - 1)] for index in range(POINTS)]
    slopes = [
        (after[1] - before[1]).total_seconds() / passed_s
        for before, after in combinations(points, 2)
        if (passed_s := (after[0] - before[0]).total_seconds()) > 0
    ]
    return median(slopes) if slopes else None


def eta(watermark: datetime, cutoff: datetime, speed: float | None, now: datetime) -> datetime | None:
    """When the watermark reaches the cutoff at this speed: not before the cutoff itself; None: never, or not known."""
    if watermark >= cutoff:
        return now
    if speed is None or speed < STANDSTILL:
        return None
    needs_s = (cutoff - watermark).total_seconds() / speed
    return max(now + timedelta(seconds=min(needs_s, 366 * 86400.0)), cutoff)


@dataclass(frozen=True)
class Cutoff:
    """A moment up to which a table is waited for, and until when."""

    at: datetime
    deadline: datetime


@dataclass(frozen=True)
class Forecast:
    """For one cutoff: when it is met, by the speed of a short and of a long window; None: never, at that speed."""

    cutoff: Cutoff
    short: datetime | None
    long: datetime | None

    @property
    def misses(self) -> bool:
        """Whether both windows say that it will be late."""
        return all(at is None or at > self.cutoff.deadline for at in (self.short, self.long))


def forecast(
    watermark: datetime, cutoff: Cutoff, short: Sequence[Point], long: Sequence[Point], now: datetime
) -> Forecast:
    """`short` and `long`: the watermark over the last 15 and 60 minutes."""
    return Forecast(cutoff, eta(watermark, cutoff.at, slope(short), now), eta(watermark, cutoff.at, slope(long), now))


def pages(found: Forecast, status: Nine, now: datetime) -> bool:
    """Whether somebody is to be woken for this cutoff: it will be missed, and the time left is what a repair takes."""
    left_s = (found.cutoff.deadline - now).total_seconds()
    if left_s > RUNWAY_S:
        return False
    return status in (Nine.BROKEN, Nine.STALLED, Nine.WRITER_DOWN) or found.misses


# --- Status --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holder:
    """The source's oldest open transaction."""

    pid: int
    user: str
    since: datetime


@dataclass(frozen=True)
class Seen:
    """What is known of one table at `now`. Lags are now less the watermark, in seconds; None: it is undefined.

    `window` holds the row lag over the last minutes, oldest first; None: it is incomplete, and nothing can be said of a
    trend. `speed` is the watermark's slope in it.
    """

    now: datetime
    slo_s: float
    warehouse_age_s: float | None
    poll_s: float  # how often the warehouse is read
    dms_age_s: float | None
    broken: str = ""  # why the table gets nothing until a person acts
    loading: str = ""
    source_beat_age_s: float | None = None
    beat_s: float = 10.0
    unchanged_s: float = 0.0  # how long the commit watermark has stood still while the source's beats went on
    cadence_s: float = 20.0  # how often it usually grows
    row_lag_s: float | None = None
    commit_lag_s: float | None = None
    holder: Holder | None = None
    prepared: int = 0  # prepared transactions at the source
    writer: str = ""  # why heartbeats are not written, where that is known
    unproven: str = ""  # why there is no watermark, as a sentence
    window: tuple[float, ...] | None = None
    speed: float | None = None
    forecasts: tuple[Forecast, ...] = ()


@dataclass(frozen=True)
class Outlook:
    nine: Nine
    reason: str  # one sentence
    tags: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        return STATUS[self.nine]


def outlook(seen: Seen) -> Outlook:
    """The first that applies."""
    for step in STEPS:
        found = step(seen)
        if found is not None:
            return found
    return Outlook(Nine.FRESH, f"Complete to {duration(seen.row_lag_s)} ago; the SLO is {duration(seen.slo_s)}.")


def _unknown(seen: Seen) -> Outlook | None:
    limit_s = POLLS_LIMIT * seen.poll_s
    if seen.warehouse_age_s is None or seen.warehouse_age_s > limit_s:
        return Outlook(Nine.UNKNOWN, f"The warehouse was not read in the last {duration(limit_s)}.")
    if seen.dms_age_s is None or seen.dms_age_s > DMS_LIMIT_S:
        return Outlook(Nine.UNKNOWN, f"DMS was not read in the last {duration(DMS_LIMIT_S)}.")
    return None


def _broken(seen: Seen) -> Outlook | None:
    return Outlook(Nine.BROKEN, f"Nothing arrives until somebody acts: {seen.broken}.") if seen.broken else None


def _loading(seen: Seen) -> Outlook | None:
    return Outlook(Nine.LOADING, f"It is being loaded: {seen.loading}.") if seen.loading else None


def _writer_down(seen: Seen) -> Outlook | None:
    limit_s = max(WRITER_LIMIT_S, 3 * seen.beat_s)
    if seen.source_beat_age_s is not None and seen.source_beat_age_s <= limit_s:
        return None
    age = "none is there" if seen.source_beat_age_s is None else f"the newest is {duration(seen.source_beat_age_s)} old"
    why = seen.writer or "nothing can be proven"
    return Outlook(Nine.WRITER_DOWN, f"Heartbeats are not written at the source ({age}): {why.rstrip('.')}.")


def _stalled(seen: Seen) -> Outlook | None:
    if seen.unchanged_s <= STALLED_AFTER * seen.cadence_s:
        return None
    return Outlook(Nine.STALLED, f"Heartbeats go on at the source, none has arrived for {duration(seen.unchanged_s)}.")


def _breached(seen: Seen) -> Outlook | None:
    if seen.row_lag_s is None:
        return Outlook(Nine.UNKNOWN, seen.unproven or "Nothing has been proven yet.")
    if seen.row_lag_s <= seen.slo_s:
        return None
    reason = f"{duration(seen.row_lag_s)} behind, the SLO is {duration(seen.slo_s)}"
    if seen.holder is not None and _fine(seen):
        holder = f"a transaction of {seen.holder.user} (pid {seen.holder.pid}) has been open at the source"
        # At MariaDB, and MySQL before 8.0.29, a prepared one is in the list of open ones too, while its session lives.
        beside = f", beside {count(seen.prepared, 'prepared transaction')}" if seen.prepared else ""
        since = f"since {seen.holder.since:%H:%M:%S} UTC{beside}"
        return Outlook(Nine.BREACHED, f"{reason}: {holder} {since}.", ("HELD_BY_TXN",))
    if seen.prepared and _fine(seen):
        text = f"{count(seen.prepared, 'prepared transaction')} at the source: commit or roll back"
        return Outlook(Nine.BREACHED, f"{reason}, held by {text}.", ("HELD_BY_TXN",))
    return Outlook(Nine.BREACHED, f"{reason}.")


def _fine(seen: Seen) -> bool:
    """Whether what was committed arrives in time, so that only open transactions hold the rows back."""
    return seen.commit_lag_s is not None and seen.commit_lag_s <= seen.slo_s


def _incomplete(seen: Seen) -> Outlook | None:
    if seen.window is not None:
        return None
    return Outlook(Nine.UNKNOWN, "It has not been watched for long enough to say where it is going.")


def _at_risk(seen: Seen) -> Outlook | None:
    missed = [found for found in seen.forecasts if found.misses]
    if missed:
        first = min(missed, key=lambda found: found.cutoff.deadline)
        return Outlook(
            Nine.AT_RISK,
            f"At this speed it will not be complete to {first.cutoff.at:%d %b %H:%M} UTC by "
            f"{first.cutoff.deadline:%H:%M} UTC.",
        )
    never_falls = seen.window is not None and all(
        after >= before for before, after in zip(seen.window, seen.window[1:], strict=False)
    )
    if never_falls and _over_half(seen):
        return Outlook(Nine.AT_RISK, f"{duration(seen.row_lag_s)} behind and not once less in the last minutes.")
    return None


def _catching_up(seen: Seen) -> Outlook | None:
    if not _over_half(seen) or seen.speed is None or seen.speed <= 1:
        return None
    return Outlook(
        Nine.CATCHING_UP, f"{duration(seen.row_lag_s)} behind, and gaining {seen.speed - 1:.1f} seconds a second."
    )


def _over_half(seen: Seen) -> bool:
    return seen.row_lag_s is not None and seen.row_lag_s > seen.slo_s / 2


STEPS: tuple[Callable[[Seen], Outlook | None], ...] = (
    _unknown,
    _broken,
    _loading,
    _writer_down,
    _stalled,
    _breached,
    _incomplete,
    _at_risk,
    _catching_up,
)


# --- SLO and error budget ------------------------------------------------------------------------------------------


class Alarm(StrEnum):
    PAGE = "page"
    TICKET = "ticket"


BURNS = (
    # (long window, short window) in seconds, how many times faster than the budget allows
    (3600.0, 300.0, 14.4, Alarm.PAGE),
    (6 * 3600.0, 1800.0, 6.0, Alarm.PAGE),
    (3 * 86400.0, 6 * 3600.0, 1.0, Alarm.TICKET),
)


def burn(bad: float, objective: float) -> float:
    """How many times faster than allowed the budget is used: `bad` is the share of bad minutes, unknown ones too."""
    return bad / (1 - objective)


def alarm(bad: dict[float, float], objective: float) -> Alarm | None:
    """The worst alarm that both of its windows raise; `bad` is the share of bad minutes by the window's length."""
    for long_s, short_s, times, kind in BURNS:
        if min(burn(bad[long_s], objective), burn(bad[short_s], objective)) >= times:
            return kind
    return None

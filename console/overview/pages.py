"""The overview: one frozen object that joins what every section knows. Its queries don't grow with the platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.fleets.figures import Fleet
from console.fleets.pages import FleetsSummary
from console.fleets.sources import JUDGED
from console.freshness.pages import FreshnessSummary, lag_series
from console.freshness.rows import TableRow
from console.history import series
from console.incidents.pages import Row, open_rows
from console.lib.status import Status
from console.lib.words import count, duration
from console.overview.parts import Summaries, parts, summaries
from console.overview.rules import Blind, Headline, blindness, headline
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import POOLS, REPLICATION, SCHEDULER, SOURCES, SourceSpec
from console.scheduler.pages import TakeoverRow, takeover_rows
from console.scheduler.strip import BARS, cell, window

SPARK = timedelta(hours=2)
POINTS = 40
BLIND_LIMIT_S = 30.0
"""How long a page may go on saying what it can't see before it says that of itself."""
MONTH = timedelta(days=30)
WATCHED: tuple[SourceSpec, ...] = (*SOURCES.values(), JUDGED)

COLUMNS = (
    ("Airflow", ("airflow",)),
    ("Workers and their broker", ("broker", "console")),
    ("AWS", ("aws",)),
    ("Databases", ("warehouse", "source")),
)


@dataclass(frozen=True)
class FleetLine:
    fleet: Fleet
    backlog: tuple[float | None, ...]


@dataclass(frozen=True)
class TableLine:
    row: TableRow
    lag: tuple[float | None, ...]


@dataclass(frozen=True)
class Watched:
    """One source and how well it can be seen. `took_s` is how long the last attempt took."""

    sight: Sight
    system: str
    every_s: float
    word: str  # seen, failing, unknown
    note: str


@dataclass(frozen=True)
class State:
    """What is known of the whole platform at one moment."""

    now: datetime
    headline: Headline
    blind: tuple[Blind, ...]
    of: Summaries
    sources: tuple[Watched, ...]

    @property
    def as_of(self) -> datetime | None:
        """The oldest reading behind what can be seen; None while nothing can."""
        return min((one.sight.as_of for one in self.sources if one.sight.seen and one.sight.as_of), default=None)

    @property
    def systems(self) -> tuple[tuple[str, tuple[Watched, ...]], ...]:
        """The sources by the system they belong to, for columns of about the same height."""
        return tuple((title, tuple(one for one in self.sources if one.system in of)) for title, of in COLUMNS)

    @property
    def dated(self) -> tuple[datetime | None, float]:
        """What dates the headline, and how old that may get: the source that is nearest to its limit.

        That the console is blind is known now, however old what it can't see is.
        """
        if self.blind:
            return self.now, BLIND_LIMIT_S
        return _nearest([one.sight for one in self.sources])


def _nearest(sights: Sequence[Sight]) -> tuple[datetime | None, float]:
    """Of those that can be seen the one nearest to its limit; of none the one furthest past it."""
    sight = min([one for one in sights if one.seen] or sights, key=_left_s)
    return sight.as_of, sight.limit_s


def _left_s(sight: Sight) -> float:
    return float("-inf") if sight.age_s is None else sight.limit_s - sight.age_s


@dataclass(frozen=True)
class OverviewPage:
    state: State
    strip: tuple[str, ...]
    strip_said: str
    scheduler_every_s: float
    takeovers: tuple[TakeoverRow, ...]
    takeovers_said: str
    incidents: tuple[Row, ...]
    fleets: tuple[FleetLine, ...]
    tables: tuple[TableLine, ...]

    # How old the figures of a card may get, by the source that is read least often.
    freshness_limit_s: float = REPLICATION.limit_s
    pools_limit_s: float = POOLS.limit_s

    @property
    def shares(self) -> tuple[tuple[str, int, str], ...]:
        """Tables by state, for a bar of parts."""
        it = self.state.of.freshness
        degraded = it.late - it.failing
        found = (("healthy", it.fresh, "within SLO"), ("unknown", it.unknown, "unknown"))
        return (*found, ("degraded", degraded, "degraded"), ("failing", it.failing, "failing"))

    @property
    def fleets_dated(self) -> tuple[datetime | None, float]:
        """What dates the fleets' figures, and how old that may get. Those that can't be seen are unknown already."""
        return _nearest(self.state.of.fleets.sights)

    @property
    def troubled_said(self) -> str:
        """`1 of 3 needs a look`."""
        it = self.state.of.fleets
        if it.status is Status.UNKNOWN:
            return "unknown"
        return f"{it.troubled} of {len(it.fleets)} need{'s' if it.troubled == 1 else ''} a look"

    @property
    def unseen_said(self) -> str:
        """`2 of 12 unseen`."""
        unseen = sum(not one.sight.seen for one in self.state.sources)
        return f"{unseen} of {len(self.state.sources)} unseen"

    @property
    def jumps(self) -> tuple[tuple[str, str, Status, str], ...]:
        """The phone's shortcuts: address, word, status, figure."""
        of = self.state.of
        found = [("/scheduler/", "Scheduler", of.scheduler.status, of.scheduler.status.value)]
        if of.fleets.fleets:
            waiting = of.fleets.totals.outstanding
            found.append(
                ("/fleets/", "Fleets", of.fleets.status, "unknown" if waiting is None else f"{waiting} waiting")
            )
        if of.freshness.total:
            found.append(
                ("/freshness/", "Freshness", of.freshness.status, f"{of.freshness.fresh}/{of.freshness.total}")
            )
        if of.datastores.rows:
            found.append(("/datastores/", "Datastores", of.datastores.status, of.datastores.status.value))
        return tuple(found)


def overview_state(now: datetime) -> State:
    """About twenty queries, however large the platform is."""
    sights = Source.objects.sights(now, WATCHED)
    found = summaries(now)
    blind = blindness(sights, SOURCES.values())
    return State(
        now=now,
        headline=headline(blind, parts(found), now),
        blind=blind,
        of=found,
        sources=tuple(_watched(spec, sights[spec.name]) for spec in WATCHED),
    )


def overview_page(now: datetime) -> OverviewPage:
    """The page `/`. Four queries more than its state, however large the platform is."""
    state = overview_state(now)
    start, end = window(now)
    ages = series.sparklines([_HEARTBEAT], start, end, BARS)[_HEARTBEAT]
    cells = tuple(cell(age, None if age is None else 1.0) for age in ages)
    takeovers = takeover_rows(now, MONTH)
    lost = sum(one == "failing" for one in cells)
    sparks = _sparks(state.of.fleets, state.of.freshness, now)
    return OverviewPage(
        state=state,
        strip=cells,
        strip_said=f"Heartbeat of the leader over 24 hours: lost in {lost} of {BARS} periods of 10 min, "
        f"no data in {sum(one == 'unknown' for one in cells)}",
        scheduler_every_s=SCHEDULER.interval_s,
        takeovers=takeovers[:1],
        takeovers_said=_said_of(takeovers),
        incidents=open_rows(now),
        fleets=tuple(FleetLine(fleet, sparks[_backlog(fleet.queue)]) for fleet in state.of.fleets.fleets),
        tables=tuple(TableLine(row, sparks[lag_series(row.name)]) for row in state.of.freshness.worst),
    )


def _said_of(rows: Sequence[TakeoverRow]) -> str:
    """`30 days: 5 changes, longest gap 16 s`."""
    gaps = [row.gap_s for row in rows if row.gap_s is not None]
    longest = f", longest gap {duration(max(gaps))}" if gaps else ""
    return f"{MONTH.days} days: {count(len(rows), 'change') if rows else 'no change'}{longest}"


_HEARTBEAT = "scheduler.heartbeat_age_s"


def _backlog(queue: str) -> str:
    return f"fleet.{queue}.outstanding"


def _sparks(fleets: FleetsSummary, freshness: FreshnessSummary, now: datetime) -> dict[str, tuple[float | None, ...]]:
    """Backlogs and lags of the last two hours, in one query."""
    names: Sequence[str] = [_backlog(fleet.queue) for fleet in fleets.fleets]
    names = [*names, *(lag_series(row.name) for row in freshness.worst)]
    return series.sparklines(names, now - SPARK, now, POINTS)


def _watched(spec: SourceSpec, sight: Sight) -> Watched:
    word = "unknown" if not sight.seen else "failing" if sight.failing else "seen"
    said = sight.reason if not sight.seen else "the last attempt failed" if sight.failing else ""
    note = ". ".join(filter(None, (f"{said[:1].upper()}{said[1:].rstrip('.')}" if said else "", sight.remedy)))
    return Watched(sight, spec.system, spec.interval_s, word, note)

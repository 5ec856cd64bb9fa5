"""The pools' page and their line on the overview: frozen, each built by two queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from console.lib import listing
from console.lib.listing import Column, Listing, Tab
from console.lib.status import Status, worst
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import POOLS
from console.pools.models import PoolSnapshot, every_pool
from console.pools.rules import PoolFacts, Tally, Verdict, statement, tally, unseen, verdict

URL = "/pools/"
WORST = 3
STATES = ("starving", "full", "open", "unlimited")
COLUMNS = (
    # key, heading, falls at first
    ("name", "Pool", False),
    ("running", "Running", True),
    ("queued", "Queued", True),
    ("deferred", "Deferred", True),
    ("open", "Open", False),
    ("waiting", "Waiting", True),
    ("slots", "Slots", True),
)


@dataclass(frozen=True)
class PoolRow:
    """One pool as the page and the API show it. Counts are None while Airflow's pools can't be seen."""

    name: str
    description: str
    verdict: Verdict
    slots: int | None
    unlimited: bool
    include_deferred: bool
    running: int | None
    queued: int | None
    deferred: int | None
    waiting: int | None
    open: int | None
    occupied: int | None
    revision: str
    starving_since: datetime | None

    @property
    def holding(self) -> int:
        """Deferred tasks that hold a slot, for the bar."""
        return (self.deferred or 0) if self.include_deferred else 0


@dataclass(frozen=True)
class PoolsSummary:
    """The pools in a line. `status` is unknown while they can't be seen, and the counts None."""

    status: Status
    reason: str  # a sentence: what is wrong, or that nothing is
    as_of: datetime | None
    age_s: float | None
    total: int | None
    starving: int | None
    full: int | None
    waiting: int | None  # slots waited for in pools that starve
    worst: tuple[PoolRow, ...]
    url: str = URL


@dataclass(frozen=True)
class PoolsPage:
    status: Status
    heading: str
    pill: str
    text: str
    sight: Sight
    every_s: float
    total: int | None
    starving: int | None
    full: int | None
    waiting: int | None
    running: int | None
    queued: int | None
    rows: tuple[PoolRow, ...]
    known: int  # pools that are remembered, however old
    listing: Listing
    columns: dict[str, Column]
    tabs: tuple[Tab, ...]


def pool_rows(now: datetime) -> tuple[tuple[PoolRow, ...], Sight]:
    """Every pool that is remembered, by name, and how well it can be seen. Two queries."""
    sight = Source.objects.sights(now, [POOLS])[POOLS.name]
    return tuple(_row(pool, sight, now) for pool in every_pool()), sight


def _row(pool: PoolSnapshot, sight: Sight, now: datetime) -> PoolRow:
    facts, seen = pool.facts(), sight.seen
    return PoolRow(
        name=pool.name,
        description=pool.description,
        verdict=verdict(facts, now) if seen else unseen(sight.reason),
        slots=pool.slots if seen else None,
        unlimited=facts.unlimited,
        include_deferred=pool.include_deferred,
        running=pool.running if seen else None,
        queued=pool.queued if seen else None,
        deferred=pool.deferred if seen else None,
        waiting=pool.scheduled if seen else None,
        open=pool.open if seen else None,
        occupied=pool.occupied if seen else None,
        revision=pool.revision,
        starving_since=pool.starving_since if seen else None,
    )


def pools_summary(now: datetime) -> PoolsSummary:
    """For the overview. Two queries."""
    sight = Source.objects.sights(now, [POOLS])[POOLS.name]
    if not sight.seen:
        reason = f"Airflow's pools can't be seen: {sight.reason}."
        return PoolsSummary(Status.UNKNOWN, reason, sight.as_of, sight.age_s, None, None, None, None, ())
    pools = {pool.name: pool for pool in every_pool()}
    found = tally(tuple(pool.facts() for pool in pools.values()))
    rows = tuple(_row(pools[facts.name], sight, now) for facts in found.worst[:WORST])
    return PoolsSummary(
        status=worst(row.verdict.status for row in rows),
        reason=f"{statement(found)}.",
        as_of=sight.as_of,
        age_s=sight.age_s,
        total=found.total,
        starving=found.starving,
        full=found.full,
        waiting=found.waiting,
        worst=rows,
    )


def pools_page(now: datetime, query: Mapping[str, str]) -> PoolsPage:
    """The page `/pools/` as its address asks for it. Two queries, however many pools."""
    asked = listing.read(query, states=STATES, columns=[key for key, _, _ in COLUMNS], default_sort="-waiting")
    sight = Source.objects.sights(now, [POOLS])[POOLS.name]
    pools = every_pool()
    rows = [_row(pool, sight, now) for pool in pools]
    facts: tuple[PoolFacts, ...] = tuple(pool.facts() for pool in pools)
    found = tally(facts)
    seen = sight.seen
    return PoolsPage(
        status=worst(row.verdict.status for row in rows) if seen else Status.UNKNOWN,
        heading=statement(found) if seen else "Airflow's pools can't be seen",
        pill=_pill(found, seen),
        text=_text(rows, found, sight),
        sight=sight,
        every_s=POOLS.interval_s,
        total=found.total if seen else None,
        starving=found.starving if seen else None,
        full=found.full if seen else None,
        waiting=sum(pool.scheduled for pool in pools) if seen else None,
        running=sum(pool.running for pool in pools) if seen else None,
        queued=sum(pool.queued for pool in pools) if seen else None,
        rows=tuple(_ordered(_matching(rows, asked), asked)),
        known=len(pools),
        listing=asked,
        columns=listing.columns(asked, COLUMNS),
        tabs=listing.tabs(
            asked,
            [
                ("", "All", found.total if seen else None),
                ("starving", "Starving", found.starving if seen else None),
                ("full", "Full", found.full if seen else None),
                ("open", "With room", found.total - found.full if seen else None),
            ],
        ),
    )


def _pill(found: Tally, seen: bool) -> str:
    if not seen:
        return "unknown"
    return f"{found.starving} starving" if found.starving else "healthy"


def _text(rows: list[PoolRow], found: Tally, sight: Sight) -> str:
    if not sight.seen:
        return f"{sight.reason[:1].upper()}{sight.reason[1:]}. {sight.remedy}".strip()
    said = "A task needs a slot of its pool before the scheduler queues it."
    if found.worst:
        first = next(row for row in rows if row.name == found.worst[0].name)
        return f"{said} {first.name}: {first.verdict.reason[:1].lower()}{first.verdict.reason[1:]}"
    return said


def _matching(rows: list[PoolRow], asked: Listing) -> list[PoolRow]:
    text = asked.q.casefold()
    found = [row for row in rows if text in row.name.casefold() or text in row.description.casefold()]
    match asked.state:
        case "starving":
            return [row for row in found if row.verdict.status == Status.DEGRADED]
        case "full":
            return [row for row in found if row.open is not None and not row.unlimited and row.open <= 0]
        case "open":
            return [row for row in found if row.open is not None and (row.unlimited or row.open > 0)]
        case "unlimited":
            return [row for row in found if row.unlimited]
        case _:
            return found


def _ordered(rows: list[PoolRow], asked: Listing) -> list[PoolRow]:
    """By the column, then the fuller pool first, then the name. An unlimited pool has the most slots and room."""

    def key(row: PoolRow) -> float:
        if asked.column in ("open", "slots") and row.unlimited:
            return float("inf")
        return float(getattr(row, asked.column) or 0)

    rows = sorted(rows, key=lambda row: (-_fullness(row), row.name))
    if asked.column == "name":
        return sorted(rows, key=lambda row: row.name, reverse=asked.falls)
    return sorted(rows, key=lambda row: -key(row) if asked.falls else key(row))


def _fullness(row: PoolRow) -> float:
    if row.unlimited or row.occupied is None or row.slots is None:
        return 0.0
    return row.occupied / row.slots if row.slots else float(bool(row.waiting))

"""All fleets: their page, and their summary for the overview. Frozen values, by a constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, F, IntegerField, Value, When

from console.fleets import rows as ask
from console.fleets.facts import Sights, why_blind
from console.fleets.figures import Fleet, Totals, fleet_of, totals
from console.fleets.models import GroupSnapshot, QueueSnapshot, Watch
from console.fleets.poll import declared_queues
from console.fleets.scaling.told import NOTHING, Told, told
from console.lib import listing
from console.lib.listing import Column, Listing, Pager
from console.lib.status import Status, worst
from console.lib.words import count
from console.platform.declared import declaration
from console.platform.rules import Sight

CARDS = 12
OTHER_COLUMNS = (
    # key, heading, falls at first
    ("queue", "Queue", False),
    ("outstanding", "Outstanding", True),
    ("running", "Running", True),
    ("depth", "In the broker", True),
    ("workers", "Workers", True),
    ("slots", "Slots", True),
    ("seen", "Named", True),
)
_OTHER_ORDERS = {
    "queue": "queue",
    "outstanding": "queued",
    "running": "running",
    "depth": "depth",
    "workers": "in_service",
    "slots": "slots",
    "seen": "seen_at",
}


@dataclass(frozen=True)
class FleetsSummary:
    """All fleets in a few lines.

    `fleets` are the declared ones in their order, then the worst of the others; `hidden` says how many are left out.
    `headline` is the worst statement as a sentence without its full stop ("cpu: 41 tasks wait and no worker is in
    service"), "" when there is nothing to say; `worst` is the fleet it is about.
    """

    status: Status
    headline: str
    worst: Fleet | None
    fleets: tuple[Fleet, ...]
    hidden: int
    declared_known: int  # declared queues that have ever been seen
    totals: Totals
    as_of: datetime | None
    age_s: float | None
    sights: tuple[Sight, ...]

    @property
    def reason(self) -> str:
        return self.headline or _calm(self.totals, len(self.fleets) + self.hidden)

    @property
    def troubled(self) -> int:
        """Fleets of those listed that are not healthy."""
        return sum(fleet.status is not Status.HEALTHY for fleet in self.fleets)


def _calm(it: Totals, queues: int) -> str:
    if it.in_service is None or it.outstanding is None:
        return "it can't be seen"
    return f"{count(queues, 'queue')}, {count(it.in_service, 'worker')} in service, {it.outstanding} outstanding"


def fleets_summary(now: datetime) -> FleetsSummary:
    """What the overview shows of the fleets; seven queries."""
    return _summary(Sights.at(now), now, ask.groups())


def _summary(sights: Sights, now: datetime, groups: Mapping[str, GroupSnapshot]) -> FleetsSummary:
    declared = declared_queues()
    rows = {row.queue: row for row in [*ask.queues(declared), *ask.worst_others(declared)]}
    blank = {queue: QueueSnapshot(queue=queue, first_seen_at=now, seen_at=now) for queue in declared}
    fleets = tuple(fleet_of(row, groups, sights) for row in {**blank, **rows}.values())
    everything = totals(sights)
    bad = max((fleet for fleet in fleets if fleet.rank > 1), key=lambda fleet: fleet.rank, default=None)
    return FleetsSummary(
        status=worst(fleet.status for fleet in fleets) if fleets else Status.UNKNOWN,
        headline=f"{bad.queue}: {bad.reason}" if bad and bad.status is not Status.UNKNOWN else blind_headline(sights),
        worst=bad,
        fleets=fleets,
        declared_known=sum(queue in rows for queue in declared),
        hidden=max(0, everything.queues - len(rows)),
        totals=everything,
        as_of=sights.as_of,
        age_s=None if sights.as_of is None else max(0.0, (now - sights.as_of).total_seconds()),
        sights=sights.all,
    )


def blind_headline(sights: Sights) -> str:
    """What can't be seen of all fleets at once; "" when both work and workers can."""
    return why_blind(sights.tasks, *sights.hidden_workers)


# --- the page ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Waiting:
    """The task that waits longest."""

    name: str
    queue: str
    waited_s: float | None


@dataclass(frozen=True)
class Cost:
    """What the instances cost an hour, by the declared prices. None: the groups can't be seen."""

    now: float | None
    at_maximum: float


@dataclass(frozen=True)
class FleetsPage:
    """`/fleets/`: declared fleets as cards, queues that nobody declared as rows."""

    now: datetime
    summary: FleetsSummary
    heading: str
    pill: str
    text: str
    cards: tuple[Fleet, ...]
    scaling: Mapping[str, Told]  # by queue, of the cards
    cards_pager: Pager
    waiting: Waiting | None
    cost: Cost
    others: tuple[Fleet, ...]
    others_total: int
    others_known: int  # without the filter
    others_pager: Pager
    columns: dict[str, Column]
    listing: Listing
    watch: Watch | None
    sights: Sights

    @property
    def scaled_cards(self) -> tuple[tuple[Fleet, Told], ...]:
        return tuple((fleet, self.scaling.get(fleet.queue, NOTHING)) for fleet in self.cards)


def fleets_page(now: datetime, query: Mapping[str, str]) -> FleetsPage:
    """Eighteen queries, however many queues and workers there are."""
    sights = Sights.at(now)
    groups = ask.groups()
    summary = _summary(sights, now, groups)
    wanted = listing.read(query, states=(), columns=_OTHER_ORDERS, default_sort="-outstanding")
    # Cards turn by `cards`, rows by `page`.
    declared = declared_queues()
    turned = listing.read({"page": query.get("cards", "")}, states=(), columns=(), default_sort="")
    card_pager = listing.pager(turned, len(declared), CARDS)
    fleets = summary.fleets[: len(declared)]
    known = summary.totals.queues - summary.declared_known
    others, other_pager, total = _others(wanted, declared, known)
    ranked = sorted(range(len(fleets)), key=lambda index: (-fleets[index].rank, index))
    shown = ranked[card_pager.start : card_pager.start + CARDS] if len(fleets) > CARDS else range(len(fleets))
    cards = tuple(fleets[index] for index in shown)
    return FleetsPage(
        now=now,
        summary=summary,
        heading=_heading(summary, len(declared)),
        pill=_pill(summary),
        text=_text(len(declared), known),
        cards=cards,
        scaling=told([fleet.queue for fleet in cards], now, news=True),
        cards_pager=_cards_links(card_pager),
        waiting=_waiting(sights),
        cost=_cost(sights),
        others=tuple(fleet_of(row, groups, sights) for row in others),
        others_total=total,
        others_known=known,
        others_pager=other_pager,
        columns=listing.columns(wanted, OTHER_COLUMNS),
        listing=wanted,
        watch=ask.watch.first(),
        sights=sights,
    )


def _cards_links(pager: Pager) -> Pager:
    def turned(address: str, page: int) -> str:
        return f"?cards={page}" if address else ""

    page = pager.start // CARDS + 1
    return Pager(
        pager.first,
        pager.last,
        pager.total,
        turned(pager.previous, page - 1),
        turned(pager.next, page + 1),
        pager.pages,
    )


def _others(wanted: Listing, declared: list[str], known: int) -> tuple[list[QueueSnapshot], Pager, int]:
    rows = QueueSnapshot.objects.exclude(queue__in=declared)
    if wanted.q:
        rows = rows.filter(queue__icontains=wanted.q)
    total = rows.count() if wanted.q else known
    pager = listing.pager(wanted, total, ask.PAGE)
    by_default = wanted.sort == wanted.default_sort
    if not total:
        return [], pager, total
    if by_default and not wanted.q and pager.start == 0:
        return ask.first_others(declared), pager, total
    column = F(_OTHER_ORDERS.get(wanted.column, "queued"))
    order = column.desc(nulls_last=True) if wanted.falls else column.asc(nulls_last=True)
    keys = (F("rank").desc(), order, F("queue").asc()) if by_default else (order, F("queue").asc())
    return list(rows.order_by(*keys)[pager.start : pager.start + ask.PAGE]), pager, total


def _heading(summary: FleetsSummary, declared: int) -> str:
    if summary.headline:
        named = summary.worst is not None and summary.worst.status is not Status.UNKNOWN  # begins with a queue's name
        return summary.headline if named else summary.headline[:1].upper() + summary.headline[1:]
    if not declared:
        return "No fleet is declared"
    if summary.totals.outstanding:
        return f"Every queue is served, {summary.totals.outstanding} outstanding"
    return "Every queue is served, nothing waits"


def _pill(summary: FleetsSummary) -> str:
    if summary.troubled:
        return f"{summary.troubled} of {len(summary.fleets)} need a look"
    return "all served"


def _text(declared: int, others: int) -> str:
    said = f"{count(declared, 'declared queue')}, each served by one Auto Scaling Group of Celery workers."
    if others:
        said += f" {count(others, 'queue')} more {'is' if others == 1 else 'are'} in use that nobody declared."
    return said


def _waiting(sights: Sights) -> Waiting | None:
    if not sights.tasks.seen:
        return None
    found = ask.longest_waiting.first()
    if found is None:
        return None
    dag_id, task_id, queue, queued_at = found
    return Waiting(f"{dag_id}.{task_id}", queue, (sights.now - queued_at).total_seconds() if queued_at else None)


def _cost(sights: Sights) -> Cost:
    fleets = declaration().fleets
    running = dict(ask.instances_by_group())
    return Cost(
        now=sum(running.get(fleet.group, 0) * fleet.price_per_hour for fleet in fleets)
        if sights.compute.seen
        else None,
        at_maximum=sum(fleet.max * fleet.price_per_hour for fleet in fleets),
    )


def fleets_listed(now: datetime, *, limit: int, offset: int) -> tuple[tuple[Fleet, ...], int]:
    """Fleets for the API: the declared ones in their order, then the others by severity and name. Four queries."""
    sights = Sights.at(now)
    groups = ask.groups()
    declared = declared_queues()
    place = Case(
        *[When(queue=queue, then=Value(index)) for index, queue in enumerate(declared)],
        default=Value(len(declared)),
        output_field=IntegerField(),
    )
    total = QueueSnapshot.objects.count()
    rows = list(QueueSnapshot.objects.order_by(place, "-rank", "queue")[offset : offset + limit])
    missing = set(declared) - set(QueueSnapshot.objects.filter(queue__in=declared).values_list("queue", flat=True))
    if missing and offset == 0:  # before the first poll: declared all the same
        blank = [QueueSnapshot(queue=q, first_seen_at=now, seen_at=now) for q in declared if q in missing]
        rows, total = [*blank, *rows][:limit], total + len(blank)
    return tuple(fleet_of(row, groups, sights) for row in rows), total

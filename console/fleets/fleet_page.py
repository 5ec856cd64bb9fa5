"""`/fleets/QUEUE/` and a worker's own page: frozen values, by a constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from console.fleets import hands
from console.fleets import rows as ask
from console.fleets.charts import DEFAULT_RANGE, LEGEND, RANGES
from console.fleets.facts import Sights
from console.fleets.figures import Fleet, fleet_of, fleet_url
from console.fleets.models import GroupSnapshot, QueueSnapshot, Worker
from console.fleets.poll import declared_queues
from console.fleets.scaling.bills import Cost, costs, levels
from console.fleets.scaling.pages import ScalingCard, scaling_card
from console.fleets.scaling.waits import Level
from console.fleets.workers import COLUMNS, ORDERS, TABS, WorkerRow, counted, ordered, spread, worker_rows
from console.lib import listing
from console.lib.listing import Column, Listing, Pager, Tab
from console.lib.words import count, duration, listed
from console.operations.models import Operation
from console.platform.declared import declaration

PAGE = ask.PAGE


class Unknown(Exception):
    """No such queue or worker. `known` are names to suggest from."""

    def __init__(self, kind: str, name: str, known: list[str]) -> None:
        super().__init__(f"No {kind} is called {name[:100]}.")
        self.kind = kind
        self.name = name
        self.known = known


class Range(NamedTuple):
    word: str
    url: str
    current: bool


@dataclass(frozen=True)
class WaitingTask:
    name: str
    run_id: str
    pool: str
    waited_s: float | None


class Busy(NamedTuple):
    """An operation in whose hands something is."""

    id: int
    kind: str
    url: str


@dataclass(frozen=True)
class FleetPage:
    """One queue: its figures, its chart, what waits, its workers."""

    now: datetime
    fleet: Fleet
    group: GroupSnapshot | None
    heading: str
    text: str
    range: str
    ranges: tuple[Range, ...]
    waiting: tuple[WaitingTask, ...]
    workers: tuple[WorkerRow, ...]
    total: int  # of the workers that the filter leaves
    known: int
    pager: Pager
    listing: Listing
    columns: dict[str, Column]
    tabs: tuple[Tab, ...]
    zones: tuple[tuple[str, int], ...]
    releases: tuple[tuple[str, int], ...]
    reserved: int | None
    sights: Sights
    busy: Mapping[str, Busy]  # by instance
    fleet_busy: Busy | None  # the operation that works on the whole fleet
    scaling: ScalingCard
    costs: Mapping[str, Cost]  # by period; empty before the first bill, and for an undeclared queue
    levels: Mapping[str, Level]
    legend: tuple[tuple[int, str, str], ...] = LEGEND

    @property
    def rows(self) -> tuple[tuple[WorkerRow, Busy | None], ...]:
        """Each worker, and the operation whose hands are on it."""
        return tuple((worker, self.busy.get(worker.instance_id)) for worker in self.workers)

    @property
    def kept_range(self) -> str:
        """What a form on the page must send along, so that the chart stays the same; "" for the usual range."""
        return "" if self.range == DEFAULT_RANGE else self.range

    @property
    def bills(self) -> tuple[tuple[str, Cost], ...]:
        words = (("day", "24 hours"), ("month", "30 days"))
        return tuple((word, self.costs[key]) for key, word in words if key in self.costs)

    @property
    def spans(self) -> tuple[tuple[str, Level], ...]:
        words = (("hour", "1–2 h"), ("day", "24 h"))
        return tuple((word, self.levels[key]) for key, word in words if key in self.levels)

    @property
    def declared(self) -> str:
        fleet = declaration().fleet(self.fleet.queue)
        return f"baseline {fleet.baseline}, max {fleet.max}" if fleet else ""

    @property
    def more_waiting(self) -> int:
        return max(0, (self.fleet.outstanding or 0) - len(self.waiting))

    @property
    def group_facts(self) -> tuple[tuple[str, object, str], ...]:
        """Word, value (None: can't be seen), remark."""
        group, seen = self.group, self.sights.compute.seen
        if group is not None and seen and not group.present:
            return (("Group", self.fleet.group, "does not exist in this account and region"),)
        price = f"${self.fleet.price_per_hour:.4f} per worker-hour" if self.fleet.price_per_hour is not None else ""
        size = f"{group.minimum} to {group.maximum}" if group and seen else None
        return (
            ("Group", self.fleet.group, ""),
            ("Declared", self.declared, ""),
            ("Its own size", size, "as the group is set"),
            ("Desired", self.fleet.desired, ""),
            ("Release", (group.version or "not told") if group and seen else None, "launched next"),
            ("Hardware", f"{self.fleet.instance_type}, {self.fleet.hardware}", f"{self.fleet.concurrency} slots each"),
            ("Price", price, "declared"),
        )


def find_queue(queue: str, now: datetime) -> QueueSnapshot:
    """Its row; a declared queue has one even before it was ever seen. Raises Unknown."""
    row = ask.queue.first(queue.replace("\x00", ""))
    if row is not None:
        return row
    if declaration().fleet(queue) is not None:
        return QueueSnapshot(queue=queue, first_seen_at=now, seen_at=now)
    known = list(QueueSnapshot.objects.order_by("-seen_at").values_list("queue", flat=True)[:500])
    raise Unknown("queue", queue, sorted({*declared_queues(), *known}))


def fleet_page(queue: str, now: datetime, query: Mapping[str, str]) -> FleetPage:
    """Seventeen queries, however many workers there are. Raises Unknown."""
    row = find_queue(queue, now)
    sights = Sights.at(now)
    groups = ask.groups()
    fleet = fleet_of(row, groups, sights)
    wanted = listing.read(query, states=[key for key, *_ in TABS], columns=ORDERS, default_sort="worker")
    zones, releases, states = spread(queue, sights)
    known = sum(states.values())
    if wanted.q:
        states = counted(Worker.objects.serving(queue).matching(wanted.q))
    chosen = next((states_ for key, _, states_ in TABS if key == wanted.state), None)
    total = sum(states.values()) if chosen is None else sum(states.get(state, 0) for state in chosen)
    pager = listing.pager(wanted, total, PAGE)
    if chosen is None and not wanted.q and wanted.sort == wanted.default_sort and pager.start == 0:
        rows = ask.first_workers([queue])
    else:
        found = Worker.objects.serving(queue).matching(wanted.q)
        found = found if chosen is None else found.filter(state__in=chosen)
        rows = list(ordered(found, wanted.sort)[pager.start : pager.start + PAGE])
    range_ = query.get("range", "") if query.get("range", "") in RANGES else DEFAULT_RANGE
    here = wanted.address()
    workers = worker_rows(rows, queue, sights)
    names = {f"worker:{worker.instance_id}": worker.instance_id for worker in workers if worker.instance_id}
    held = hands.names_of_holders([*names, hands.fleet_target(queue)])
    busy = {target: Busy(pk, kind, Operation(pk=pk, kind=kind).url) for target, (pk, kind) in held.items()}
    return FleetPage(
        now=now,
        fleet=fleet,
        group=groups.get(_group_name(queue)),
        heading=_heading(fleet),
        text=_text(fleet, len(zones)),
        range=range_,
        ranges=tuple(Range(key, _with_range(here, key), key == range_) for key in RANGES),
        waiting=_waiting(queue, sights),
        workers=workers,
        busy={names[name]: one for name, one in busy.items() if name in names},
        fleet_busy=busy.get(hands.fleet_target(queue)),
        scaling=scaling_card(queue, now, sights),
        costs=costs(it) if (it := declaration().fleet(queue)) else {},
        levels=levels(it, now) if it else {},
        total=total,
        known=known,
        pager=replace(
            pager,
            previous=pager.previous and _with_range(pager.previous, range_),
            next=pager.next and _with_range(pager.next, range_),
        ),
        listing=wanted,
        columns={
            key: replace(column, url=_with_range(column.url, range_))
            for key, column in listing.columns(wanted, COLUMNS).items()
        },
        tabs=_tabs(wanted, states, range_),
        zones=_most(zones),
        releases=_most(releases),
        reserved=row.reserved if sights.answers.seen and sights.judged.seen else None,
        sights=sights,
    )


def _group_name(queue: str) -> str:
    fleet = declaration().fleet(queue)
    return fleet.group if fleet else ""


def _with_range(address: str, range_: str) -> str:
    """The list's address keeps the chart's range, so that a link shows the same."""
    if range_ == DEFAULT_RANGE:
        return address
    return f"{address}{'' if address.endswith('?') else '&'}range={range_}"


def _tabs(wanted: Listing, states: Mapping[str, int], range_: str) -> tuple[Tab, ...]:
    offered: list[tuple[str, str, int | None]] = [("", "All", sum(states.values()))]
    offered += [(key, word, sum(states.get(state, 0) for state in chosen)) for key, word, chosen in TABS]
    found = listing.tabs(wanted, offered)
    shown = [tab for tab in found if tab.count or tab.current or tab.word in ("All", "In service")]
    return tuple(replace(tab, url=_with_range(tab.url, range_)) for tab in shown)


def _most(found: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found.items(), key=lambda pair: (-pair[1], pair[0]))[:8])


def _heading(fleet: Fleet) -> str:
    if fleet.status != "healthy" or not fleet.declared:
        return fleet.reason[:1].upper() + fleet.reason[1:]
    if fleet.outstanding:
        way = f", {count(fleet.launching, 'worker')} on the way" if fleet.launching else ""
        return f"{count(fleet.outstanding, 'task')} outstanding{way}"
    if fleet.running:
        return f"{count(fleet.running, 'task')} running, nothing waits"
    return "Nothing runs and nothing waits"


def _text(fleet: Fleet, zones: int) -> str:
    parts = []
    if fleet.declared:
        slots = count(fleet.concurrency or 0, "slot")
        spread = f", in {count(zones, 'zone')}" if zones else ""
        parts.append(f"{fleet.instance_type}, {slots} each{spread}.")
    if fleet.clears.seconds:
        parts.append(f"At the pace of the last minutes the backlog clears in about {duration(fleet.clears.seconds)}.")
    return " ".join(parts)


def _waiting(queue: str, sights: Sights) -> tuple[WaitingTask, ...]:
    if not sights.tasks.seen:
        return ()
    return tuple(
        WaitingTask(
            f"{dag_id}.{task_id}", run_id, pool, (sights.now - queued_at).total_seconds() if queued_at else None
        )
        for dag_id, task_id, run_id, pool, queued_at in ask.waiting(queue)
    )


@dataclass(frozen=True)
class WorkerPage:
    """One worker, with every task it runs, the oldest first."""

    now: datetime
    queue: str
    worker: WorkerRow
    heading: str
    facts: tuple[tuple[str, object, str], ...]
    shared_host: int  # other workers on the same host: Airflow can't tell their tasks apart
    archived_at: datetime | None
    sights: Sights

    @property
    def queue_url(self) -> str:
        return fleet_url(self.queue)

    @property
    def instance_facts(self) -> tuple[tuple[str, object, str], ...]:
        """Word, value (None: can't be seen), remark."""
        worker = self.worker
        return (
            ("Id", worker.instance_id, ""),
            ("Lifecycle", worker.lifecycle or None, ""),
            ("Zone", worker.zone or "not told", ""),
            ("Release", worker.version or "not told", ""),
            ("Up for", duration(worker.up_s), ""),
        )


def worker_page(queue: str, node: str, now: datetime) -> WorkerPage:
    """Eight queries. Raises Unknown."""
    found = find_queue(queue, now)
    worker = ask.worker.first(node.replace("\x00", ""))
    if worker is None:
        known = Worker.objects.serving(found.queue).order_by("node").values_list("node", flat=True)[:500]
        raise Unknown("worker", node, list(known))
    sights = Sights.at(now)
    row = worker_rows([worker], queue, sights)[0]
    shared = Worker.objects.listed().filter(host_key=worker.host_key).exclude(node=node).count()
    return WorkerPage(
        now=now,
        queue=queue,
        worker=row,
        heading=_worker_heading(row),
        facts=_worker_facts(row),
        shared_host=shared if worker.host_key else 0,
        archived_at=worker.archived_at,
        sights=sights,
    )


def _worker_heading(row: WorkerRow) -> str:
    if row.tasks:
        oldest = row.tasks[0]
        ran = f", the oldest for {duration(oldest.ran_s)}" if oldest.ran_s is not None else ""
        return f"It runs {count(len(row.tasks), 'task')}{ran}"
    if row.tasks is None:
        return "What it runs can't be seen"
    return "It runs no task"


def _worker_facts(row: WorkerRow) -> tuple[tuple[str, object, str], ...]:
    """Word, value (None: can't be seen), remark."""
    queues = None if row.consumes is None else listed(list(row.consumes), 5) or "none"
    slots = None if row.active is None or row.slots is None else f"{row.active} of {row.slots} in use"
    return (
        ("Consumes", queues, ""),
        ("Slots", slots, f"{row.reserved} more held back" if row.reserved else ""),
        ("Tasks since its start", row.processed, ""),
        ("Load", None if row.load1 is None else f"{row.load1:.2f}", "over the last minute"),
        ("Process", row.pid, ""),
    )

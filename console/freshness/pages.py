"""The freshness page and its line on the overview: frozen, built by a bounded number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches

from django.db.models import F, QuerySet

from console.freshness import cutoffs, words
from console.freshness.answers import Verdict
from console.freshness.asking import Question, ask, sentence
from console.freshness.cells import Cell
from console.freshness.cutoffs import Newest
from console.freshness.listed import HEAD, Summed, between, of_names, summed
from console.freshness.models import OriginSnapshot, TableQuerySet, TableSnapshot, TaskSnapshot, stale
from console.freshness.rows import URL, TableRow, Tally, View, look, table_row, tally
from console.freshness.rules import RUNNING, STOPPED, latency_s
from console.freshness.watermark import Basis
from console.history import series
from console.lib import listing
from console.lib.kept import kept
from console.lib.listing import Column, Listing, Pager, Tab
from console.lib.status import Status
from console.lib.words import duration
from console.platform.rules import Sight
from console.platform.sources import ORIGINS, REPLICATION

PAGE_SIZE = HEAD
WORST = 3
SPARK = timedelta(hours=2)
STATES = ("failing", "degraded", "unknown", "healthy")
COLUMNS = (
    # key, heading, falls at first
    ("name", "Table", False),
    ("status", "State", True),
    ("lag", "Lag", True),
    ("slo", "SLO", False),
    ("task", "DMS task", False),
)


@dataclass(frozen=True)
class FreshnessSummary:
    """The tables in a line. Counts are of declared tables; what can't be seen is counted as unknown."""

    status: Status
    reason: str  # a sentence: what is worst, or that all is well
    as_of: datetime | None
    age_s: float | None
    total: int
    fresh: int
    late: int  # failing or degraded
    failing: int
    unknown: int
    worst: tuple[TableRow, ...]  # the worst of the late ones, at most three
    url: str = URL


@dataclass(frozen=True)
class TaskRow:
    """One DMS task. Latencies are None when CloudWatch's newest point is too old, or DMS can't be seen."""

    name: str
    source: str
    status: Status
    word: str
    source_latency_s: float | None
    target_latency_s: float | None
    measured_at: datetime | None
    tables: int
    late: int | None
    note: str


@dataclass(frozen=True)
class OriginRow:
    """One source database: whether it can be read."""

    name: str
    status: Status
    word: str
    as_of: datetime | None
    limit_s: float
    note: str


@dataclass(frozen=True)
class ListedTable:
    row: TableRow
    spark: tuple[float | None, ...]
    cells: tuple[Cell, ...] = ()

    @property
    def spoken(self) -> str:
        return f"lag of {self.row.name} in the last 2 hours, now {duration(self.row.lag_s)}"


@dataclass(frozen=True)
class AsOf:
    """The question "complete as of…?", with its answer when it was asked. `tone`: ok, warn, bad or "" (unknown)."""

    table: str
    at: str
    text: str = ""
    tone: str = ""
    error: str = ""


@dataclass(frozen=True)
class FreshnessPage:
    status: Status
    heading: str
    pill: str
    text: str
    found: Tally
    worst: TableRow | None
    sight: Sight  # of what dates the tables
    every_s: float
    replication: Sight
    tasks: tuple[TaskRow, ...]
    origins: tuple[OriginRow, ...]
    tables: tuple[ListedTable, ...]
    listing: Listing
    columns: dict[str, Column]
    tabs: tuple[Tab, ...]
    pager: Pager
    unproven: str
    asof: AsOf
    newest: Newest | None

    @property
    def shares(self) -> tuple[tuple[Status, int, str], ...]:
        """Tables by status, as parts of all."""
        found = self.found
        return (
            (Status.HEALTHY, found.fresh, "fresh"),
            (Status.UNKNOWN, found.unknown, "unknown"),
            (Status.DEGRADED, found.degraded, "degraded"),
            (Status.FAILING, found.failing, "failing"),
        )


def freshness_summary(now: datetime) -> FreshnessSummary:
    """For the overview. At most four queries, however many tables."""
    view = look(now)
    known = summed()
    found = tally(known.tally, view)
    rows = _worst(view, found, known.worst[:WORST])
    status = Status.UNKNOWN if view.blind and found.total else found.status
    reason = view.blind if view.blind and found.total else f"{words.statement(found, _first(rows), '')}."
    return FreshnessSummary(
        status=status,
        reason=reason,
        as_of=view.oldest.as_of,
        age_s=view.oldest.age_s,
        total=found.total,
        fresh=found.fresh,
        late=found.late,
        failing=found.failing,
        unknown=found.unknown,
        worst=rows if found.late else (),
    )


def freshness_page(now: datetime, query: Mapping[str, str]) -> FreshnessPage:
    """The page `/freshness/` as its address asks for it. Nine queries, however many tables; six more for a question."""
    asked = listing.read(query, states=STATES, columns=[key for key, _, _ in COLUMNS], default_sort="-status")
    view = look(now)
    known = summed()
    found = tally(known.tally, view)
    wanted = _matching(asked, view)
    number = wanted.count() if asked.q else _number(asked, found, sum(known.tally.values()))
    shown = listing.pager(asked, number, PAGE_SIZE)
    head = _head(asked, view, known) if not shown.start else None
    stop = shown.start + PAGE_SIZE
    tables = between(_ordered(wanted, asked, view), shown.start, stop) if head is None else of_names(head)
    rows = [table_row(table, view) for table in tables]
    first = _first(tuple(rows) if head == known.worst and found.late else _worst(view, found, known.worst[:1]))
    proven = any(row.nine for row in rows)
    sparks = _sparks(rows, now)
    waits = cutoffs.of_tables([row.name for row in rows], now)
    return FreshnessPage(
        status=Status.UNKNOWN if view.blind and found.total else found.status,
        heading=words.statement(found, first, view.blind),
        pill=words.pill(found, view.blind if found.total else ""),
        text=_text(view, found, first, proven),
        found=found,
        worst=first if found.late else None,
        sight=view.oldest,
        every_s=REPLICATION.interval_s,
        replication=view.replication,
        tasks=_tasks(view, known.tally),
        origins=tuple(origin_row(origin, view) for origin in view.origins.values()),
        tables=tuple(
            ListedTable(
                row, sparks.get(lag_series(row.name), ()), cutoffs.cells(waits.get(row.name, ()), row.nine, now)
            )
            for row in rows
        ),
        unproven=words.PROVEN if proven else words.UNPROVEN,
        asof=_asof(query, now),
        newest=cutoffs.newest(now),
        listing=asked,
        columns=listing.columns(asked, COLUMNS),
        tabs=listing.tabs(
            asked,
            [
                ("", "All", found.total),
                ("failing", "Failing", None if view.blind else found.failing),
                ("degraded", "Degraded", None if view.blind else found.degraded),
                ("unknown", "Unknown", found.unknown),
                ("healthy", "Fresh", None if view.blind else found.fresh),
            ],
        ),
        pager=shown,
    )


def lag_series(table: str) -> str:
    """The name of a table's lag in the history."""
    return f"table.{table}.lag_s"


def task_row(task: TaskSnapshot, view: View, tables: int, late: int | None) -> TaskRow:
    seen = view.replication.seen
    fresh = seen and latency_s(task.facts(), view.now) is not None
    if not seen:
        status, word = Status.UNKNOWN, "unknown"
    elif task.status is None:
        status, word = Status.FAILING, "missing"
    elif task.status in STOPPED:
        status, word = Status.FAILING, task.status
    else:
        status, word = (Status.HEALTHY if task.status == RUNNING else Status.DEGRADED), task.status
    notes = [task.failure or task.stop_reason, task.statistics_error and f"statistics: {task.statistics_error}"]
    return TaskRow(
        name=task.name,
        source=task.source,
        status=status,
        word=word,
        source_latency_s=task.source_latency_s if fresh else None,
        target_latency_s=task.target_latency_s if fresh else None,
        measured_at=task.measured_at,
        tables=tables,
        late=late,
        note="; ".join(filter(None, notes)),
    )


def origin_row(origin: OriginSnapshot, view: View) -> OriginRow:
    seen = not stale(origin.as_of, view.now, ORIGINS.limit_s)
    note = words.sentence(f"{origin.error.rstrip('.')}. {origin.remedy}".strip(". ")) if origin.error else ""
    if not seen:
        sight = view.sights[ORIGINS.name]
        note = note or words.sentence(sight.reason or "it was not read of late")
    return OriginRow(
        name=origin.name,
        status=Status.HEALTHY if seen else Status.UNKNOWN,
        word="read" if seen else "unknown",
        as_of=origin.as_of,
        limit_s=ORIGINS.limit_s,
        note=note,
    )


def _asof(query: Mapping[str, str], now: datetime) -> AsOf:
    """Is it complete as of then? By default for the last midnight, UTC."""
    table = query.get("table", "").strip()
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    typed = query.get("asof", "").strip() or f"{midnight:%Y-%m-%d %H:%M}"
    if not table:
        return AsOf("", typed)
    try:
        at = datetime.fromisoformat(typed)
    except ValueError:
        return AsOf(table, typed, error="Write a time such as 2026-11-22 00:00; it is taken for UTC.")
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    names = TableSnapshot.objects.values_list("name", flat=True)
    if not names.filter(name=table).exists():
        found = list(names.filter(name__iendswith=f".{table}")[:2])
        if len(found) != 1:
            near = get_close_matches(table, list(names), n=1, cutoff=0.4)
            hint = f"Did you mean {near[0]}?" if near else "Declare it in platform.yaml."
            return AsOf(table, typed, error=f"No table is called {table[:100]}. {hint}")
        table = found[0]
    _, (told,) = ask([Question("", table, at)], Basis.ROW, now, keep=False)
    tones = {Verdict.COMPLETE: "ok", Verdict.PENDING: "warn", Verdict.BLOCKED: "bad", Verdict.UNKNOWN: ""}
    return AsOf(table, typed, sentence(told, now), tones[told.answer.verdict])


def _first(rows: tuple[TableRow, ...]) -> TableRow | None:
    return rows[0] if rows else None


def _worst(view: View, found: Tally, names: Sequence[str]) -> tuple[TableRow, ...]:
    """Those of the worst that are not fresh. One query, or none where nothing could be said."""
    if view.blind or found.fresh == found.total:
        return ()
    return tuple(table_row(table, view) for table in of_names(names) if table.status != Status.HEALTHY)


def _matching(asked: Listing, view: View) -> TableQuerySet:
    wanted = TableSnapshot.objects.matching(asked.q)
    if not asked.state:
        return wanted
    if view.blind:
        return wanted if asked.state == Status.UNKNOWN else wanted.none()
    return wanted.filter(status=asked.state)


def _number(asked: Listing, found: Tally, known: int) -> int:
    """How many `_matching` finds where no text is asked for; `found` is what the page says of all that are `known`."""
    if not asked.state or not known:
        return known
    of = {"failing": found.failing, "degraded": found.degraded, "unknown": found.unknown, "healthy": found.fresh}
    return of[asked.state]


def _ordered(tables: TableQuerySet, asked: Listing, view: View) -> TableQuerySet:
    if view.blind and asked.column in ("status", "lag"):  # all are the same: unknown
        return tables.order_by("name")
    if asked.column == "status" and asked.falls:
        return tables.worst_first()
    field = {"name": "name", "status": "severity", "lag": "lag_s", "slo": "slo_s", "task": "task"}[asked.column]
    order = F(field).desc(nulls_last=True) if asked.falls else F(field).asc(nulls_last=True)
    return tables.order_by(order, "name")


def _head(asked: Listing, view: View, known: Summed) -> tuple[str, ...] | None:
    """The names of the first page, where they are known without a sort; None: they are not."""
    if asked.narrowed or view.blind or not asked.falls:
        return None
    return {"status": known.worst, "lag": known.slowest}.get(asked.column)


def _sparks(rows: list[TableRow], now: datetime) -> dict[str, tuple[float | None, ...]]:
    return series.sparklines([lag_series(row.name) for row in rows], now - SPARK, now) if rows else {}


def _tasks(view: View, tallied: Mapping[tuple[str, Status], int]) -> tuple[TaskRow, ...]:
    """Every task with how many of its tables are late. One query."""
    totals: Counter[str] = Counter()
    late: Counter[str] = Counter()
    for (task, status), number in tallied.items():
        totals[task] += number
        late[task] += number if status in (Status.FAILING, Status.DEGRADED) else 0
    return tuple(
        task_row(task, view, totals[task.name], None if view.blind else late[task.name]) for task in _every_task()
    )


@kept
def _every_task() -> QuerySet[TaskSnapshot]:
    return TaskSnapshot.objects.all()


def _text(view: View, found: Tally, first: TableRow | None, proven: bool) -> str:
    if not found.total:
        return "Declare tables in platform.yaml: their source, DMS task, place in the warehouse and SLO."
    if view.blind:
        remedies = {sight.remedy for sight in (view.replication, view.warehouse) if not sight.seen and sight.remedy}
        return " ".join([view.blind, *sorted(remedies)])
    if first:
        return first.reason
    return "Beside each stands up to when it is proven complete." if proven else words.UNPROVEN

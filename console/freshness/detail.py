"""One table's page and its lag's chart: frozen, built by a bounded number of queries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from console.freshness import cutoffs
from console.freshness.budget import Budget, budget
from console.freshness.cells import Cell
from console.freshness.models import Found, Heartbeat, OriginSnapshot, TableSnapshot, TaskSnapshot, of
from console.freshness.pages import OriginRow, TaskRow, lag_series, origin_row, task_row
from console.freshness.records import TableEvent
from console.freshness.rows import NO_WATERMARK, TableRow, View, look, table_row
from console.freshness.rules import RUNNING
from console.freshness.told import Told, told
from console.history import series
from console.history.series import Chart
from console.lib.kept import kept
from console.lib.status import Status
from console.lib.words import duration
from console.platform.declared import declaration
from console.platform.sources import REPLICATION, WAREHOUSE

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
USUAL_RANGE = "6h"
EVENTS = 15
MINUTES_FROM_S = 120
"""With an SLO of at least this, lag is drawn in minutes."""


@dataclass(frozen=True)
class Node:
    """One stop on the way of a row, from the source to the warehouse."""

    kind: str
    name: str
    status: Status
    text: str
    edge_s: float | None  # delay on the way to the next stop; None: unknown, or the last stop
    held_up: bool = False  # it is on that way that rows are late


@dataclass(frozen=True)
class Stamp:
    """The newest stamp of one side. `text` stands in for it when there is none."""

    side: str
    place: str
    newest_at: datetime | None
    text: str
    rows: int | None
    read_at: datetime | None
    limit_s: float


@dataclass(frozen=True)
class Change:
    """Rows that DMS has read from the source and applied in the warehouse, since its task was started."""

    word: str
    read: int | None
    applied: int | None

    @property
    def waiting(self) -> int | None:
        if self.read is None or self.applied is None:
            return None
        return max(0, self.read - self.applied)


@dataclass(frozen=True)
class Range:
    word: str
    url: str
    current: bool


@dataclass(frozen=True)
class Event:
    """As the timeline shows it."""

    at: datetime
    title: str
    text: str
    icon: str


@dataclass(frozen=True)
class TablePage:
    row: TableRow
    view: View
    every_s: float
    heading: str
    nodes: tuple[Node, ...]
    stamps: tuple[Stamp, ...]
    task: TaskRow | None
    origin: OriginRow | None
    changes: tuple[Change, ...]
    statistics_at: datetime | None
    full_load_rows: int | None
    full_load_ended_at: datetime | None
    ranges: tuple[Range, ...]
    chart_url: str
    cells: tuple[Cell, ...]
    events: tuple[Event, ...]
    beats: tuple[Heartbeat, ...]
    budget: Budget
    limit: str  # what the watermark waits for, as a sentence; "" when nothing does
    told: tuple[Told, ...]  # to Airflow, newest first; empty where no asset is declared
    no_watermark: str = NO_WATERMARK

    @property
    def chart_label(self) -> str:
        return f"Lag of {self.row.name} over time, with its SLO of {duration(self.row.slo_s)}"


def find(name: str) -> TableSnapshot | None:
    """A declared table, or None. One query. Before the first poll there is no row: then the declaration's word."""
    found = _table.first(name)
    if found is not None:
        return found
    return next((of(table) for table in declaration().tables if table.name == name), None)


def table_page(now: datetime, table: TableSnapshot, query: Mapping[str, str]) -> TablePage:
    """The page `/freshness/TABLE/`. Eight queries besides the one that found the table; two more with an asset."""
    view = look(now)
    row = table_row(table, view)
    snapshot = _task.first(table.task)
    task = task_row(snapshot, view, 0, 0) if snapshot else None
    origin = view.origins.get(table.source)
    asked = query.get("range", "")
    chosen = asked if asked in RANGES else USUAL_RANGE
    waits = cutoffs.of_tables([table.name], now).get(table.name, [])
    return TablePage(
        row=row,
        view=view,
        every_s=REPLICATION.interval_s,
        heading=_heading(row),
        nodes=_nodes(table, row, view, task, origin),
        stamps=_stamps(table, view, origin),
        task=task,
        origin=origin_row(origin, view) if origin else None,
        changes=_changes(table) if view.replication.seen else (),
        statistics_at=table.statistics_at if view.replication.seen else None,
        full_load_rows=table.full_load_rows if view.replication.seen else None,
        full_load_ended_at=table.full_load_ended_at if view.replication.seen else None,
        ranges=tuple(Range(key, "?" if key == USUAL_RANGE else f"?range={key}", key == chosen) for key in RANGES),
        chart_url=f"{row.url}lag.json?range={chosen}",
        cells=cutoffs.cells(waits, row.nine, now),
        events=tuple(_event(event) for event in _events(table.name)),
        beats=tuple(_beats(table.tasks)),
        budget=budget(table, now),
        limit=_limit(table) if row.nine and row.nine != "FRESH" else "",
        told=told(table.name, waits, now),
    )


@kept
def _table(name: str) -> QuerySet[TableSnapshot]:
    return TableSnapshot.objects.filter(name=name)


@kept
def _task(name: str) -> QuerySet[TaskSnapshot]:
    return TaskSnapshot.objects.filter(name=name)


@kept
def _events(table: str) -> QuerySet[TableEvent]:
    return TableEvent.objects.filter(table=table)[:EVENTS]


@kept
def _beats(tasks: Sequence[str]) -> QuerySet[Heartbeat]:
    return Heartbeat.objects.filter(task__in=tasks)


def _event(event: TableEvent) -> Event:
    titles = {"status": "Status", "revoked": "Proofs revoked", "met": "Cutoff met", "asset": "Airflow was told"}
    icons = {"status": "info-circle", "revoked": "alert-triangle-f", "met": "check", "asset": "check"}
    return Event(event.at, titles.get(event.kind, event.kind), event.text, icons.get(event.kind, "circle"))


def _limit(table: TableSnapshot) -> str:
    found = json.loads(table.limiting) if table.limiting else {}
    if found.get("kind") == "transaction":
        since = datetime.fromisoformat(found["since"])
        return f"A transaction of {found['user']} (pid {found['pid']}), open since {since:%d %b %H:%M:%S} UTC."
    if found.get("kind") == "writer":
        return f"The heartbeat of {found['id']} at its source."
    return f"The DMS task {found['id']}." if found else ""


def lag_history(name: str, now: datetime, back: timedelta, points: int) -> Chart:
    """A table's lag over time. Two queries."""
    return series.fetch([lag_series(name)], now - back, now, points, now=now)


def lag_chart(table: TableSnapshot, now: datetime, chosen: str) -> dict[str, Any]:
    """The chart of a table's lag with its SLO, as docs/frontend.md wants it; in minutes where the SLO is long."""
    chart = lag_history(table.name, now, RANGES.get(chosen, RANGES[USUAL_RANGE]), 360)
    scale, unit = (60.0, " min") if table.slo_s >= MINUTES_FROM_S else (1.0, " s")
    line = chart.line(lag_series(table.name))
    return {
        "x": {"start": chart.x[0], "step": chart.step_s, "n": len(chart.x)},
        "unit": unit,
        "height": 236,
        "min": 0,
        "series": [
            {
                "label": "lag",
                "tone": "ink",
                "width": 2,
                "values": [None if value is None else round(value / scale, 2) for value in line.y],
            }
        ],
        "lines": [{"y": table.slo_s / scale, "tone": "bad", "label": f"SLO {duration(table.slo_s)}"}],
        "vlines": [{"x": mark.at, "tone": "muted", "label": mark.title} for mark in chart.marks[-5:]],
    }


def _heading(row: TableRow) -> str:
    if row.status == Status.UNKNOWN:
        return f"Freshness of {row.short} is unknown"
    if row.lag_s is None or row.word in ("broken", "loading", "interrupted"):
        return f"{row.short} is {row.word}"
    return f"{row.short} is at most {duration(row.lag_s)} behind"


def _nodes(
    table: TableSnapshot, row: TableRow, view: View, task: TaskRow | None, origin: OriginSnapshot | None
) -> tuple[Node, ...]:
    source = origin_row(origin, view) if origin else None
    source_seen = source is not None and source.status == Status.HEALTHY
    status, text = _side(table.origin_found, table.origin_newest_at, source_seen)
    read_s = task.source_latency_s if task else None
    applied_s = task.target_latency_s if task else None
    # DMS' target latency holds the source's: what is left is the way from the task to the warehouse.
    apply_s = None if read_s is None or applied_s is None else max(0.0, applied_s - read_s)
    nodes = [Node("Source", table.source, status, text, read_s)]
    if task is None:
        nodes.append(Node("DMS task", table.task, Status.UNKNOWN, "not read yet", None))
    else:
        running = task.word == RUNNING and applied_s is not None
        said = f"latency {duration(applied_s)}" if running else task.word
        unseen = row.lag_s is not None and row.lag_s > (applied_s or 0.0)  # rows are missing that DMS does not speak of
        held_up = row.status == Status.FAILING and (unseen or (apply_s or 0.0) > (read_s or 0.0))
        nodes.append(Node("DMS task", task.name, task.status, said, row.lag_s if unseen else apply_s, held_up))
    status, text = _side(table.arrived_found, table.arrived_newest_at, view.warehouse.seen)
    nodes.append(Node("Warehouse", table.warehouse, status, text, None))
    return tuple(nodes)


def _side(found: str, newest_at: datetime | None, seen: bool) -> tuple[Status, str]:
    if not seen or not found:
        return Status.UNKNOWN, "unknown"
    if found == Found.MISSING:
        return Status.FAILING, "not there"
    if found == Found.UNREADABLE:
        return Status.UNKNOWN, "may not be read"
    return Status.HEALTHY, f"newest {newest_at:%H:%M:%S} UTC" if newest_at else "empty"


def _stamps(table: TableSnapshot, view: View, origin: OriginSnapshot | None) -> tuple[Stamp, ...]:
    schema_table = table.name.split(".", 1)[-1]
    source = origin_row(origin, view) if origin else None
    return (
        _stamp(
            f"Source {table.source}",
            schema_table,
            (table.origin_found, table.origin_newest_at, table.origin_rows),
            source is not None and source.status == Status.HEALTHY,
            origin.as_of if origin else None,
            source.limit_s if source else WAREHOUSE.limit_s,
        ),
        _stamp(
            "Warehouse",
            table.warehouse,
            (table.arrived_found, table.arrived_newest_at, table.arrived_rows),
            view.warehouse.seen,
            view.warehouse.as_of,
            view.warehouse.limit_s,
        ),
    )


def _stamp(
    side: str,
    place: str,
    read: tuple[str, datetime | None, int | None],
    seen: bool,
    read_at: datetime | None,
    limit_s: float,
) -> Stamp:
    found, newest_at, rows = read
    if not seen or found != Found.SEEN:
        _, text = _side(found, newest_at, seen)
        return Stamp(side, place, None, text, None, read_at, limit_s)
    return Stamp(side, place, newest_at, "" if newest_at else "empty", rows, read_at, limit_s)


def _changes(table: TableSnapshot) -> tuple[Change, ...]:
    return (
        Change("Inserts", table.inserts, table.applied_inserts),
        Change("Updates", table.updates, table.applied_updates),
        Change("Deletes", table.deletes, table.applied_deletes),
    )

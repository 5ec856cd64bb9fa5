"""GET /api/v1/freshness, freshness/tables/TABLE and freshness/tables/TABLE/history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from console.freshness.detail import RANGES, find, lag_history
from console.freshness.models import TableSnapshot, of
from console.freshness.pages import lag_series
from console.freshness.rows import TableRow, look, table_row
from console.freshness.words import NO_WATERMARK
from console.lib.api import Remembered, not_found
from console.lib.status import Status
from console.platform.declared import declaration

router = Router(tags=["freshness"])

LIST_LIMIT = 1000


class TableOut(Remembered):
    """One declared table. `lag_s`: how far behind its source it is at most, by DMS' latency and the newest stamps; null
    when that can't be said. That is evidence: nothing here says that a table is complete up to a moment.

    `watermark` is null, with the reason, until heartbeats prove one. `cutoffs` are those that are registered: none yet.
    """

    table: str
    source: str
    task: str
    warehouse: str
    watermark: datetime | None
    watermark_reason: str
    lag_s: float | None
    slo_s: float
    verdict: str
    since: datetime | None
    state: str | None
    cutoffs: list[str]


class LagPoint(Schema):
    """`lag_s` null: nobody could see it then."""

    at: datetime
    lag_s: float | None


class HistoryOut(Remembered):
    """A table's lag over time, oldest first; each point is the worst of the `step_s` seconds that begin at `at`."""

    table: str
    slo_s: float
    step_s: int
    points: list[LagPoint]


class Which(Schema):
    """Which tables: by status, by a part of the name, task or place in the warehouse; `limit` at most 10000."""

    status: Status | None = None
    q: str = ""
    limit: Annotated[int, Field(ge=1, le=10_000)] = LIST_LIMIT
    offset: Annotated[int, Field(ge=0)] = 0


class HistoryQuery(Schema):
    range: Literal["1h", "6h", "24h", "7d"] = "24h"
    points: Annotated[int, Field(ge=2, le=2000)] = 500


@router.get("", response=list[TableOut], summary="How far behind each declared table is")
def tables(request: HttpRequest, response: HttpResponse, which: Query[Which]) -> list[TableOut]:
    """By name. `X-Total-Count` says how many there are; `limit` and `offset` page through them."""
    view = look(timezone.now())
    found = TableSnapshot.objects.matching(which.q).order_by("name")
    if view.blind and which.status not in (None, Status.UNKNOWN):
        found = found.none()
    elif which.status is not None and not view.blind:
        found = found.filter(status=which.status.value)
    total = found.count()
    rows = list(found[which.offset : which.offset + which.limit])
    if not total and not which.q and not TableSnapshot.objects.exists():  # no poll has begun yet
        rows = [of(table) for table in sorted(declaration().tables, key=lambda table: table.name)]
        total = len(rows)
    response["X-Total-Count"] = str(total)
    return [_out(table_row(row, view)) for row in rows]


@router.get("/tables/{name}", response=TableOut, summary="One table")
def table(request: HttpRequest, name: str) -> TableOut:
    return _out(table_row(_known(name), look(timezone.now())))


@router.get("/tables/{name}/history", response=HistoryOut, summary="One table's lag over time")
def history(request: HttpRequest, name: str, query: Query[HistoryQuery]) -> HistoryOut:
    now = timezone.now()
    row = table_row(_known(name), look(now))
    chart = lag_history(name, now, RANGES[query.range], query.points)
    lags = chart.line(lag_series(name)).y
    return HistoryOut(
        status=row.status,
        reason=row.reason,
        as_of=row.as_of,
        age_s=row.age_s,
        table=row.name,
        slo_s=row.slo_s,
        step_s=chart.step_s,
        points=[LagPoint(at=datetime.fromtimestamp(x, UTC), lag_s=lag) for x, lag in zip(chart.x, lags, strict=True)],
    )


def _known(name: str) -> TableSnapshot:
    found = find(name)
    if found is None:
        not_found("table", name, [table.name for table in declaration().tables])
    return found


def _out(row: TableRow) -> TableOut:
    return TableOut(
        status=row.status,
        reason=row.reason,
        as_of=row.as_of,
        age_s=row.age_s,
        table=row.name,
        source=row.source,
        task=row.task,
        warehouse=row.warehouse,
        watermark=None,
        watermark_reason=NO_WATERMARK,
        lag_s=row.lag_s,
        slo_s=row.slo_s,
        verdict=row.word,
        since=row.since,
        state=row.state,
        cutoffs=[],
    )

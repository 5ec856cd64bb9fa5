"""GET /api/v1/freshness, freshness/tables/TABLE and freshness/tables/TABLE/history."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import Field

from console.freshness import check_api, cutoffs
from console.freshness.budget import Budget, budget
from console.freshness.check_api import CutoffOut, EventOut, cutoff_out, event_out
from console.freshness.cutoffs import Wait
from console.freshness.detail import RANGES, find, lag_history
from console.freshness.models import TableSnapshot, of
from console.freshness.outlook import Alarm
from console.freshness.pages import lag_series
from console.freshness.records import TableEvent
from console.freshness.rows import TableRow, look, table_row
from console.lib.api import Remembered, not_found
from console.lib.status import Status as Level
from console.platform.declared import declaration

router = Router(tags=["freshness"])
router.add_router("", check_api.router)

LIST_LIMIT = 1000
CUTOFFS = 5


class TableOut(Remembered):
    """One declared table. `watermark`: up to when every row stamped at the source is proven to have arrived,
    `commit_watermark` the same for what was committed; null, with the reason, while nothing is proven.

    `lag_s` is now less the watermark. Without heartbeats (`nine` null) it is evidence only: DMS' latency and the newest
    stamps. `cutoffs`: the newest that have come, and the next ones.
    """

    table: str
    source: str
    task: str
    warehouse: str
    watermark: datetime | None
    commit_watermark: datetime | None
    watermark_reason: str
    nine: str | None
    epoch: int | None
    generation: int
    lag_s: float | None
    slo_s: float
    verdict: str
    since: datetime | None
    state: str | None
    cutoffs: list[CutoffOut]


class LagPoint(Schema):
    """`lag_s` null: nobody could see it then."""

    at: datetime
    lag_s: float | None


class Burn(Schema):
    """How many times faster than allowed the error budget was used in the last `window_s`."""

    window_s: float
    times: float


class BudgetOut(Schema):
    """Minutes over the SLO or unknown, against 1 % of them; `alarm`: page, ticket or null. Cutoffs of 30 days."""

    burns: list[Burn]
    alarm: Literal["page", "ticket"] | None
    cutoffs_met: int
    cutoffs_due: int


class HistoryOut(Remembered):
    """A table's lag over time, oldest first; each point is the worst of the `step_s` seconds that begin at `at`."""

    table: str
    slo_s: float
    step_s: int
    points: list[LagPoint]
    events: list[EventOut]
    budget: BudgetOut


class Which(Schema):
    """Which tables: by status, by a part of the name, task or place in the warehouse; `limit` at most 10000."""

    status: Level | None = None
    q: str = ""
    limit: Annotated[int, Field(ge=1, le=10_000)] = LIST_LIMIT
    offset: Annotated[int, Field(ge=0, le=10_000_000)] = 0


class HistoryQuery(Schema):
    range: Literal["1h", "6h", "24h", "7d"] = "24h"
    points: Annotated[int, Field(ge=2, le=2000)] = 500


@router.get("", response=list[TableOut], summary="How far behind each declared table is")
def tables(request: HttpRequest, response: HttpResponse, which: Query[Which]) -> list[TableOut]:
    """By name. `X-Total-Count` says how many there are; `limit` and `offset` page through them."""
    view = look(timezone.now())
    found = TableSnapshot.objects.matching(which.q).order_by("name")
    if view.blind and which.status not in (None, Level.UNKNOWN):
        found = found.none()
    elif which.status is not None and not view.blind:
        found = found.filter(status=which.status.value)
    total = found.count()
    rows = list(found[which.offset : which.offset + which.limit])
    if not total and not which.q and not TableSnapshot.objects.exists():  # no poll has begun yet
        rows = [of(table) for table in sorted(declaration().tables, key=lambda table: table.name)]
        total = len(rows)
    response["X-Total-Count"] = str(total)
    waits = cutoffs.of_tables([row.name for row in rows], view.now, CUTOFFS)
    return [_out(table_row(row, view), waits.get(row.name, [])) for row in rows]


@router.get("/tables/{name}", response={200: TableOut, 304: None}, summary="One table")
def table(request: HttpRequest, response: HttpResponse, name: str) -> TableOut | Status[None]:
    """`ETag` changes when anything but the age does: send it as `If-None-Match`, and 304 says that nothing is new."""
    found = _known(name)
    row = table_row(found, look(timezone.now()))
    waits = cutoffs.of_tables([name], timezone.now(), CUTOFFS).get(name, [])
    met = ";".join(f"{wait.at.timestamp()}{wait.met_at is not None}" for wait in waits)
    said = f"{row.generation}/{row.status}/{row.as_of}/{row.lag_s}/{row.reason}/{met}"
    etag = f'W/"{sha256(said.encode()).hexdigest()[:24]}"'
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    if etag in [tag.strip() for tag in request.headers.get("If-None-Match", "").split(",")]:
        return Status(304, None)
    return _out(row, waits)


@router.get("/tables/{name}/history", response=HistoryOut, summary="One table's lag over time")
def history(request: HttpRequest, name: str, query: Query[HistoryQuery]) -> HistoryOut:
    now = timezone.now()
    found = _known(name)
    row = table_row(found, look(now))
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
        events=[event_out(event) for event in TableEvent.objects.filter(table=name, at__gte=chart.start)[:200]],
        budget=_budget(budget(found, now)),
        points=[LagPoint(at=datetime.fromtimestamp(x, UTC), lag_s=lag) for x, lag in zip(chart.x, lags, strict=True)],
    )


def _budget(found: Budget) -> BudgetOut:
    return BudgetOut(
        burns=[Burn(window_s=window_s, times=round(times, 2)) for window_s, times in found.burns],
        alarm=None if found.alarm is None else "page" if found.alarm == Alarm.PAGE else "ticket",
        cutoffs_met=found.met,
        cutoffs_due=found.due,
    )


def _known(name: str) -> TableSnapshot:
    found = find(name)
    if found is None:
        not_found("table", name, [table.name for table in declaration().tables])
    return found


def _out(row: TableRow, waits: list[Wait]) -> TableOut:
    return TableOut(
        status=row.status,
        reason=row.reason,
        as_of=row.as_of,
        age_s=row.age_s,
        table=row.name,
        source=row.source,
        task=row.task,
        warehouse=row.warehouse,
        watermark=row.watermark,
        commit_watermark=row.commit_watermark,
        watermark_reason=row.watermark_reason,
        nine=row.nine or None,
        epoch=row.epoch,
        generation=row.generation,
        lag_s=row.lag_s,
        slo_s=row.slo_s,
        verdict=row.word,
        since=row.since,
        state=row.state,
        cutoffs=[cutoff_out(wait) for wait in waits],
    )

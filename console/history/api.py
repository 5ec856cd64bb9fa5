"""GET /api/v1/series?names=fleet.cpu.outstanding,fleet.cpu.running&range=24h: everything a chart needs, in one call."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from pydantic import Field

from console.history import series
from console.lib.api import Encoder, Problem

router = Router(tags=["series"])

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
MOST_NAMES = 50
LONGEST_NAME = 1000
OLDEST = timedelta(days=3650)


class LineOut(Schema):
    """`y` has a value for each `x` of the chart; null is a gap: nobody could see the figure then."""

    unit: str
    y: list[float | None]


class MarkOut(Schema):
    """Something that happened on the axis: `kind` is deploy, takeover, incident or operation; `url` is its page."""

    at: int = Field(description="Unix seconds, like x")
    kind: str
    title: str
    url: str
    target: str


class SeriesOut(Schema):
    """Lines over one axis. `x` are the beginnings of the steps in Unix seconds, `step_s` apart."""

    range: str
    start: datetime
    end: datetime
    step_s: int
    x: list[int]
    series: dict[str, LineOut]
    marks: list[MarkOut]


@router.get("", response=SeriesOut, summary="Time series over a range")
def read_series(
    request: HttpRequest,
    names: Annotated[
        list[str], Query(description=f"names with commas between them, or the parameter repeated; at most {MOST_NAMES}")
    ],
    range: Annotated[Literal["1h", "6h", "24h", "7d"], Query(description="how far back from `end`")] = "1h",
    end: Annotated[datetime | None, Query(description="the end of the axis; now without it")] = None,
) -> HttpResponse:
    """A series that was never recorded is all gaps: it may be recorded from the next poll on."""
    wanted = _names(names)
    now = timezone.now()
    until = _end(end, now)
    chart = series.fetch(wanted, until - RANGES[range], until, now=now)
    answer = SeriesOut(
        range=range,
        start=chart.start,
        end=chart.end,
        step_s=chart.step_s,
        x=list(chart.x),
        series={line.name: LineOut(unit=line.unit, y=list(line.y)) for line in chart.lines},
        marks=[MarkOut(**vars(mark)) for mark in chart.marks],
    )
    return _cached(request, answer, chart.step_s)


def _names(given: list[str]) -> list[str]:
    names = list(dict.fromkeys(name for text in given for name in map(str.strip, text.split(",")) if name))
    if not names:
        raise _wrong("names", "Name at least one series, such as fleet.default.running.")
    if len(names) > MOST_NAMES:
        raise _wrong("names", f"At most {MOST_NAMES} series in one call; these are {len(names)}.")
    if longest := next((name for name in names if len(name) > LONGEST_NAME), None):
        raise _wrong("names", f"A name has at most {LONGEST_NAME} characters; {longest[:40]}… has {len(longest)}.")
    return names


def _end(given: datetime | None, now: datetime) -> datetime:
    if given is None:
        return now
    until = given if given.tzinfo else given.replace(tzinfo=UTC)
    if not now - OLDEST < until < now + timedelta(days=1):
        raise _wrong("end", "The end lies in the last ten years, and not in the future.")
    return until


def _wrong(field: str, sentence: str) -> Problem:
    return Problem(422, "The request is not valid: see errors.", code="invalid", errors={field: [sentence]})


def _cached(request: HttpRequest, answer: SeriesOut, step_s: int) -> HttpResponse:
    """The answer as JSON, or 304 where the caller has it; a browser asks again after a third of a step at the latest.

    `end` is left out of the tag: it moves with each second, while the points don't.
    """
    told = answer.model_dump()
    tag = hashlib.sha256(Encoder().encode(told | {"end": None}).encode()).hexdigest()[:32]
    headers = {"ETag": f'"{tag}"', "Cache-Control": f"private, max-age={min(step_s // 3, 60)}"}
    # Weakly: a compressed answer's tag comes back with W/ before it.
    if request.headers.get("If-None-Match", "").removeprefix("W/") == f'"{tag}"':
        return HttpResponse(status=304, headers=headers)
    body = Encoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode(told)
    return HttpResponse(body, content_type="application/json; charset=utf-8", headers=headers)

"""What happened: the platform's figures on one axis of time, with deploys, takeovers and incidents marked on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from console.fleets.poll import declared_queues
from console.fleets.record import series_name
from console.freshness.pages import freshness_summary, lag_series
from console.history import series
from console.history.series import Chart, ChartMark
from console.platform.declared import declaration

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT_RANGE = "6h"
URL = "/history/"
POINTS = 400
OLDEST = timedelta(days=90)
TABLES = 4
"""Lags drawn at once: more lines than this can't be told apart."""
LABELS = 8
"""Marks named in the chart; the list below it names all."""
STALE_HEARTBEAT_S = 30
"""Airflow's own limit, `[scheduler] scheduler_health_check_threshold`."""
HEARTBEAT = "scheduler.heartbeat_age_s"

# series' ending, label, tone, kind
TASKS = (
    ("running", "running", "accent", "area"),
    ("slots", "slots", "muted", "step"),
    ("outstanding", "outstanding", "ink", "line"),
)
WORKERS = (
    ("workers_in_service", "in service", "accent", "step"),
    ("workers_launching", "launching", "ok", "step"),
    ("workers_draining", "draining", "drain", "step"),
    ("workers_lost", "lost", "bad", "step"),
    ("workers_stuck", "stuck", "warn", "step"),
    ("desired", "desired", "muted", "dashed"),
)
LAGS = (("accent", "line"), ("ink", "line"), ("drain", "dashed"), ("warn", "dotted"))
SWATCHES = {"accent": "work", "ink": "text", "muted": "mute"}
"""The legend's word for a chart's tone, where it has another."""
TONE_OF = {"incident": "bad", "takeover": "warn"}


@dataclass(frozen=True)
class Choice:
    """One of several: its word, the address that chooses it, whether it is chosen."""

    word: str
    url: str
    current: bool


@dataclass(frozen=True)
class Wanted:
    """What of the past is looked at. `end` None: up to now, and moving with it."""

    queue: str
    range: str
    end: datetime | None

    def address(self, path: str = URL, **other: Any) -> str:
        """The address that shows the same, with other values for some of it."""
        values = {"queue": self.queue, "range": self.range, "end": self.end} | other
        end = values["end"]
        said = {"queue": values["queue"], "range": values["range"], "end": end and f"{end:%Y-%m-%dT%H:%M:%SZ}"}
        return f"{path}?{urlencode({name: value for name, value in said.items() if value})}"

    def until(self, now: datetime) -> datetime:
        return min(self.end, now) if self.end else now


@dataclass(frozen=True)
class Panel:
    """One chart of the page."""

    key: str
    title: str
    label: str
    legend: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class HistoryPage:
    wanted: Wanted
    start: datetime
    end: datetime
    queues: tuple[Choice, ...]
    ranges: tuple[Choice, ...]
    earlier: str
    later: str  # "" when the axis ends now
    src: str
    panels: tuple[Panel, ...]
    marks: tuple[Any, ...]  # ChartMark with `at` as a moment, newest first


@dataclass(frozen=True)
class Happening:
    at: datetime
    kind: str
    title: str
    url: str


def asked(values: dict[str, str], now: datetime) -> Wanted:
    """What an address asks for; what it says wrongly is left out: a link never fails."""
    queues = declared_queues()
    queue = values.get("queue", "")
    return Wanted(
        queue=queue if queue in queues else (queues[0] if queues else ""),
        range=values["range"] if values.get("range") in RANGES else DEFAULT_RANGE,
        end=_moment(values.get("end", ""), now),
    )


def _moment(text: str, now: datetime) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at.astimezone(UTC) if now - OLDEST < at < now else None


def history_page(now: datetime, values: dict[str, str]) -> HistoryPage:
    """The frame; the figures come by `charts`. Its queries don't grow with the platform."""
    wanted = asked(values, now)
    end, span = wanted.until(now), RANGES[wanted.range]
    later = None if wanted.end is None else end + span / 2
    tables = _tables(now)
    found = series.fetch([], end - span, end, POINTS, now=now).marks
    return HistoryPage(
        wanted=wanted,
        start=end - span,
        end=end,
        queues=tuple(Choice(name, wanted.address(queue=name), name == wanted.queue) for name in declared_queues()),
        ranges=tuple(Choice(key, wanted.address(range=key), key == wanted.range) for key in RANGES),
        earlier=wanted.address(end=end - span / 2),
        later="" if later is None else wanted.address(end=later if later < now else None),
        src=wanted.address(f"{URL}charts.json"),
        panels=_panels(wanted.queue, tables),
        marks=tuple(
            Happening(datetime.fromtimestamp(mark.at, UTC), mark.kind, mark.title, mark.url)
            for mark in reversed(_concerning(found, wanted.queue))
        ),
    )


def _tables(now: datetime) -> tuple[str, ...]:
    """The tables that are late, the worst first, then the first declared."""
    worst = [row.name for row in freshness_summary(now).worst]
    names = dict.fromkeys([*worst, *(table.name for table in declaration().tables[:TABLES])])
    return tuple(names)[:TABLES]


def _panels(queue: str, tables: Sequence[str]) -> tuple[Panel, ...]:
    found = []
    if queue:
        tasks, workers = ([(tone, label) for _, label, tone, _ in lines] for lines in (TASKS, WORKERS))
        found.append(Panel("tasks", f"Tasks and slots of {queue}", f"Tasks and slots of {queue}", _legend(tasks)))
        found.append(Panel("workers", f"Workers of {queue}", f"Workers of {queue} by state", _legend(workers)))
    age = _legend([("accent", "heartbeat's age")])
    found.append(Panel("heartbeat", "Scheduler", "Age of the leading scheduler's heartbeat", age))
    if tables:
        lags = _legend([(LAGS[index][0], name) for index, name in enumerate(tables)])
        found.append(Panel("lag", "Replication lag", "How far tables in the warehouse are behind", lags))
    return tuple(found)


def _legend(lines: Sequence[tuple[str, str]]) -> tuple[tuple[int, str, str], ...]:
    return tuple((index, SWATCHES.get(tone, tone), label) for index, (tone, label) in enumerate(lines))


def charts(now: datetime, values: dict[str, str]) -> dict[str, Any]:
    """Every chart of the page by its key, in the shape of docs/frontend.md, over one axis; one answer, few queries."""
    wanted = asked(values, now)
    end, tables = wanted.until(now), _tables(now)
    queue = wanted.queue
    names = [series_name(queue, what) for what, *_ in (*TASKS, *WORKERS)] if queue else []
    names += [HEARTBEAT, *(lag_series(table) for table in tables)]
    chart = series.fetch(names, end - RANGES[wanted.range], end, POINTS, now=now)
    marks = [
        {"x": mark.at, "label": mark.title[:24], "tone": TONE_OF.get(mark.kind, "muted")}
        for mark in _concerning(chart.marks, queue)[-LABELS:]
    ]
    found: dict[str, Any] = {}
    if queue:
        found["tasks"] = _drawn(chart, [(series_name(queue, what), *how) for what, *how in TASKS], marks)
        found["workers"] = _drawn(chart, [(series_name(queue, what), *how) for what, *how in WORKERS], marks)
    limit = {"y": STALE_HEARTBEAT_S, "tone": "bad", "label": f"stale at {STALE_HEARTBEAT_S} s"}
    found["heartbeat"] = _drawn(chart, [(HEARTBEAT, "heartbeat's age", "accent", "area")], marks, " s", [limit])
    if tables:
        lags = [(lag_series(name), name, *LAGS[index]) for index, name in enumerate(tables)]
        found["lag"] = _drawn(chart, lags, marks, " s")
    return found


def _concerning(marks: Sequence[ChartMark], queue: str) -> list[ChartMark]:
    """Not what happened to other queues."""
    others = set(declared_queues()) - {queue}
    return [mark for mark in marks if mark.target not in others]


def _drawn(
    chart: Chart,
    lines: Sequence[Sequence[str]],
    marks: list[dict[str, Any]],
    unit: str = "",
    limits: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    return {
        "xs": list(chart.x),
        "unit": unit,
        "height": 180,
        "series": [
            {
                "label": label,
                "tone": tone,
                "kind": kind,
                "values": [None if y is None else round(y, 1) for y in chart.line(name).y],
            }
            for name, label, tone, kind in lines
        ],
        "lines": list(limits),
        "vlines": marks,
    }

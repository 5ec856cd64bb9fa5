"""The capacity chart of one fleet: what waits, what runs, and the slots there are, over the same hours."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from console.fleets.models import ScalingDecision
from console.fleets.record import series_name
from console.history import series
from console.platform.declared import FleetDeclared, declaration

RANGES = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}
DEFAULT_RANGE = "24h"
MARKS_SHOWN = 8
DECISIONS_SHOWN = 20
LEGEND = ((2, "text", "outstanding"), (0, "soft", "running"), (1, "mute", "slots"))


def capacity_chart(queue: str, range_: str, now: datetime, *, small: bool) -> dict[str, Any]:
    """The chart's data, in the shape of docs/frontend.md; three queries. A gap is time that nobody could see."""
    kinds = (
        ("running", "running", "accent", "area"),
        ("slots", "slots", "muted", "step"),
        ("outstanding", "outstanding", "ink", "line"),
    )
    chart = series.fetch(
        [series_name(queue, what) for what, *_ in kinds],
        now - RANGES.get(range_, RANGES[DEFAULT_RANGE]),
        now,
        100 if small else 400,
        now=now,
        marks=not small,
    )
    data: dict[str, Any] = {
        "xs": list(chart.x),
        "unit": "",
        "height": 116 if small else 320,
        "series": [
            {"label": label, "tone": tone, "kind": kind, "values": [None if y is None else round(y, 1) for y in line.y]}
            for line, (_, label, tone, kind) in zip(chart.lines, kinds, strict=True)
        ],
    }
    if small:
        return data | {"ysize": 34}
    fleet = declaration().fleet(queue)
    if fleet is not None:
        data["lines"] = [
            {"y": fleet.max * fleet.concurrency, "tone": "muted", "label": f"max {fleet.max} workers"},
            {"y": fleet.baseline * fleet.concurrency, "tone": "muted", "label": f"baseline {fleet.baseline}"},
        ]
    marks = [mark for mark in chart.marks if mark.target in ("", queue)]
    data["vlines"] = [{"x": mark.at, "label": mark.title[:24], "tone": "muted"} for mark in marks[-MARKS_SHOWN:]]
    data["vlines"] += _decided(queue, now - RANGES.get(range_, RANGES[DEFAULT_RANGE]))
    return data


def _decided(queue: str, since: datetime) -> list[dict[str, Any]]:
    """The newest decisions that changed something: +2 or −1 at their time."""
    rows = ScalingDecision.objects.filter(queue=queue, news=True, operation__isnull=False, at__gte=since)
    return [
        {
            "x": int(row.at.timestamp()),
            "label": f"+{row.delta}" if row.delta > 0 else f"−{-row.delta}",
            "tone": "accent" if row.delta > 0 else "drain",
        }
        for row in rows.order_by("-at")[:DECISIONS_SHOWN]
    ]


def waits_chart(fleet: FleetDeclared, range_: str, now: datetime) -> dict[str, Any]:
    """How long tasks were queued, by the minute in which they started, against the target; one query."""
    names = [series_name(fleet.queue, what) for what in ("wait_p95_s", "wait_p50_s")]
    chart = series.fetch(names, now - RANGES.get(range_, RANGES[DEFAULT_RANGE]), now, 300, now=now, marks=False)
    target_s = fleet.autoscaling.target_wait_s
    return {
        "xs": list(chart.x),
        "unit": " s",
        "height": 160,
        "min": 0,
        "series": [
            {
                "label": word,
                "tone": tone,
                "kind": "line",
                "values": [None if y is None else round(y, 1) for y in line.y],
            }
            for line, word, tone in zip(chart.lines, ("p95", "p50"), ("ink", "soft"), strict=True)
        ],
        "lines": [{"y": target_s, "tone": "warn", "label": f"target {target_s:g} s"}],
    }

"""The style sheet: every component in every state, drawn by the same tags and partials as the pages."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

STATES = [
    (
        "healthy",
        "does its job",
        "in service, ready, succeeded, active",
        "stays quiet: never the loudest thing",
    ),
    ("degraded", "works, but worse than agreed", "full, slow, late, drift, rolled back", "asks for a look"),
    (
        "failing",
        "does not work, or will miss a promise",
        "lost, failed, missing, at risk, automatic failover",
        "asks for an action, always with a button or “nothing to do”",
    ),
    (
        "unknown",
        "no fresh data: the truth is not known",
        "stale, not tested, no data",
        "hatched and dashed; replaces the figure once its age passes the limit",
    ),
    (
        "draining",
        "finishing its work, takes no more",
        "quiesced, planned switchover",
        "a wanted, one-way state",
    ),
    ("paused", "held by a person", "snoozed, needs approval", "says who and until when"),
]
LEVELS = [
    ("Read", "btn", "", "Details", "Open, filter, copy"),
    ("Go", "btn btn-primary", "bolt", "Raise to 40 slots", "The one recommended action; at most one"),
    ("Caution", "btn btn-caution", "player-pause", "Pause", "Changes service, reversible"),
    (
        "Danger",
        "btn btn-outline-danger",
        "player-stop",
        "Force stop…",
        "Loses work or forces; opens a dialog",
    ),
    ("Confirmed danger", "btn btn-danger", "", "Force stop cpu-09", "Only inside a dialog, after typing"),
]
SWATCHES = [
    ("bg", "Page"), ("surface", "Card"), ("surface-2", "Inset"), ("surface-3", "Hover, track"),
    ("border", "Line"), ("text", "Text, ink"), ("text-2", "Second"), ("text-3", "Meta"),
    ("accent", "Link, focus"), ("mark", "Quantity"), ("ok-fill", "healthy"), ("ok-bg", "tint"),
    ("warn-fill", "degraded"), ("warn-bg", "tint"), ("bad-fill", "failing"), ("bad-bg", "tint"),
    ("drain-fill", "draining"), ("drain-bg", "tint"), ("pause-fill", "paused"), ("pause-bg", "tint"),
    ("work-fill", "running"), ("work-bg", "tint"),
]  # fmt: skip
STEADY = [6, 7, 6, 8, 9, 7, 8, 6, 8, 7, 9, 8, 7, 8, 9, 8, 9, 7, 8, 7]
RISING = [2, 2, 3, 2, 3, 3, 4, 5, 7, 9, 12, 16, 20, 24, 27, 30]
GAPPED = [4, 5, 4, 6, None, None, None, 5, 6, 5, 6, 7]


class Event(NamedTuple):
    """A line of the sample timeline."""

    at: dt.datetime
    icon: str
    title: str
    text: str = ""


def _chart(now: dt.datetime) -> dict[str, Any]:
    minutes = 60
    start = int(now.timestamp()) // 60 * 60 - minutes * 120
    blind = range(23, 28)
    running = [None if i in blind else 48 + (i * 7 % 23) - abs(30 - i) // 3 for i in range(minutes + 1)]
    waiting = [None if i in blind else 6 + (i * 5 % 11) for i in range(minutes + 1)]
    return {
        "x": {"start": start, "step": 120, "n": minutes + 1},
        "height": 200,
        "max": 90,
        "series": [
            {"label": "running", "tone": "accent", "kind": "area", "values": running},
            {
                "label": "outstanding",
                "tone": "ink",
                "width": 2,
                "values": waiting,
                "end": f"waiting {waiting[-1]}",
            },
        ],
        "lines": [{"y": 80, "label": "slots in service 80", "tone": "muted"}],
    }


def style(request: HttpRequest) -> HttpResponse:
    """GET /style/, for everyone who is signed in."""
    now = timezone.now()

    def ago(seconds: float) -> dt.datetime:
        return now - dt.timedelta(seconds=seconds)

    context = {
        "now": now,
        "states": STATES,
        "levels": LEVELS,
        "swatches": SWATCHES,
        "steady": STEADY,
        "rising": RISING,
        "gapped": GAPPED,
        "ages": [
            ("Fresh", ago(3), 3600, "limit 1 h"),
            ("Getting old", ago(2900), 3600, "still shown, age in amber"),
            ("Past its limit", ago(372), 180, "was 0.1 s at 00:01"),
        ],
        "just_now": ago(2),
        "minute_ago": ago(75),
        "proportions": [("healthy", 182, "complete"), ("running", 3, "on track"), ("failing", 2, "at risk")],
        "segments": [("healthy", 7, "replaced"), ("draining", 2, "draining"), ("waiting", 3, "waiting")],
        "legend": [("ok", "7 replaced"), ("drain", "2 draining"), ("mute", "3 waiting")],
        "heartbeats": ["healthy"] * 20
        + ["lost"]
        + ["healthy"] * 23
        + ["draining"]
        + ["healthy"] * 6
        + ["unknown"] * 2
        + ["standing_by"] * 8,
        "chart": _chart(now),
        "chart_legend": [(1, "text", "outstanding"), (0, "soft", "running")],
        "steps": [
            {"status": "succeeded", "title": "Preflight", "text": "4 checks passed", "took": "0.6 s"},
            {
                "status": "running",
                "title": "Drain cpu-08",
                "text": "3 tasks left, ends about 00:19",
                "took": "14 min",
            },
            {"status": "waiting", "title": "Terminate", "text": "", "took": ""},
        ],
        "events": [
            Event(ago(60), "bell-off", "Mira Okafor acknowledged"),
            Event(ago(120), "device-mobile", "Page delivered", "push and call"),
            Event(ago(86_520), "eye", "Incident opened"),
        ],
        "log": [
            {"at": "00:04:11", "text": "claimed by console@worker-1", "tone": ""},
            {"at": "00:04:12", "text": "i-0c21 drained, terminating", "tone": "ok"},
            {"at": "00:04:14", "text": "the group did not answer in 5 s, next try in 10 s", "tone": "warn"},
        ],
        "facts": [
            ("Host", "ip-10-40-12-18", "eu-north-1a"),
            ("Leading since", "Wed 21:36", "2 h 31 min"),
            ("Replica lag", None),
        ],
        "checks": [
            {"status": "healthy", "text": "scheduler-2 is ready", "note": "0.8 s ago"},
            {"status": "degraded", "text": "3 tasks are queued on scheduler-1", "note": "retried"},
            {"status": "failing", "text": "scheduler-1 looks healthy", "note": "1.2 s ago"},
        ],
        "effects": [
            {"status": "degraded", "text": "Scheduling pauses for about 17 s."},
            {"status": "healthy", "text": "Running tasks go on."},
        ],
        "blind": [
            {"what": "the broker", "since": ago(600), "because": "connection refused by redis:6379", "remedy": ""}
        ],
        "strips": [
            {"tone": "bad", "text": "Orders is 14 min behind: midnight cutoff at risk.", "url": "#"},
            {"tone": "warn", "text": "cpu will be full in about 20 min.", "url": "#"},
            {"tone": "unk", "text": "The scheduler can't be seen.", "url": "#"},
        ],
        "also": [
            {
                "status": "degraded",
                "title": "Worker mem-03 lost 12 min ago",
                "text": "Nothing to do.",
                "url": "#",
            },
            {
                "status": "unknown",
                "title": "ElastiCache lag unknown",
                "text": "CloudWatch is late.",
                "url": "#",
            },
        ],
        "workers": [("cpu-07", "in service", 8), ("cpu-08", "draining", 3), ("cpu-09", "lost", 0)],
    }
    return render(request, "styleguide/index.html", context)

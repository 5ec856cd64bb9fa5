"""Work out the verdict that the frame of every page shows, and remember it."""

from __future__ import annotations

from datetime import datetime

from console.incidents.pages import flagged
from console.overview.models import Verdict
from console.overview.parts import TONES, Flag, flags, parts, summaries
from console.overview.rules import headline


def judge(now: datetime) -> None:
    """Judge the platform as it is remembered at `now`."""
    found = summaries(now)
    # Blindness is left out: each page finds it out by itself, to the second.
    worst = headline((), [part for part in parts(found) if part.status.value != "unknown"], now)
    Verdict.objects.keep(
        now,
        tone=TONES.get(worst.tone, ""),
        text=worst.title if worst.tone in TONES else "",
        url=worst.url,
        url_text=worst.url_text,
        flags={section: [flag.tone, flag.text] for section, flag in {**flags(found), **_incidents()}.items()},
        airflow_version=found.scheduler.airflow_version or "",
    )


def _incidents() -> dict[str, Flag]:
    """How many are not over; bad while one of them is in nobody's hands."""
    found = flagged()
    return {"incidents": Flag("bad" if found.bad else "warn", str(found.number))} if found.number else {}

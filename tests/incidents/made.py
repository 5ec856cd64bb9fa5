"""Findings and people for the tests of incidents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.incidents.models import Incident, Page
from console.incidents.store import settle

MIRA = Actor("mira", None, Role.OPERATOR, "session")
T0 = datetime.fromisoformat("2026-11-22T03:07:00+00:00")


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def finding(key: str = "fleets.starving:cpu", **other: Any) -> Finding:
    told: dict[str, Any] = {
        "detector": "queue-starving",
        "severity": Severity.ERROR,
        "title": "cpu starves",
        "sentence": "41 tasks wait, all slots are taken and no worker is on the way.",
        "target": "fleets/cpu",
        "url": "/fleets/cpu/",
        "facts": (Fact("Waiting", "41 tasks", "failing"),),
        "series": ("fleet.cpu.outstanding",),
        "recommended": Recommended(
            "Give cpu two more workers.", "/fleets/cpu/resize/?desired=4", "Resize cpu…", "resize", {"desired": 4}
        ),
    }
    return Finding(key, **(told | other))


def report(*findings: Finding, unseen: frozenset[str] = frozenset()) -> Report:
    return Report(findings, unseen)


def opened(at: float = 0.0, **other: Any) -> Incident:
    """An incident in the database, opened by a look at `at` seconds."""
    one = finding(**other)
    settle(report(one), after(at))
    return Incident.objects.unresolved().get(key=one.key)


def pages(incident: Incident) -> list[str]:
    return list(Page.objects.filter(incident=incident).values_list("action", flat=True))

"""The page of one incident, in full and in brief: one frozen object, by bounded queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.history import series
from console.incidents import runbooks
from console.incidents.detectors import DETECTORS
from console.incidents.models import Incident, IncidentEvent, SignalRow
from console.incidents.page_log import PageLine, page_logs
from console.incidents.pages import PAGE, Row, newest_unresolved, row_of, unresolved_number
from console.incidents.rules import CLEAR_S, State, clear_after_s, closes_at
from console.incidents.sources import DETECTED
from console.lib.kept import kept
from console.platform.models import Source
from console.platform.rules import Sight

EVENTS = 200
PAGES = 30
PARTS = 50
ALSO = 6
BEFORE, POINTS = timedelta(hours=2), 120
ICONS = {
    "opened": "eye", "raised": "alert-octagon", "folded": "stack-2", "acknowledged": "check", "snoozed": "zzz",
    "woke": "urgent", "note": "file-text", "paged": "send", "resolved": "circle-check",
}  # fmt: skip


@dataclass(frozen=True)
class FactLine:
    """A line of evidence: at the opening and now. `now` is None where the live state no longer has it."""

    label: str
    then: str
    then_status: str
    now: str | None
    now_status: str

    @property
    def same(self) -> bool:
        return self.then == self.now


@dataclass(frozen=True)
class EventLine:
    at: datetime
    icon: str
    title: str
    text: str


@dataclass(frozen=True)
class Spark:
    name: str
    points: tuple[float | None, ...]


@dataclass(frozen=True)
class Recommended:
    """What to do; all of it may be missing. `operation`: the address is that of a change, which asks for a reason."""

    text: str
    url: str
    button: str
    operation: bool


@dataclass(frozen=True)
class PartLine:
    title: str
    url: str
    over: bool


@dataclass(frozen=True)
class IncidentPage:
    row: Row
    incident: Incident
    facts: tuple[FactLine, ...]
    impact: tuple[str, ...]
    impact_more: int
    sparks: tuple[Spark, ...]
    chart: dict[str, Any] | None
    legend: tuple[tuple[int, str, str], ...]
    recommended: Recommended
    runbook: str
    runbook_title: str
    events: tuple[EventLine, ...]
    events_left_out: int
    pages: tuple[PageLine, ...]
    pages_left_out: int
    parts: tuple[PartLine, ...]
    part_of: Row | None
    also: tuple[Row, ...]
    also_left_out: int
    sight: Sight
    can_act: bool
    earlier: int  # incidents of the same key before it
    gone_since: datetime | None  # it is seen to be gone, and waited for whether it stays so
    closes_at: datetime | None  # at the earliest
    flaps: bool
    opening_sentence: str
    every_s: float = DETECTED.interval_s

    @property
    def open(self) -> bool:
        return self.row.state != State.RESOLVED

    @property
    def acknowledged(self) -> bool:
        return self.row.state == State.ACKNOWLEDGED


@kept
def _one(pk: int) -> QuerySet[Incident]:
    return Incident.objects.select_related("part_of").filter(pk=pk)


@kept
def _gone(key: str) -> QuerySet[SignalRow]:
    return SignalRow.objects.filter(pk=key, present=False, clear_from__isnull=False)


@kept
def _story(incident: int) -> QuerySet[IncidentEvent]:
    return IncidentEvent.objects.filter(incident=incident).order_by("-pk")[: EVENTS + 1]


def find(pk: int) -> Incident | None:
    """The incident of this number, and the one that it is part of. One query."""
    return _one.first(pk) if pk < 2**63 else None  # PostgreSQL's numbers end there


def incident_page(incident: Incident, now: datetime, actor: Actor) -> IncidentPage:
    """One incident. Seven queries; one more where its story is longer than is shown, or a page of others is open."""
    remembered = _gone.first(incident.key)
    signal = remembered.signal() if remembered and incident.state != State.RESOLVED else None
    events = _story(incident.pk)
    told = page_logs([incident.pk]).get(incident.pk, ())
    others = tuple(row for row in newest_unresolved(now) if row.id != incident.pk)
    number = len(others) if len(others) < PAGE else unresolved_number() - (incident.state != State.RESOLVED)
    end = incident.resolved_at or now
    names = [str(name) for name in incident.latest.get("series", incident.evidence.get("series", []))][:4]
    start = max(incident.opened_at - BEFORE, end - timedelta(hours=12))
    points = series.sparklines(names, start, end, POINTS) if names else {}
    impact = tuple(str(name) for name in incident.latest.get("impact", ()))
    return IncidentPage(
        row=row_of(incident, now),
        incident=incident,
        facts=_facts(incident),
        impact=impact[:PARTS],
        impact_more=max(0, len(impact) - PARTS),
        sparks=tuple(Spark(_words(name), points[name]) for name in names if any(_seen(points[name]))),
        chart=_chart(points, names, start, end, incident),
        legend=tuple(
            (index, tone, _words(name)) for index, (name, tone) in enumerate(zip(names, _TONES, strict=False))
        ),
        recommended=_recommended(incident.recommended),
        runbook=runbooks.url_of(incident.detector) if runbooks.exists(incident.detector) else "",
        runbook_title=DETECTORS.get(incident.detector, incident.detector),
        events=tuple(_event(event) for event in events[:EVENTS]),
        events_left_out=incident.events.count() - EVENTS if len(events) > EVENTS else 0,
        pages=tuple(reversed(told))[:PAGES],
        pages_left_out=max(0, len(told) - PAGES),
        parts=tuple(_part(one) for one in incident.children[:PARTS]),
        part_of=row_of(incident.part_of, now) if incident.part_of else None,
        also=others[:ALSO],
        also_left_out=max(0, number - ALSO),
        sight=Source.objects.sights(now, [DETECTED])[DETECTED.name],
        can_act=actor.can(Role.OPERATOR),
        earlier=incident.generation - 1,
        gone_since=signal.clear_from if signal else None,
        closes_at=closes_at(signal, now) if signal else None,
        flaps=signal is not None and clear_after_s(signal, now) > CLEAR_S,
        opening_sentence=str(incident.evidence.get("sentence", "")),
    )


_TONES = ("accent", "ink", "muted", "soft")


def _seen(points: tuple[float | None, ...]) -> list[bool]:
    return [point is not None for point in points]


def _words(name: str) -> str:
    """`fleet.cpu.outstanding` → `cpu outstanding`; units as words."""
    parts = name.split(".")
    text = " ".join(parts[1:] if len(parts) > 2 else parts).replace("_", " ")
    return f"{text[:-2]}, s" if text.endswith(" s") else text


def _chart(
    points: Mapping[str, tuple[float | None, ...]], names: list[str], start: datetime, end: datetime, incident: Incident
) -> dict[str, Any] | None:
    if not any(_seen(points[name]) and any(_seen(points[name])) for name in names):
        return None
    begin = int(start.timestamp())
    step = max(1, int((end - start).total_seconds()) // POINTS)
    lines = [{"x": int(incident.opened_at.timestamp()), "label": "opened", "tone": "bad"}]
    return {
        "x": {"start": begin, "step": step, "n": POINTS},
        "unit": "",
        "height": 200,
        "min": 0,
        "series": [
            {"label": _words(name), "tone": tone, "kind": "line", "values": list(points[name])}
            for name, tone in zip(names, _TONES, strict=False)
        ],
        "vlines": lines,
    }


def _recommended(it: Mapping[str, Any]) -> Recommended:
    text, url, button = (str(it.get(name, "")) for name in ("text", "url", "button"))
    return Recommended(text, url, button, bool(it.get("operation")))


def _part(it: Mapping[str, str]) -> PartLine:
    return PartLine(it["title"], it["url"], it.get("state") == State.RESOLVED)


def _facts(incident: Incident) -> tuple[FactLine, ...]:
    """Frozen evidence beside the same of now; what is new is shown too."""
    now = {str(fact["label"]): fact for fact in incident.latest.get("facts", ())}
    lines = []
    for fact in incident.evidence.get("facts", ()):
        later = now.pop(str(fact["label"]), None)
        lines.append(
            FactLine(
                fact["label"], fact["value"], fact["status"],
                later["value"] if later else None, later["status"] if later else "",
            )
        )  # fmt: skip
    lines += [FactLine(label, "", "", fact["value"], fact["status"]) for label, fact in now.items()]
    return tuple(lines)


def _event(event: IncidentEvent) -> EventLine:
    title, _, text = event.text.partition(". ") if event.kind == "opened" else (event.text, "", "")
    if event.kind == "note":
        title, text = event.by, event.text
    return EventLine(event.at, ICONS.get(event.kind, "circle"), title.rstrip("."), text)

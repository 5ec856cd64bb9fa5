"""GET incidents and incidents/ID; acknowledge, resolve and snooze them; announced work under `maintenance`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import AwareDatetime, ConfigDict

from console.accounts.actor import actor_of
from console.accounts.api_auth import operator
from console.incidents import actions, runbooks
from console.incidents.actions import Invalid, NotNow
from console.incidents.findings import Severity
from console.incidents.models import Incident, Maintenance
from console.incidents.page_log import PageOut, page_logs
from console.incidents.pages import Filters as Wanted
from console.incidents.pages import chosen
from console.incidents.rules import UNRESOLVED, State
from console.lib.api import Change, Problem

router = Router(tags=["incidents"])
maintenance = Router(tags=["incidents"])


class Filters(Schema):
    """`state` is one of CONTRACT's words, `unresolved` or `all`. `before` pages on from an id; `limit` at most 200."""

    state: str = "all"
    severity: str = ""
    section: str = ""
    q: str = ""
    before: int | None = None
    limit: int = 50


class FactOut(Schema):
    label: str
    value: str
    status: str = ""


class EvidenceOut(Schema):
    """What was seen: `facts`, names of time `series` (GET series), and what suffers from it."""

    sentence: str = ""
    facts: list[FactOut] = []
    series: list[str] = []
    impact: list[str] = []


class RecommendedOut(Schema):
    """What to do. `operation` is its kind ("" where the console can't do it), `url` its preflight, filled in."""

    text: str
    operation: str
    parameters: dict[str, Any]
    url: str


class EventOut(Schema):
    at: datetime
    kind: str
    text: str
    by: str


class IncidentBrief(Schema):
    id: int
    key: str
    generation: int
    title: str
    sentence: str
    severity: str
    state: str
    section: str
    target: str
    detector: str
    opened_at: datetime
    updated_at: datetime
    resolved_at: datetime | None
    acknowledged_by: str | None
    snoozed_until: datetime | None
    folded: int
    url: str
    recommended: RecommendedOut | None


class IncidentOut(IncidentBrief):
    """`evidence` was frozen when it opened, `latest` is the same of now."""

    evidence: EvidenceOut
    latest: EvidenceOut
    runbook: str | None
    outcome: str
    part_of: int | None
    children: list[dict[str, str]]
    events: list[EventOut]
    pages: list[PageOut]


class Acknowledgement(Schema):
    model_config = ConfigDict(extra="forbid")

    reason: str = ""


class Snooze(Change):
    """`for_s` seconds from now, or `until` a time with its zone; a day at most."""

    for_s: int | None = None
    until: AwareDatetime | None = None


def absolute(path: str) -> str:
    return f"{settings.BASE_URL}{path}"


def brief(row: Incident) -> dict[str, Any]:
    """One incident for a list."""
    return {
        "id": row.pk,
        **{
            name: getattr(row, name)
            for name in (
                "key", "generation", "title", "sentence", "severity", "state", "section", "target", "detector",
                "opened_at", "updated_at", "resolved_at", "snoozed_until", "folded",
            )
        },
        "acknowledged_by": row.acknowledged_by or None,
        "url": absolute(f"/i/{row.pk}"),
        "recommended": _recommended(row),
    }  # fmt: skip


def _recommended(row: Incident) -> dict[str, Any] | None:
    found = row.recommended
    if not found:
        return None
    return {
        "text": found["text"],
        "operation": found["operation"],
        "parameters": found["parameters"],
        "url": absolute(found["url"]) if found["url"] else "",
    }


def whole(row: Incident) -> dict[str, Any]:
    """One incident with its evidence, its story and its pages. Three queries."""
    events = list(row.events.order_by("-pk")[:200])
    return brief(row) | {
        "evidence": row.evidence,
        "latest": row.latest,
        "runbook": absolute(runbooks.url_of(row.detector)) if runbooks.exists(row.detector) else None,
        "outcome": row.outcome,
        "part_of": row.part_of_id,
        "children": row.children,
        "events": [{"at": one.at, "kind": one.kind, "text": one.text, "by": one.by} for one in reversed(events)],
        "pages": [vars(page) for page in page_logs([row.pk]).get(row.pk, ())],
    }


@router.get("", response=list[IncidentBrief], summary="The newest incidents first")
def incidents(request: HttpRequest, filters: Query[Filters]) -> list[dict[str, Any]]:
    if filters.state not in {"", "all", "unresolved", *State}:
        known = ", ".join([*State, "unresolved", "all"])
        raise Problem(422, f"state is one of {known}.", code="invalid", errors={"state": [f"One of {known}."]})
    if filters.severity not in {"", *Severity}:
        known = ", ".join(Severity)
        raise Problem(422, f"severity is one of {known}.", code="invalid", errors={"severity": [f"One of {known}."]})
    wanted = Wanted(filters.state or "all", filters.severity, filters.section, filters.q[:200].replace("\x00", ""))
    found: QuerySet[Incident] = chosen(wanted)
    if filters.before:
        found = found.filter(pk__lt=filters.before)
    return [brief(row) for row in found[: max(1, min(filters.limit, 200))]]


@router.get("/{int:pk}", response=IncidentOut, summary="One incident with its evidence, story and pages")
def incident(request: HttpRequest, pk: int) -> dict[str, Any]:
    return whole(_found(pk))


@router.post("/{int:pk}/acknowledge", response=IncidentOut, auth=operator, summary="Take it")
def acknowledge(request: HttpRequest, pk: int, body: Acknowledgement) -> dict[str, Any]:
    return _done(pk, lambda now: actions.acknowledge(pk, by=actor_of(request), now=now, reason=body.reason[:1000]))


@router.post("/{int:pk}/resolve", response=IncidentOut, auth=operator, summary="Call it over")
def resolve(request: HttpRequest, pk: int, body: Change) -> dict[str, Any]:
    return _done(pk, lambda now: actions.resolve(pk, by=actor_of(request), now=now, reason=body.reason))


@router.post("/{int:pk}/snooze", response=IncidentOut, auth=operator, summary="Tell nobody for a while")
def snooze(request: HttpRequest, pk: int, body: Snooze) -> dict[str, Any]:
    if (body.for_s is None) == (body.until is None):
        raise _invalid({"for_s": "Say for_s (seconds) or until (a time with its zone), one of them."})
    if body.for_s is not None and not 0 < body.for_s <= 86400:
        raise _invalid({"for_s": "1 to 86400 seconds."})

    def act(now: datetime) -> Incident:
        until = body.until or now + timedelta(seconds=body.for_s or 0)
        return actions.snooze(pk, until=until, by=actor_of(request), now=now, reason=body.reason)

    return _done(pk, act)


def _done(pk: int, act: Callable[[datetime], Incident]) -> dict[str, Any]:
    _found(pk)
    try:
        return whole(act(timezone.now()))
    except NotNow as error:
        raise Problem(409, str(error), code="not-now") from error
    except Invalid as error:
        raise _invalid(error.errors) from error


def _invalid(errors: dict[str, str]) -> Problem:
    by_field = {field: [text] for field, text in errors.items()}
    return Problem(422, " ".join(errors.values()), code="invalid", errors=by_field)


def _found(pk: int) -> Incident:
    row = Incident.objects.filter(pk=pk).first() if pk < 2**63 else None
    if row is None:
        raise Problem(404, f"There is no incident {pk}.", code="not-found")
    return row


def unresolved() -> list[dict[str, Any]]:
    """What the overview's answer tells of incidents. One query."""
    return [brief(row) for row in Incident.objects.filter(state__in=UNRESOLVED).order_by("-pk")[:50]]


WINDOWS = 200


# --- announced work -------------------------------------------------------------------------------------------------


class Window(Change):
    """`targets`: `fleets/cpu`, `fleets` or `*`. Times with their zone; `starts_at` is now when it is left out."""

    targets: list[str]
    starts_at: AwareDatetime | None = None
    ends_at: AwareDatetime


class WindowOut(Schema):
    id: int
    targets: list[str]
    starts_at: datetime
    ends_at: datetime
    reason: str
    by: str
    created_at: datetime
    cancelled_at: datetime | None


def _window(row: Maintenance) -> dict[str, Any]:
    names = ("targets", "starts_at", "ends_at", "reason", "created_at", "cancelled_at")
    return {"id": row.pk, "by": row.by_name} | {name: getattr(row, name) for name in names}


@maintenance.get(
    "", response=list[WindowOut], summary="Work in force or still to come; the newest 200 windows with all=true"
)
def windows(request: HttpRequest, all: bool = False) -> list[dict[str, Any]]:
    if all:
        return [_window(row) for row in Maintenance.objects.order_by("-starts_at")[:WINDOWS]]
    return [_window(row) for row in Maintenance.objects.ahead(timezone.now()).order_by("-starts_at")]


@maintenance.post("", response={201: WindowOut}, auth=operator, summary="Announce work: nobody is told of its targets")
def announce(request: HttpRequest, body: Window) -> Status[dict[str, Any]]:
    now = timezone.now()
    try:
        row = actions.announce(
            body.targets, starts_at=body.starts_at or now, ends_at=body.ends_at, reason=body.reason,
            by=actor_of(request), now=now,
        )  # fmt: skip
    except Invalid as error:
        raise _invalid(error.errors) from error
    return Status(201, _window(row))


@maintenance.delete("/{int:pk}", response=WindowOut, auth=operator, summary="End it before its time")
def cancel(request: HttpRequest, pk: int, body: Change) -> dict[str, Any]:
    if not Maintenance.objects.filter(pk=min(pk, 2**63 - 1)).exists():
        raise Problem(404, f"There is no maintenance window {pk}.", code="not-found")
    try:
        return _window(actions.cancel(pk, by=actor_of(request), now=timezone.now(), reason=body.reason))
    except NotNow as error:
        raise Problem(409, str(error), code="not-now") from error

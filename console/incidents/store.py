"""Write down what `rules.reconcile` decided: incidents, their timelines and the outbox, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from console.history import series
from console.incidents import outbox
from console.incidents.findings import Finding, Recommended, Report
from console.incidents.models import Incident, IncidentEvent, Maintenance, Origin, SignalRow
from console.incidents.routing import repage_s
from console.incidents.rules import Action, Changes, Held, Keeping, Opening, State, Why, reconcile, tended
from console.live.changes import publish
from console.platform.declared import declaration

LOCK = 0x51_44_49_4E  # "QDIN": one reconcile at a time
CHILDREN = 50
Kind = IncidentEvent.Kind


def settle(report: Report, now: datetime) -> Changes | None:
    """Make the incidents what was found at `now`. None: another process is at it. Four queries when nothing changes."""
    with transaction.atomic():
        if not lock(wait=False):
            return None
        rows = list(Incident.objects.unresolved().select_for_update().order_by("pk"))
        held = {row.key: row for row in rows if row.origin == Origin.CONSOLE}
        memory = {row.key: row.signal() for row in SignalRow.objects.all()}
        windows = [row.window() for row in Maintenance.objects.current(now)]
        changes = reconcile(report, memory, {key: held_of(row) for key, row in held.items()}, windows, now)
        _signals(changes)
        told = [open_incident(one, now) for one in changes.opened]
        opened = {row.key: row for row in told}
        for ending in changes.ended:
            part_of = opened.get(ending.into) or held.get(ending.into)
            why = f"It is part of INC-{part_of.pk} now." if part_of else ending.why
            close_incident(held[ending.key], why, now, part_of=part_of)
        altered = [keep_incident(held[one.key], one, now) for one in changes.kept]
        outside = [row for row in rows if row.origin == Origin.OUTSIDE]
        aged = [(row, tended(held_of(row), windows, now)) for row in outside]
        altered += [keep_incident(row, one, now) for row, one in aged if one]
        if told or changes.ended or any(altered):
            publish("incidents")
    return changes


def held_of(row: Incident) -> Held:
    """The row for the rules, with the interval that its routes declare."""
    return replace(row.held(), repage_s=repage_s(declaration().routes, str(row.severity), row.target))


def lock(*, wait: bool) -> bool:
    """Be the only one that changes incidents until the end of the transaction; False: another one is."""
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            return True
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        return bool(cursor.fetchone()[0])


def _signals(changes: Changes) -> None:
    gone = [key for key, signal in changes.signals.items() if signal is None]
    if gone:
        SignalRow.objects.filter(pk__in=gone).delete()
    rows = [SignalRow.of(signal) for signal in changes.signals.values() if signal is not None]
    if rows:
        SignalRow.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=["key"],
            update_fields=["present", "since", "clear_from", "changes", "dismissed", "dismissed_at"],
        )


def open_incident(opening: Opening, now: datetime, origin: str = Origin.CONSOLE) -> Incident:
    """A new incident with its evidence frozen, and the page that tells it unless a window keeps it quiet."""
    it = opening.finding
    last = Incident.objects.filter(key=it.key).order_by("-generation").first()
    shown = evidence_of(it)
    incident = Incident.objects.create(
        key=it.key,
        generation=last.generation + 1 if last else 1,
        origin=origin,
        detector=it.detector,
        severity=opening.severity,
        title=it.title[:300],
        sentence=it.sentence,
        section=it.section[:40],
        target=it.target,
        url=it.url[:1000],
        own=it.own,
        opened_at=now,
        updated_at=now,
        seen_at=now,
        evidence=shown,
        latest=shown,
        recommended=recommended_of(it.recommended),
        children=_children(opening.children),
        folded=len(opening.children),
        owed=opening.page is None,
        quiet_by_id=opening.quiet,
    )
    quiet = f" MW-{opening.quiet} keeps it quiet." if opening.quiet else ""
    outbox.note(incident, Kind.OPENED, f"{it.title}. {it.sentence}{quiet}", now)
    series.mark(now, "incident", it.title, f"/incidents/{incident.pk}/", it.target)
    if opening.page:
        _tell(incident, opening.page, now)
    return incident


def close_incident(
    incident: Incident, why: str, now: datetime, *, by: str = "", part_of: Incident | None = None
) -> None:
    """It is over: by evidence, by a person, or because it is part of another one. The row must be locked."""
    incident.state = State.RESOLVED
    incident.resolved_at = incident.updated_at = now
    incident.resolved_by = by[:200]
    incident.outcome = why
    incident.part_of = part_of
    incident.snoozed_until = None
    incident.owed = False
    incident.save()
    outbox.note(incident, Kind.RESOLVED, why, now, by)
    outbox.page(incident, Action.RESOLVE, now)


def keep_incident(incident: Incident, kept: Keeping, now: datetime) -> bool:
    """Bring a row up to date; True when anything changed."""
    before = {name: getattr(incident, name) for name in _KEPT}
    was = State(incident.state)
    if kept.finding is not None:
        it = kept.finding
        incident.title, incident.sentence, incident.url = it.title[:300], it.sentence, it.url[:1000]
        incident.detector = it.detector  # of the same fault more may be known by now
        incident.latest, incident.recommended = evidence_of(it), recommended_of(it.recommended)
    if kept.children is not None:
        incident.children, incident.folded = _children(kept.children), len(kept.children)
    raised = kept.severity != incident.severity
    incident.state, incident.severity, incident.owed = kept.state, kept.severity, kept.owed
    woke = was is State.SNOOZED and kept.state is State.OPEN
    if kept.state is State.OPEN:
        incident.snoozed_until = None
        if was is not State.OPEN:
            incident.acknowledged_at, incident.acknowledged_by = None, ""
    changed = {name for name, value in before.items() if getattr(incident, name) != value}
    if changed:
        incident.updated_at = now
        if kept.finding is not None:
            incident.seen_at = now
        incident.save(update_fields=[*changed, "updated_at", "seen_at"])
    if raised:
        outbox.note(incident, Kind.RAISED, f"It is {kept.severity} now: {incident.title}.", now)
    elif woke:
        outbox.note(incident, Kind.WOKE, "The snooze has ended and it is not over.", now)
    if incident.folded > int(before["folded"] or 0):
        outbox.note(incident, Kind.FOLDED, f"{incident.folded} findings are part of it now.", now)
    if kept.page:
        _tell(incident, kept.page, now)
    return bool(changed or kept.page)


_KEPT = (
    "title", "sentence", "url", "detector", "latest", "recommended", "children", "folded", "severity", "state", "owed",
    "snoozed_until", "acknowledged_at", "acknowledged_by",
)  # fmt: skip
_WORDS = {
    Why.OPENED: "A page is on its way.",
    Why.RAISED: "A page is on its way again, since it is worse.",
    Why.WOKE: "A page is on its way again, since the snooze has ended.",
    Why.QUIET_ENDED: "A page is on its way, now that the maintenance window has ended.",
    Why.REPEATED: "A page is on its way again, since nobody has acknowledged it.",
}


def _tell(incident: Incident, why: Why, now: datetime) -> None:
    outbox.page(incident, Action.TRIGGER, now, why)
    outbox.note(incident, Kind.PAGED, _WORDS[why], now)


def evidence_of(finding: Finding) -> dict[str, Any]:
    """A finding's evidence as it is stored."""
    return {
        "sentence": finding.sentence,
        "facts": [{"label": fact.label, "value": fact.value, "status": fact.status} for fact in finding.facts],
        "series": list(finding.series),
        "impact": list(finding.impact),
    }


def recommended_of(it: Recommended | None) -> dict[str, Any]:
    if it is None:
        return {}
    return {
        "text": it.text,
        "url": it.url,
        "button": it.button,
        "operation": it.operation,
        "parameters": dict(it.parameters),
    }


def _children(found: Iterable[Finding]) -> list[dict[str, str]]:
    return [{"key": one.key, "title": one.title, "url": one.url} for one in tuple(found)[:CHILDREN]]

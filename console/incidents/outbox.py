"""The outbox's and the timeline's pen. Always in the transaction of the change that is told, the incident locked."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max

from console.incidents.deliver import hurry
from console.incidents.models import Incident, IncidentEvent, Page
from console.incidents.rules import Action, Why


def page(incident: Incident, action: Action, now: datetime, why: Why | None = None) -> Page | None:
    """Queue a page. What was never told needs no acknowledge and no resolve: None then."""
    if action is not Action.TRIGGER and not incident.triggers:
        return None
    last = Page.objects.filter(incident=incident).aggregate(last=Max("sequence"))["last"] or 0
    queued = Page.objects.create(
        incident=incident,
        action=action,
        sequence=last + 1,
        level=incident.triggers if action is Action.TRIGGER and why is Why.REPEATED else 0,
        why=why or "",
        created_at=now,
        next_attempt_at=now,
    )
    if action is Action.TRIGGER:
        incident.triggers += 1
        incident.paged_at = now
        incident.owed = False
        incident.save(update_fields=["triggers", "paged_at", "owed"])
    hurry(queued.pk)
    return queued


def note(incident: Incident, kind: IncidentEvent.Kind, text: str, at: datetime, by: str = "") -> IncidentEvent:
    """Append a line to the timeline."""
    return IncidentEvent.objects.create(incident=incident, kind=kind, text=text[:5000], at=at, by=by[:200])

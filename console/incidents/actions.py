"""What people do with an incident: acknowledge, snooze, resolve, write a note; and announce work. All of it is audited.

Each change and the page that tells it are one transaction. Repeating an acknowledgement or a resolve changes nothing,
so that a webhook that comes twice does no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from console.accounts import audit
from console.accounts.actor import Actor
from console.incidents import outbox
from console.incidents.models import Incident, IncidentEvent, Maintenance, Origin, SignalRow
from console.incidents.rules import Action, State
from console.incidents.store import close_incident
from console.lib.words import duration, storable
from console.live.changes import publish

SNOOZE_MOST = timedelta(hours=24)
WINDOW_MOST = timedelta(days=30)
TARGETS_MOST = 50
Kind = IncidentEvent.Kind


class Invalid(Exception):
    """What was asked can't be: sentences by field."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__(" ".join(errors.values()))
        self.errors = errors


class NotNow(Exception):
    """The incident is not in a state for this; the message says why."""


def acknowledge(pk: int, *, by: Actor, now: datetime, reason: str = "") -> Incident:
    """Somebody has taken it: nobody is told again unless it gets worse. NotNow for one that is over."""
    with transaction.atomic():
        incident = _unresolved(pk)
        if incident.state == State.ACKNOWLEDGED:
            return incident
        incident.state = State.ACKNOWLEDGED
        incident.acknowledged_at, incident.acknowledged_by = now, by.name[:200]
        incident.snoozed_until, incident.owed, incident.updated_at = None, False, now
        incident.save()
        outbox.note(incident, Kind.ACKNOWLEDGED, f"Acknowledged by {by.name}{_said(reason)}", now, by.name)
        outbox.page(incident, Action.ACKNOWLEDGE, now)
        _record(by, "incident.acknowledged", incident, reason)
    return incident


def snooze(pk: int, *, until: datetime, by: Actor, now: datetime, reason: str) -> Incident:
    """Nobody is told until `until`, unless it gets worse; then, if it is not over, they are told again."""
    _needed(reason)
    if not now < until <= now + SNOOZE_MOST:
        raise Invalid({"until": f"A time in the next {duration(SNOOZE_MOST.total_seconds())}."})
    with transaction.atomic():
        incident = _unresolved(pk)
        incident.state, incident.snoozed_until, incident.snoozed_by = State.SNOOZED, until, by.name[:200]
        incident.updated_at = now
        incident.save()
        outbox.note(
            incident, Kind.SNOOZED, f"Snoozed until {until:%H:%M} UTC by {by.name}{_said(reason)}", now, by.name
        )
        outbox.page(incident, Action.ACKNOWLEDGE, now)  # the other end must not go on calling
        _record(by, "incident.snoozed", incident, reason, until=until.isoformat())
    return incident


def resolve(pk: int, *, by: Actor, now: datetime, reason: str) -> Incident:
    """A person calls it over. What can still be seen to be wrong is left alone then, unless it gets worse."""
    _needed(reason)
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=pk)
        if incident.state == State.RESOLVED:
            return incident
        close_incident(incident, f"Resolved by {by.name}{_said(reason)}", now, by=by.name)
        if incident.origin == Origin.CONSOLE:
            SignalRow.objects.filter(pk=incident.key, present=True).update(
                dismissed=incident.severity, dismissed_at=now
            )
        _record(by, "incident.resolved", incident, reason)
    return incident


def add_note(pk: int, text: str, *, by: Actor, now: datetime) -> Incident:
    """A line for the next person; also after it is over."""
    text = text.strip()
    if not text:
        raise Invalid({"text": "Write a few words."})
    if len(text) > 2000:
        raise Invalid({"text": f"{len(text)} characters; at most 2000."})
    with transaction.atomic():
        incident = Incident.objects.select_for_update().get(pk=pk)
        outbox.note(incident, Kind.NOTE, text, now, by.name)
        _record(by, "incident.noted", incident, text)
    return incident


def announce(
    targets: Sequence[str], *, starts_at: datetime, ends_at: datetime, reason: str, by: Actor, now: datetime
) -> Maintenance:
    """Announce work on `targets` (`fleets/cpu`, `fleets`, `*`): nobody is told of them meanwhile."""
    errors = {}
    wanted = list(dict.fromkeys(one.strip() for one in targets if one.strip()))
    if not wanted:
        errors["targets"] = "Say what is worked on: fleets/cpu, freshness, or * for all."
    elif len(wanted) > TARGETS_MOST or any(len(one) > 400 for one in wanted):
        errors["targets"] = f"At most {TARGETS_MOST} targets of 400 characters."
    elif any(one.partition("/")[0] == "console" for one in wanted):
        errors["targets"] = "The console's own blindness can't be silenced."
    if ends_at <= starts_at:
        errors["ends_at"] = "After its start."
    elif ends_at <= now:
        errors["ends_at"] = "In the future: this is over already."
    elif ends_at - starts_at > WINDOW_MOST:
        errors["ends_at"] = f"At most {WINDOW_MOST.days} days after its start."
    if not storable(reason):
        errors["reason"] = "Say why, in a few words."
    elif len(reason) > 1000:
        errors["reason"] = f"{len(reason)} characters; at most 1000."
    if errors:
        raise Invalid(errors)
    with transaction.atomic():
        window = Maintenance.objects.create(
            targets=wanted,
            starts_at=starts_at,
            ends_at=ends_at,
            reason=storable(reason),
            by_id=by.user_id,
            by_name=by.name,
            created_at=now,
        )
        details = {"targets": wanted, "starts_at": starts_at.isoformat(), "ends_at": ends_at.isoformat()}
        audit.record(by, "maintenance.announced", f"MW-{window.pk}", reason=reason.strip(), details=details)
        publish("incidents")
    return window


def cancel(pk: int, *, by: Actor, now: datetime, reason: str) -> Maintenance:
    """End a window before its time: what it kept quiet is told. NotNow for one that is over."""
    _needed(reason)
    with transaction.atomic():
        window = Maintenance.objects.select_for_update().get(pk=pk)
        if window.cancelled_at is None and window.ends_at <= now:
            raise NotNow(f"MW-{pk} has ended by itself.")
        if window.cancelled_at is None:
            window.cancelled_at, window.cancelled_by = now, by.name[:200]
            window.save(update_fields=["cancelled_at", "cancelled_by"])
            audit.record(by, "maintenance.cancelled", f"MW-{pk}", reason=reason.strip())
            publish("incidents")
    return window


def _unresolved(pk: int) -> Incident:
    incident = Incident.objects.select_for_update().get(pk=pk)
    if incident.state == State.RESOLVED:
        raise NotNow(f"INC-{pk} is over already.")
    return incident


def _needed(reason: str) -> None:
    if not storable(reason):
        raise Invalid({"reason": "Say why, in a few words."})
    if len(reason) > 1000:
        raise Invalid({"reason": f"{len(reason)} characters; at most 1000."})


def _said(reason: str) -> str:
    text = storable(reason)
    return f": {text}" if text else "."


def _record(by: Actor, action: str, incident: Incident, reason: str, **details: object) -> None:
    found = {"incident": incident.pk, "key": incident.key} | details
    audit.record(by, action, incident.target, reason=reason.strip(), details=found)
    publish("incidents")

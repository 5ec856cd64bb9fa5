"""Write down what another system says: its incidents, alone or as parts of one that stands for many."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction

from console.incidents import outbox
from console.incidents.findings import Finding, Severity
from console.incidents.hook_rules import Alert, AlertmanagerHook
from console.incidents.models import Incident, IncidentEvent, Maintenance, Origin
from console.incidents.rules import Opening, State, Why, tended
from console.incidents.store import CHILDREN, close_incident, held_of, keep_incident, lock, open_incident
from console.incidents.storm_rules import STORM, Part, Taking, Whole, finding_of, group_key, take
from console.live.changes import publish

LATEST = 10
"""So many of the last incidents of a group are looked at for what was told before."""


def take_alerts(hook: AlertmanagerHook, now: datetime) -> list[str]:
    """Do what a notification of Alertmanager says; a sentence per incident. Two queries when nothing changes."""
    if not _worth_it(*_decided(hook, now)):
        return []
    with transaction.atomic():
        lock(wait=True)
        taking, alone, wholes = _decided(hook, now)  # as it is, now that nobody else is at it
        did: list[str] = []
        for key in taking.ended:
            closed_outside(key, "Alertmanager says that it is over.", now)
            did.append(f"Resolved INC-{alone[key].pk}.")
        for alert in taking.told:
            known = alone.get(alert.key)
            if known is None or _differs(known, alert):
                told = opened_outside(alert.finding(), now)
                did.append(f"{'Updated' if known else 'Opened'} INC-{told.pk}.")
        did += [_whole(whole, wholes.get(whole.key), hook, now) for whole in taking.wholes]
        publish("incidents")
    return did


def _decided(hook: AlertmanagerHook, now: datetime) -> tuple[Taking, dict[str, Incident], dict[str, Incident]]:
    """What to do, the alerts' own incidents, and the open ones that stand for many."""
    alone = {row.key: row for row in Incident.objects.filter(key__in=[one.key for one in hook.alerts]).order_by("pk")}
    rows = list(Incident.objects.filter(key__in=[group_key(hook), STORM]).order_by("-pk")[:LATEST])
    own = {key: row.state != State.RESOLVED for key, row in alone.items()}
    wholes = [Whole(row.key, row.state != State.RESOLVED, _parts(row.children)) for row in rows]
    known = own.keys() | {key for whole in wholes for key in whole.parts}
    opened = 0
    if any(alert.key not in known for alert in hook.alerts):
        hour = now - timedelta(hours=1)
        opened = Incident.objects.filter(origin=Origin.OUTSIDE, opened_at__gt=hour).exclude(key=STORM).count()
    return take(hook, own, wholes, opened), alone, {row.key: row for row in rows if row.state != State.RESOLVED}


def _worth_it(taking: Taking, alone: dict[str, Incident], wholes: dict[str, Incident]) -> bool:
    new = (alert for alert in taking.told if alert.key not in alone or _differs(alone[alert.key], alert))
    return bool(taking.ended or taking.wholes or any(new))


def _differs(incident: Incident, alert: Alert) -> bool:
    told = alert.finding()
    return (incident.title, incident.sentence, incident.severity) != (told.title, told.sentence, str(told.severity))


def _whole(whole: Whole, incident: Incident | None, hook: AlertmanagerHook, now: datetime) -> str:
    """Open, keep or end the incident that stands for many."""
    was = incident.folded if incident else 0
    if incident is not None and not whole.open:
        _write(incident, whole)
        close_incident(incident, "Alertmanager says that all of its alerts are over.", now)
        return f"Resolved INC-{incident.pk}."
    word = "Updated" if incident else "Opened"
    incident = opened_outside(finding_of(whole, hook), now)
    _write(incident, whole)
    if word == "Updated" and incident.folded > was:
        outbox.note(incident, IncidentEvent.Kind.FOLDED, f"{incident.folded} alerts are part of it now.", now)
    return f"{word} INC-{incident.pk}."


def _write(incident: Incident, whole: Whole) -> None:
    """All that fires, the worst first, and some of what is over."""
    over = [part for part in whole.parts.values() if part.over][-CHILDREN:]
    incident.children = [
        {
            "key": part.key, "title": part.title, "url": part.url, "severity": str(part.severity),
            "state": "resolved" if part.over else "firing",
        }
        for part in (*sorted(whole.firing, key=lambda part: -part.severity.weight), *over)
    ]  # fmt: skip
    incident.folded = len(whole.firing) or len(whole.parts)
    incident.save(update_fields=["children", "folded"])


def _parts(children: Iterable[dict[str, str]]) -> dict[str, Part]:
    return {
        one["key"]: Part(
            one["key"], one["title"], one["url"], Severity(one["severity"]), one.get("state") == "resolved"
        )
        for one in children
    }


def opened_outside(finding: Finding, now: datetime) -> Incident:
    """Another system says that something is wrong. The open incident of its key, made when there is none; one that is
    worse than before is told again."""
    with transaction.atomic():
        lock(wait=True)
        incident = Incident.objects.unresolved().filter(key=finding.key).select_for_update().first()
        windows = [row.window() for row in Maintenance.objects.current(now)]
        if incident is None:
            quiet = next((one for one in windows if one.covers(finding.target, now)), None)
            opening = Opening(finding, finding.severity, (), None if quiet else Why.OPENED, quiet.id if quiet else None)
            incident = open_incident(opening, now, Origin.OUTSIDE)
        elif kept := tended(held_of(incident), windows, now, finding):
            keep_incident(incident, kept, now)
        publish("incidents")
    return incident


def closed_outside(key: str, why: str, now: datetime) -> bool:
    """Another system says that it is over. False when nothing of that key is open."""
    with transaction.atomic():
        incident = Incident.objects.unresolved().filter(key=key, origin=Origin.OUTSIDE).select_for_update().first()
        if incident is None:
            return False
        close_incident(incident, why, now)
        publish("incidents")
    return True

"""From an incident and a row of the outbox to the message that is sent."""

from __future__ import annotations

from django.conf import settings

from console.incidents import runbooks
from console.incidents.models import Incident, Origin, Page
from console.incidents.pagers.message import Action, Link, Message, cut

TEXT = 4000


def message_of(page: Page, incident: Incident, source: str) -> Message:
    """What `page` tells. The same page gives the same id each time; `source` is the platform's name."""
    action = Action(page.action)
    texts = {
        Action.TRIGGER: _why(incident, page),
        Action.ACKNOWLEDGE: f"{incident.acknowledged_by or incident.snoozed_by or 'Somebody'} looks after it.",
        Action.RESOLVE: incident.outcome or "It is over.",
    }
    return Message(
        key=incident.key,
        action=action,
        severity=str(incident.severity),
        title=incident.title,
        text=cut(texts[action], TEXT),
        link=f"{settings.BASE_URL}/i/{incident.pk}",
        at=incident.opened_at if action is Action.TRIGGER else (incident.resolved_at or page.created_at),
        id=f"INC-{incident.pk}-{page.sequence}",
        source=source,
        target=incident.target,
        links=_links(incident),
        evidence=tuple((str(fact["label"]), str(fact["value"])) for fact in incident.evidence.get("facts", [])),
    )


def _why(incident: Incident, page: Page) -> str:
    lines = [incident.sentence, incident.recommended.get("text", "")]
    if page.level:
        lines.insert(0, f"Told again (the {_ordinal(page.level + 1)} time): nobody has acknowledged it.")
    if incident.folded:
        outside = incident.origin == Origin.OUTSIDE
        lines.append(f"{incident.folded} {'alerts are part of' if outside else 'more findings follow from'} it.")
    return "\n".join(line for line in lines if line)


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in {11, 12, 13} else "th"
    return f"{number}{ending}"


def _links(incident: Incident) -> tuple[Link, ...]:
    """What is recommended first, then its runbook, then where the thing itself is shown."""
    found = []
    if incident.recommended.get("url"):
        found.append((incident.recommended["url"], incident.recommended.get("button") or "Recommended"))
    if runbooks.exists(incident.detector):
        found.append((runbooks.url_of(incident.detector), "Runbook"))
    if incident.url not in ("", "/"):
        found.append((incident.url, incident.target))
    return tuple(
        Link(href if "://" in href else f"{settings.BASE_URL}{href}", cut(text.rstrip("…"), 100))
        for href, text in found
    )

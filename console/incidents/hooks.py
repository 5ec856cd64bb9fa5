"""Webhooks that the console takes: `POST /api/v1/hooks/pagerduty` and `…/alertmanager` (docs/paging.md).

Neither has a user: each proves itself by the secret that `hooks` in platform.yaml declares, and may do nothing but its
own. What is refused is audited, once a minute per sender. Taking the same thing twice changes nothing.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import Any, TypeVar

from django.db import IntegrityError, transaction
from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from ninja.security.base import AuthBase
from pydantic import BaseModel, ValidationError

from console.accounts import audit
from console.accounts.actor import Actor, client_ip
from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.incidents import actions
from console.incidents.hook_rules import AlertmanagerHook, PagerDutyHook, signed, too_old
from console.incidents.models import HookEvent, Incident
from console.incidents.outside import take_alerts
from console.incidents.pagers.pagerduty import DEDUP, dedup_key
from console.incidents.rules import State
from console.lib.api import Problem, by_field, request_id
from console.platform.declared import declaration

router = Router(tags=["hooks"])
OLDEST_S = 48 * 3600.0
"""PagerDuty tries again for a while; what is older is a replay, and ids are remembered for longer (`FORGET_AFTER`)."""
FORGET_AFTER = timedelta(days=7)
Body = TypeVar("Body", bound=BaseModel)


class Taken(Schema):
    """What a webhook changed: one sentence per incident; empty when there was nothing to do."""

    taken: bool = True
    did: list[str] = []


def _hook(request: HttpRequest, name: str) -> Actor:
    return Actor(name, None, Role.OPERATOR, "webhook", client_ip(request), request_id(request))


def _refused(request: HttpRequest, name: str, why: str, challenge: str) -> Problem:
    """401, audited unless the same sender was refused in the last minute: the audit is kept for ever."""
    by = _hook(request, name)
    since = timezone.now() - timedelta(minutes=1)
    again = AuditEntry.objects.filter(action="hook.refused", at__gte=since, target=request.path, ip=by.ip)
    if not again.exists():
        audit.record(by, "hook.refused", request.path, details={"why": why})
    return Problem(401, why, code="unauthenticated", headers={"WWW-Authenticate": challenge})


class PagerDutySigned(AuthBase):
    """Lets in what PagerDuty signed with the declared secret."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "X-PagerDuty-Signature"

    def __call__(self, request: HttpRequest) -> Actor:
        secret = declaration().hooks.pagerduty_secret
        if not secret:
            why = "This hook is off: declare hooks.pagerduty.secret in platform.yaml."
        elif signed(secret, request.body, request.headers.get("X-PagerDuty-Signature", "")):
            return _hook(request, "PagerDuty")
        else:
            why = "X-PagerDuty-Signature does not fit the body: is it this subscription's secret?"
        raise _refused(request, "PagerDuty", why, "PagerDuty-Signature")


class AlertmanagerToken(AuthBase):
    """Lets in who sends the declared token."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Actor:
        token = declaration().hooks.alertmanager_token
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if not token:
            why = "This hook is off: declare hooks.alertmanager.token in platform.yaml."
        elif scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return _hook(request, "Alertmanager")
        else:
            why = "Send the declared token: http_config.authorization.credentials in Alertmanager's receiver."
        raise _refused(request, "Alertmanager", why, 'Bearer realm="quarterdeck"')


def _read(model: type[Body], request: HttpRequest) -> Body:
    """The body as `model`. Problem 422 with what is wrong, by field, also where it is no JSON at all."""
    try:
        return model.model_validate_json(request.body)
    except ValidationError as error:
        found = [{**one, "loc": ("body", "body", *one["loc"])} for one in error.errors(include_url=False)]
        raise Problem(422, "The webhook is not valid: see errors.", code="invalid", errors=by_field(found)) from None


@router.post("/pagerduty", response=Taken, auth=PagerDutySigned(), url_name="hook_pagerduty")
def pagerduty(request: HttpRequest) -> Taken:
    """PagerDuty's V3 webhook: what is acknowledged or resolved there is so here. A replay is 409."""
    event, now = _read(PagerDutyHook, request).event, timezone.now()
    if too_old(event.occurred_at, now, OLDEST_S):
        raise Problem(409, "This event is more than two days from now: a replay is refused.", code="replayed")
    by = _named(request, event.agent.summary if event.agent else "")
    try:
        with transaction.atomic():
            HookEvent.objects.create(sender="pagerduty", event_id=event.id, received_at=now)
            incident = _incident(event.data.incident_key)
            # One that opened after the event is another occurrence of the same key.
            if incident is None or event.occurred_at < incident.opened_at - timedelta(seconds=5):
                return Taken()
            if event.event_type == "incident.acknowledged":
                if incident.state == State.ACKNOWLEDGED:
                    return Taken()
                actions.acknowledge(incident.pk, by=by, now=now, reason="In PagerDuty.")
                return Taken(did=[f"Acknowledged INC-{incident.pk}."])
            if event.event_type == "incident.resolved":
                actions.resolve(incident.pk, by=by, now=now, reason="In PagerDuty.")
                return Taken(did=[f"Resolved INC-{incident.pk}."])
    except IntegrityError:
        raise Problem(409, "This event was taken already: a replay changes nothing.", code="replayed") from None
    except actions.NotNow:  # it ended in this very moment
        return Taken()
    return Taken()


def _named(request: HttpRequest, agent: str) -> Actor:
    by: Any = request.auth  # type: ignore[attr-defined]
    name = f"{agent[:150]} (PagerDuty)" if agent else "PagerDuty"
    return Actor(name, None, Role.OPERATOR, "webhook", by.ip, by.request_id)


def _incident(key: str | None) -> Incident | None:
    """The open incident that PagerDuty knows by this key."""
    if not key:
        return None
    unresolved = Incident.objects.unresolved()
    found = unresolved.filter(key=key).first()
    if found is None and len(key) == len(dedup_key("x" * (DEDUP + 1))):
        found = next((one for one in unresolved.filter(key__startswith=key[:200]) if dedup_key(one.key) == key), None)
    return found


@router.post("/alertmanager", response=Taken, auth=AlertmanagerToken(), url_name="hook_alertmanager")
def alertmanager(request: HttpRequest) -> Taken:
    """Alertmanager's webhook: each firing alert is an incident until it is told to be resolved; many of one group, or
    of one hour, are parts of one incident."""
    return Taken(did=take_alerts(_read(AlertmanagerHook, request), timezone.now()))

"""The outbox's way out: route a page to pagers, send it, note each attempt, fall to the next pager.

Invariants:
- of any number of executors at the same moment exactly one makes an attempt (a compare-and-set on the database's
  clock); one that vanished is followed after `LEASE_S`;
- an attempt is in the log before anything is sent, so that a pager that may hold an incident is known, whatever dies;
- per key and pager messages arrive in order: none is attempted while an earlier one is queued;
- who was told, or may have been, is told the end; what was committed is delivered at least once, by the same dedup key.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils import timezone

from console.celery import app
from console.incidents import pagers
from console.incidents.messages import message_of
from console.incidents.models import Delivery, Incident, Page, PageAttempt
from console.incidents.pagers.message import TransportError
from console.incidents.routing import FALL_S, after_failure, chains
from console.incidents.rules import Action
from console.live.changes import publish
from console.platform.declared import Declaration, declaration

log = logging.getLogger(__name__)

LEASE_S = 45.0
"""Longer than an attempt can take (the adapters' time-outs), so that no late trigger follows its resolve; after it an
executor that vanished is followed."""
AWAY_S = 30.0
BATCH = 200


def hurry(pk: int) -> None:
    """Deliver a page as soon as the current transaction is committed. Beat would find it; this saves up to a second."""
    transaction.on_commit(partial(_send_task, pk))


class _Redis:
    """After a failure Redis is left alone for a while, so that no request waits for it again and again."""

    away_until_s = 0.0


def _send_task(pk: int) -> None:
    if time.monotonic() < _Redis.away_until_s:
        return
    try:
        app.send_task("console.incidents.tasks.deliver_page", (pk,), expires=10, retry=False)
    except Exception as error:  # what was committed stands, whatever kombu raises
        _Redis.away_until_s = time.monotonic() + AWAY_S
        log.warning("pages wait for beat: no message could be sent (%s)", type(error).__name__)


def sweep() -> list[int]:
    """The pages that want an attempt now. Also lets overdue triggers fall to the next pager of their route."""
    overdue = Page.objects.filter(
        state=Delivery.QUEUED, action=Action.TRIGGER, routed_at__lte=Now() - timedelta(seconds=FALL_S)
    ).exclude(chain=[])
    for pk in overdue.values_list("pk", flat=True)[:BATCH]:
        fall(pk)
    return list(Page.objects.ready().values_list("pk", flat=True)[:BATCH])


def deliver(pk: int) -> bool:
    """Make one attempt for a page, or find out whom it goes to. False: not due, or another executor is at it."""
    page = _claim(pk)
    if page is None:
        return False
    declared = declaration()
    if page.pager is None:
        route(page, declared)
    else:
        _attempt(page, declared)
    return True


def _claim(pk: int) -> Page | None:
    taken = (
        Page.objects.ready()
        .order_by()
        .filter(pk=pk)
        .update(attempts=F("attempts") + 1, next_attempt_at=Now() + timedelta(seconds=LEASE_S))
    )
    return Page.objects.select_related("incident").get(pk=pk) if taken == 1 else None


def route(page: Page, declared: Declaration) -> None:
    """One row for each pager that is to be told. Nobody to tell: superseded."""
    incident = page.incident
    with transaction.atomic():
        _lock(incident.key)
        if not Page.objects.filter(pk=page.pk, state=Delivery.QUEUED, pager=None).exists():
            return  # another executor has
        if page.action == Action.TRIGGER:
            told = chains(declared.routes, str(incident.severity), incident.target, page.level)
        else:
            told = tuple((name,) for name in _holders(incident))
        if not told:
            Page.objects.filter(pk=page.pk).update(state=Delivery.SUPERSEDED, finished_at=Now(), attempts=0)
        else:
            (first, *rest), *others = told
            Page.objects.filter(pk=page.pk).update(
                pager=first, chain=rest, attempts=0, next_attempt_at=Now(), routed_at=Now()
            )
            rows = [_twin(page, name, chain) for name, *chain in others]
            for pk in [page.pk, *(row.pk for row in Page.objects.bulk_create(rows))]:
                hurry(pk)
        publish("incidents")


def _holders(incident: Incident) -> list[str]:
    """The pagers that hold this incident, may hold it, or will: each of them is told how it goes on."""
    took = Q(state__in=[Delivery.QUEUED, Delivery.DELIVERED]) | Q(log__ok=True) | Q(log__maybe_taken=True)
    rows = Page.objects.filter(took, incident=incident, action=Action.TRIGGER).exclude(pager=None)
    return sorted(set(rows.values_list("pager", flat=True)))  # type: ignore[arg-type]


def _twin(page: Page, pager: str, chain: list[str] | None = None) -> Page:
    """The same page for another pager."""
    return Page(
        incident_id=page.incident_id,
        action=page.action,
        sequence=page.sequence,
        level=page.level,
        why=page.why,
        pager=pager,
        chain=chain or [],
        next_attempt_at=Now(),
        routed_at=Now(),
    )


def _attempt(page: Page, declared: Declaration) -> None:
    incident, name = page.incident, page.pager or ""
    pager = declared.pager(name)
    attempt = PageAttempt.objects.create(
        page=page, pager=name, ok=False, maybe_taken=True, text="No answer was noted: the executor ended meanwhile."
    )
    began_s = time.monotonic()
    try:
        if pager is None:
            raise TransportError("This pager is not declared any more.", permanent=True)
        text = pagers.pager(pager).notify(message_of(page, incident, declared.name))
    except TransportError as error:
        _note(attempt, began_s, ok=False, text=str(error), maybe=error.maybe_taken)
        _failed(page, error, timezone.now())
    except Exception as error:  # a bug must not stop the other pagers of the route
        log.exception("page %s to %s failed", page.pk, name)
        text = f"The console itself failed ({type(error).__name__}); its log has the traceback."
        _note(attempt, began_s, ok=False, text=text, maybe=True)
        _failed(page, TransportError(text, maybe_taken=True), timezone.now())
    else:
        _note(attempt, began_s, ok=True, text=text, maybe=False)
        _delivered(page)
    publish("incidents")


def _note(attempt: PageAttempt, began_s: float, *, ok: bool, text: str, maybe: bool) -> None:
    took_s = round(time.monotonic() - began_s, 3)
    PageAttempt.objects.filter(pk=attempt.pk).update(ok=ok, text=text[:1000], maybe_taken=maybe, took_s=took_s)


def _mine(page: Page) -> Any:
    """The row, while no other executor has followed this one."""
    return Page.objects.filter(pk=page.pk, state=Delivery.QUEUED, attempts=page.attempts)


def _delivered(page: Page) -> None:
    with transaction.atomic():
        _lock(page.incident.key)
        late = Page.objects.filter(pk=page.pk, state__in=[Delivery.FAILED, Delivery.SUPERSEDED]).exists()
        Page.objects.filter(pk=page.pk, state=Delivery.QUEUED).update(
            state=Delivery.DELIVERED, finished_at=Now(), chain=[]
        )
        if page.action == Action.TRIGGER:
            if late:  # it holds the incident after all: it is told how it went on
                _follow_up(page, page.pager or "")
            _supersede(page)
        _wake(page)


def _supersede(page: Page) -> None:
    """Whoever failed before `page` in the same route need not be told any more."""
    rows = list(Page.objects.filter(incident=page.incident_id, sequence=page.sequence))
    reached: set[str | None] = {page.pager}
    for _ in rows:
        reached |= {row.pager for row in rows if row.fell_to and row.fell_to in reached}
    gone = [row.pk for row in rows if row.pager in reached and row.pk != page.pk]
    Page.objects.filter(pk__in=gone, state=Delivery.QUEUED).update(state=Delivery.SUPERSEDED, finished_at=Now())


def _failed(page: Page, error: TransportError, now: datetime) -> None:
    age_s = (now - (page.routed_at or page.created_at)).total_seconds()
    then = after_failure(
        page.attempts, age_s, permanent=error.permanent, retry_after_s=error.retry_after_s, luck=random.random()
    )
    if not then.given_up:
        _mine(page).update(next_attempt_at=Now() + timedelta(seconds=then.wait_s))
        return
    with transaction.atomic():
        _lock(page.incident.key)
        _fall(page.pk)
        _mine(page).update(state=Delivery.FAILED, finished_at=Now(), chain=[])
        _wake(page)


def fall(pk: int) -> None:
    """Tell the next pager of the route too."""
    key = Incident.objects.filter(pages__pk=pk).values_list("key", flat=True).first()
    if key is None:
        return
    with transaction.atomic():
        _lock(key)
        _fall(pk)


def _fall(pk: int) -> None:
    page = Page.objects.select_related("incident").get(pk=pk)
    if page.state != Delivery.QUEUED or page.action != Action.TRIGGER or not page.chain:
        return
    incident = page.incident
    if Incident.objects.filter(key=incident.key, pk__gt=incident.pk).exists():
        # It is over and there is a later one of this key: its end would close that one at the next pager.
        Page.objects.filter(pk=pk).update(chain=[])
        return
    told = set(_holders(incident))
    name, *rest = [one for one in page.chain if one not in told] or [""]
    Page.objects.filter(pk=pk).update(chain=[], fell_to=name or None)
    if not name:
        return
    twin = _twin(page, name, rest)
    twin.save()
    hurry(twin.pk)
    _follow_up(page, name)
    publish("incidents")


def _follow_up(page: Page, pager: str) -> None:
    """What was told of the incident after `page` goes to `pager` as well."""
    later = Page.objects.filter(incident=page.incident_id, sequence__gt=page.sequence).exclude(action=Action.TRIGGER)
    rows = {row.sequence: _twin(row, pager) for row in later.exclude(pager=None)}
    unheard = {row.sequence: _twin(row, pager) for row in later.filter(state=Delivery.SUPERSEDED, pager=None)}
    Page.objects.bulk_create([*rows.values(), *unheard.values()], ignore_conflicts=True)


def _wake(page: Page) -> None:
    """What waited behind this page goes on at once."""
    behind = Page.objects.ready().filter(incident__key=page.incident.key).values_list("pk", flat=True)
    for pk in behind[:10]:
        hurry(pk)


def _lock(key: str) -> None:
    """Rows of one key are made by one at a time, until the end of the transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [key, 0x51445047])

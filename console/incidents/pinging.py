"""The dead man's switch: ask the declared URL while the console is well (docs/paging.md)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Min
from django.db.models.functions import Now

from console.incidents.dead_man import Life, fault
from console.incidents.models import DeadMan, Delivery, Page
from console.incidents.pagers import http
from console.incidents.pagers.message import TransportError
from console.incidents.rules import Action
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.sources import HEARTBEATS

log = logging.getLogger(__name__)


def ping(now: datetime) -> str | None:
    """Ask the URL when it is due and the console is well. Returns why not ("" when asked); None: not due."""
    declared = declaration().dead_man
    if declared is None:
        return None
    DeadMan.objects.bulk_create([DeadMan(pk=1)], ignore_conflicts=True)
    due = DeadMan.objects.filter(pk=1, due_at__lte=Now())
    if due.update(due_at=Now() + timedelta(seconds=declared.every_s)) != 1:
        return None
    why = fault(life(now))
    if not why:
        try:
            http.send(declared.url, method="GET", allow_private=declared.allow_private)
        except TransportError as error:
            why = f"The dead man's URL: {error}"
    DeadMan.objects.filter(pk=1).update(attempted_at=now, fault=why, **({} if why else {"pinged_at": now}))
    if why:
        log.warning("the outside is not told that the console is well: %s", why)
    return why


def life(now: datetime) -> Life:
    """What the console can see of itself, in two queries."""
    tried = dict(Source.objects.exclude(attempted_at=None).values_list("name", "attempted_at"))
    ages = {name: max((now - at).total_seconds(), 0.0) for name, at in tried.items() if at is not None}
    watched_s = ages.pop(HEARTBEATS.name, None)
    oldest = Page.objects.filter(action=Action.TRIGGER, state=Delivery.QUEUED).aggregate(at=Min("created_at"))["at"]
    return Life(ages, watched_s, (now - oldest).total_seconds() if oldest else None)

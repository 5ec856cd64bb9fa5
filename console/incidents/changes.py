"""Deploys as change events at PagerDuty: they wake nobody, and stand beside the incidents that may come of them.

One notice per deploy, phase and pager, made by a look at the operations of the last hour; each is sent at least once.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Q
from django.db.models.functions import Now

from console.incidents.models import ChangeNotice, Delivery
from console.incidents.pagers.message import Change, TransportError, one_line
from console.incidents.pagers.pagerduty import PagerDuty
from console.incidents.routing import after_failure
from console.operations.models import Operation
from console.platform.declared import declaration

KINDS = ("deploy",)
LOOK_BACK = timedelta(hours=1)
LEASE_S = 45.0
Phase = ChangeNotice.Phase


def announce(now: datetime) -> None:
    """Note what began and ended lately, and send what was not sent yet. One query where there is nothing to tell."""
    names = [pager.name for pager in declaration().pagers if pager.kind == "pagerduty"]
    if not names:
        return
    since = now - LOOK_BACK
    recent = Operation.objects.filter(Q(started_at__gte=since) | Q(finished_at__gte=since), kind__in=KINDS)
    notices = [
        ChangeNotice(operation=operation, phase=phase, pager=name)
        for operation in recent
        for phase, at in ((Phase.STARTED, operation.started_at), (Phase.FINISHED, operation.finished_at))
        if at and at >= since
        for name in names
    ]
    if notices:
        ChangeNotice.objects.bulk_create(notices, ignore_conflicts=True)
    for pk in ChangeNotice.objects.due().values_list("pk", flat=True)[:20]:
        deliver(pk, now)


def deliver(pk: int, now: datetime) -> bool:
    """One attempt. False: not due, or another executor is at it."""
    until = Now() + timedelta(seconds=LEASE_S)
    if (
        ChangeNotice.objects.due().order_by().filter(pk=pk).update(attempts=F("attempts") + 1, next_attempt_at=until)
        != 1
    ):
        return False
    notice = ChangeNotice.objects.select_related("operation").get(pk=pk)
    pager, row = declaration().pager(notice.pager), ChangeNotice.objects.filter(pk=pk)
    try:
        if pager is None:
            raise TransportError("This pager is not declared any more.", permanent=True)
        text = PagerDuty(pager).change(change_of(notice, declaration().name))
    except TransportError as error:
        age_s = (now - notice.created_at).total_seconds()
        then = after_failure(
            notice.attempts,
            age_s,
            permanent=error.permanent,
            retry_after_s=error.retry_after_s,
            luck=random.random(),
        )
        if then.given_up:
            row.update(state=Delivery.FAILED, text=str(error)[:1000])
        else:
            row.update(text=str(error)[:1000], next_attempt_at=Now() + timedelta(seconds=then.wait_s))
    else:
        row.update(state=Delivery.DELIVERED, text=text[:1000])
    return True


def change_of(notice: ChangeNotice, source: str) -> Change:
    """What is told of a deploy."""
    it = notice.operation
    began = notice.phase == Phase.STARTED
    what = f"{it.kind.capitalize()} OP-{it.pk}"
    details = {"reason": it.reason, "requested by": it.requested_by_name, "target": it.target}
    details |= {key: str(it.parameters[key]) for key in ("version", "queues") if it.parameters.get(key)}
    return Change(
        summary=f"{what} started: {it.reason}" if began else one_line(f"{what} {it.state}: {it.outcome}"),
        at=(it.started_at if began else it.finished_at) or notice.created_at,
        link=f"{settings.BASE_URL}{it.url}",
        source=source,
        details=tuple(details.items()),
    )

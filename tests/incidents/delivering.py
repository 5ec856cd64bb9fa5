"""A declaration with fake receivers behind it, and the outbox worked off without waiting."""

from __future__ import annotations

from dataclasses import replace

from django.db.models.functions import Now

from console.incidents import deliver
from console.incidents.models import Page
from console.platform.declared import Declaration, PagerDeclared, RouteDeclared, declaration
from tests.incidents.receivers import FakePagerDuty, Receiver

ALL = ("critical", "error", "warning")


def at(server: Receiver, name: str, kind: str = "pagerduty") -> PagerDeclared:
    if kind == "pagerduty":
        return PagerDeclared(name, kind, f"{server.url}/v2/enqueue", FakePagerDuty.KEY, allow_private=True)
    return PagerDeclared(name, kind, f"{server.url}/hook", allow_private=True)


def route(*pagers: str, severities: tuple[str, ...] = ALL, targets: tuple[str, ...] = ("*",)) -> RouteDeclared:
    return RouteDeclared(severities, targets, pagers, None)


def declares(monkeypatch, *pagers: PagerDeclared, routes: tuple[RouteDeclared, ...] = ()) -> Declaration:
    """Let the outbox be delivered to these; by default one route over all of them in order."""
    found = routes or ((route(*(pager.name for pager in pagers)),) if pagers else ())
    changed = replace(declaration(), pagers=pagers, routes=found)
    monkeypatch.setattr(deliver, "declaration", lambda: changed)
    return changed


def work(rounds: int = 8, *, hasten: bool = True) -> None:
    """Beat's sweep and the deliveries that it starts, `rounds` times; `hasten` skips the pauses between attempts."""
    for _ in range(rounds):
        if hasten:
            Page.objects.filter(state="queued").update(next_attempt_at=Now())
        pks = deliver.sweep()
        if not pks:
            return
        for pk in pks:
            deliver.deliver(pk)


def told() -> list[tuple[str, str | None, str]]:
    """Each row of the outbox: what, whom, how far."""
    return [(page.action, page.pager, page.state) for page in Page.objects.order_by("incident", "sequence", "pk")]

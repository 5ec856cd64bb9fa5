"""Incidents in a real browser: the list, one incident, the light page of a phone (without scripts too), a runbook."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.history import series
from console.incidents import actions
from console.incidents.findings import Fact, Severity
from console.incidents.models import Incident, IncidentEvent, Maintenance, Page, SignalRow
from console.incidents.store import settle
from console.platform.models import Source, remember_success
from tests.browser.page import DESKTOP, PHONE, THEMES
from tests.browser.page import Page as Browser
from tests.incidents.made import finding, report

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
MIRA = Actor("Mira Okafor", None, Role.OPERATOR, "session")


@pytest.fixture(scope="module")
def story(console_server: str, django_db_blocker: Any) -> Iterator[int]:
    """A critical incident of ten minutes with parts, pages and notes; another that is snoozed; one that is over."""
    with django_db_blocker.unblock():
        now = timezone.now()
        for minutes in range(130, 0, -1):
            at = now - timedelta(minutes=minutes)
            series.record([("fleet.cpu.outstanding", max(2.0, 41.0 - 3 * minutes)), ("fleet.cpu.running", 8.0)], at)
        began = now - timedelta(minutes=10)
        other = finding(
            "pools.starved:merge", target="pools/merge", title="Pool merge starves its tasks", severity=Severity.WARNING
        )
        gone = finding("fleets.lost:io", target="fleets/io", title="io: 1 lost")
        worst = finding(
            severity=Severity.CRITICAL, title="cpu: not served", impact=("shop.public.orders", "shop.public.payments"),
            facts=(
                Fact("Waiting", "41 tasks wait", "failing"), Fact("Workers", "0 in service, 2 lost", "failing"),
                Fact("Group", "sandbox-cpu: baseline 2, desired 2, max 4"),
            ),
            detector="queue-not-served",
        )  # fmt: skip
        part = finding("fleets.lost:cpu", target="fleets/cpu", title="cpu: 2 lost", causes=(worst.key,))
        settle(report(other, gone), began - timedelta(minutes=4))
        settle(report(other, gone, worst, part), began)
        for seconds in (60, 90):
            settle(report(other, worst, part), began + timedelta(seconds=seconds))
        pk = Incident.objects.get(key=worst.key).pk
        actions.acknowledge(pk, by=MIRA, now=began + timedelta(minutes=3), reason="from a phone")
        actions.add_note(pk, "AWS has no c7g in eu-north-1a; asked for c7i.", by=MIRA, now=began + timedelta(minutes=5))
        Page.objects.filter(incident_id=pk).update(state="delivered", pager="oncall")
        snoozed = Incident.objects.get(key=other.key).pk
        actions.snooze(snoozed, until=now + timedelta(hours=1), by=MIRA, now=now, reason="after the batch")
        remember_success("console.incidents", now, 0.1)
        yield pk
        for model in (Page, IncidentEvent, Incident, Maintenance, SignalRow):
            model.objects.all().delete()
        Source.objects.filter(name="console.incidents").delete()


@pytest.mark.parametrize("theme", THEMES)
def test_every_page_of_it_fits_and_has_no_fault(sign_in: Callable[..., Browser], story: int, theme: str) -> None:
    pages = {
        "incidents": "/incidents/?state=all",
        "incident": f"/incidents/{story}/",
        "brief": f"/i/{story}",
        "maintenance": "/incidents/maintenance/",
        "runbooks": "/incidents/runbooks/",
        "runbook": "/incidents/runbooks/queue-not-served/",
    }
    for name, path in pages.items():
        page = sign_in("operator").open(path, theme)
        for size in (DESKTOP, PHONE):
            page.size(size)
            page.shoot(f"{name}-{size[0]}-{theme}")
            page.assert_fits()
            assert page.axe() == [], f"{path} at {size[0]} px"
        page.assert_no_console_errors()


def test_the_light_page_is_light_over_the_wire(sign_in: Callable[..., Browser], story: int) -> None:
    """Every byte that a browser with an empty cache takes for it, as it says itself."""
    page = sign_in("operator").open(f"/i/{story}")
    took = page.js(
        "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(e => [e.name, e.encodedBodySize + 300])"
    )
    assert len(took) > 3
    assert sum(size for _, size in took) < 60_000, took


def test_a_dialog_opens_and_what_is_said_is_done(sign_in: Callable[..., Browser], story: int) -> None:
    page = sign_in("operator").open(f"/incidents/{story}/")
    page.find("[data-dialog-open=dlg-resolve]").click()
    page.until(lambda: page.find("#dlg-resolve").is_displayed())
    page.shoot("incident-resolve", whole=False)
    assert page.axe() == []

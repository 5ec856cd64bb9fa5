"""What another system opened is told again, woken and owed like what the console found."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.incidents import actions, outside, store
from console.incidents.findings import Severity
from console.incidents.models import Incident, Page
from tests.incidents.made import MIRA, after, finding, report

pytestmark = pytest.mark.django_db
KEY = "outside.alertmanager:f:2026"


def opened_outside(at: float = 0) -> Incident:
    told = finding(KEY, severity=Severity.CRITICAL, target="outside/DiskFull", detector="outside")
    return outside.opened_outside(told, after(at))


def whys() -> list[str]:
    return list(Page.objects.filter(action="trigger").order_by("sequence").values_list("why", flat=True))


def test_it_is_told_again_while_nobody_acknowledges_it() -> None:
    incident = opened_outside()
    for seconds in (5, 599, 601, 700):
        store.settle(report(), after(seconds))
    assert whys() == ["opened", "repeated"]
    actions.acknowledge(incident.pk, by=MIRA, now=after(800))
    store.settle(report(), after(5000))
    assert whys() == ["opened", "repeated"]
    assert Incident.objects.unresolved().count() == 1  # nothing that the console sees ends it


def test_its_snooze_ends() -> None:
    incident = opened_outside()
    actions.snooze(incident.pk, until=after(300), by=MIRA, now=after(10), reason="Looking.")
    store.settle(report(), after(200))
    store.settle(report(), after(301))
    assert whys() == ["opened", "woke"]
    incident.refresh_from_db()
    assert incident.state == "open"


def test_what_a_window_kept_quiet_is_told_when_it_ends() -> None:
    actions.announce(["outside"], starts_at=after(0), ends_at=after(600), reason="Disks.", by=MIRA, now=after(-60))
    opened_outside(10)
    store.settle(report(), after(300))
    assert whys() == []
    store.settle(report(), after(601))
    assert whys() == ["quiet_ended"]


def test_looking_after_many_costs_no_more(django_assert_num_queries) -> None:
    for number in range(20):
        outside.opened_outside(finding(f"{KEY}{number}", target="outside/x", severity=Severity.WARNING), after(0))
    with django_assert_num_queries(6):  # of which two are the transaction's
        store.settle(report(), after(5))
    assert timedelta(seconds=5) == after(5) - after(0)

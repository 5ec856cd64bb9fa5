"""What people do with incidents, and what is written down of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.accounts.models import AuditEntry
from console.history.models import Mark
from console.incidents import actions
from console.incidents.actions import Invalid, NotNow
from console.incidents.models import Incident, IncidentEvent, Maintenance
from console.incidents.outside import closed_outside, opened_outside
from console.incidents.store import settle
from tests.incidents.made import MIRA, T0, after, finding, opened, pages, report

pytestmark = pytest.mark.django_db


def test_an_incident_is_written_with_its_page_its_mark_and_its_evidence() -> None:
    incident = opened()
    assert pages(incident) == ["trigger"]
    assert incident.evidence["facts"] == [{"label": "Waiting", "value": "41 tasks", "status": "failing"}]
    assert incident.recommended["operation"] == "resize"
    assert [event.kind for event in incident.events.all()] == ["opened", "paged"]
    assert Mark.objects.get(kind="incident").title == "cpu starves"


def test_evidence_is_frozen_while_the_latest_goes_on() -> None:
    incident = opened()
    settle(report(finding(sentence="99 tasks wait.")), after(5))
    incident.refresh_from_db()
    assert incident.evidence["sentence"].startswith("41 tasks")
    assert incident.latest["sentence"] == "99 tasks wait."
    assert incident.updated_at == after(5)


def test_a_look_that_finds_the_same_costs_four_queries_and_writes_nothing() -> None:
    opened()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        settle(report(finding()), after(5))
    said = [query["sql"] for query in queries if "SAVEPOINT" not in query["sql"]]
    assert len(said) == 4
    assert not any(sql.startswith(("UPDATE", "INSERT", "DELETE")) for sql in said)


def test_acknowledged_once_however_often_it_is_said() -> None:
    incident = opened()
    for _ in range(2):
        actions.acknowledge(incident.pk, by=MIRA, now=after(10))
    incident.refresh_from_db()
    assert (incident.state, incident.acknowledged_by) == ("acknowledged", "mira")
    assert pages(incident) == ["trigger", "acknowledge"]
    assert AuditEntry.objects.filter(action="incident.acknowledged").count() == 1


def test_resolved_by_a_person_it_stays_so_while_it_is_the_same() -> None:
    incident = opened()
    actions.resolve(incident.pk, by=MIRA, now=after(10), reason="the queue is meant to be full")
    settle(report(finding()), after(15))
    incident.refresh_from_db()
    assert (incident.state, incident.resolved_by) == ("resolved", "mira")
    assert pages(incident) == ["trigger", "resolve"]
    assert Incident.objects.count() == 1
    with pytest.raises(NotNow):
        actions.acknowledge(incident.pk, by=MIRA, now=after(20))


def test_once_it_was_over_it_opens_again_as_the_next_generation() -> None:
    opened()
    for at in (20, 40):
        settle(report(), after(at))
    again = opened(60)
    assert again.generation == 2
    assert Incident.objects.get(generation=1).outcome == "It is seen to be over."


def test_a_snooze_needs_a_reason_and_an_end_within_a_day() -> None:
    incident = opened()
    with pytest.raises(Invalid) as wrong:
        actions.snooze(incident.pk, until=after(60), by=MIRA, now=T0, reason=" ")
    assert "reason" in wrong.value.errors
    for until in (T0, T0 + timedelta(days=2)):
        with pytest.raises(Invalid) as wrong:
            actions.snooze(incident.pk, until=until, by=MIRA, now=T0, reason="later")
        assert "until" in wrong.value.errors
    actions.snooze(incident.pk, until=after(600), by=MIRA, now=T0, reason="later")
    settle(report(finding()), after(605))
    assert pages(incident) == ["trigger", "acknowledge", "trigger"]


def test_a_note_for_the_next_person() -> None:
    incident = opened()
    actions.add_note(incident.pk, " ask the shop team ", by=MIRA, now=after(5))
    last = incident.events.last()
    assert last
    assert (last.kind, last.text, last.by) == ("note", "ask the shop team", "mira")
    with pytest.raises(Invalid):
        actions.add_note(incident.pk, " ", by=MIRA, now=after(5))


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("targets", {"targets": []}),
        ("targets", {"targets": ["console/aws"]}),
        ("ends_at", {"ends_at": T0 - timedelta(1)}),
        ("ends_at", {"ends_at": T0 + timedelta(60)}),
        ("reason", {"reason": ""}),
    ],
)
def test_a_window_that_makes_no_sense_is_refused_by_field(field: str, wrong: dict[str, object]) -> None:
    good = {"targets": ["fleets/cpu"], "starts_at": T0, "ends_at": after(600), "reason": "new kernel"}
    with pytest.raises(Invalid) as refused:
        actions.announce(**(good | wrong), by=MIRA, now=T0)  # type: ignore[arg-type]
    assert list(refused.value.errors) == [field]


def test_in_a_window_nobody_is_told_and_when_it_is_cancelled_they_are() -> None:
    window = actions.announce(["fleets"], starts_at=T0, ends_at=after(3600), reason="new kernel", by=MIRA, now=T0)
    incident = opened(5)
    assert pages(incident) == []
    assert incident.quiet_by == window
    actions.cancel(window.pk, by=MIRA, now=after(60), reason="done early")
    settle(report(finding()), after(65))
    assert pages(incident) == ["trigger"]
    assert Maintenance.objects.ahead(after(65)).count() == 0


def test_what_is_over_in_its_window_was_never_told() -> None:
    actions.announce(["fleets"], starts_at=T0, ends_at=after(3600), reason="new kernel", by=MIRA, now=T0)
    incident = opened(5)
    for at in (10, 30):
        settle(report(), after(at))
    incident.refresh_from_db()
    assert incident.state == "resolved"
    assert pages(incident) == []


def test_another_system_opens_and_closes_and_the_consoles_own_looks_leave_it_alone() -> None:
    outside = finding("outside.disk:db1", target="outside/db1", detector="outside")
    incident = opened_outside(outside, T0)
    assert opened_outside(outside, after(5)).pk == incident.pk
    for at in (20, 60):
        settle(report(), after(at))
    incident.refresh_from_db()
    assert incident.state == "open"
    assert closed_outside(outside.key, "Alertmanager says so.", after(70))
    assert not closed_outside(outside.key, "Alertmanager says so.", after(70))
    assert pages(incident) == ["trigger", "resolve"]


def test_a_part_says_of_what_it_is_a_part() -> None:
    table = finding("freshness.table:orders", target="freshness/orders", causes=("freshness.task:shop",))
    settle(report(table), T0)
    cause = finding("freshness.task:shop", target="freshness/shop")
    settle(report(table, cause), after(5))
    part = Incident.objects.get(key=table.key)
    whole = Incident.objects.get(key=cause.key)
    assert (part.state, part.part_of, whole.folded) == ("resolved", whole, 1)
    assert IncidentEvent.objects.filter(incident=part, text__contains=f"INC-{whole.pk}").exists()

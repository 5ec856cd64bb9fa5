"""Storms from Alertmanager: a bounded number of pages, by folding; nothing that fires is without an incident."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from console.incidents import actions
from console.incidents.hook_rules import AlertmanagerHook
from console.incidents.messages import message_of
from console.incidents.models import Incident, Page
from console.incidents.outside import take_alerts
from console.incidents.storm_rules import AN_HOUR, EACH, STORM, Whole, take
from tests.incidents.made import MIRA, after
from tests.incidents.test_hooks import alert, group


def storm(*numbers: int, name: str = "HighLatency", status: str = "firing", severity: str = "warning") -> Any:
    """A notification of one group with these alerts."""
    alerts = [
        alert(
            status,
            fingerprint=f"{name}{number}",
            labels={"alertname": name, "severity": severity, "instance": f"host-{number}"},
            annotations={"summary": f"{name} on host-{number}"},
        )
        for number in numbers
    ]
    told = group(
        *alerts, groupKey=f'{{}}:{{alertname="{name}"}}', groupLabels={"alertname": name},
        commonLabels={"alertname": name, "severity": severity, "region": "eu-north-1"},
    )  # fmt: skip
    return AlertmanagerHook.model_validate(told)


def triggers() -> int:
    return Page.objects.filter(action="trigger").count()


@pytest.mark.django_db
class TestOneGroup:
    def test_300_alerts_are_one_incident_and_one_page(self, django_assert_max_num_queries: Any) -> None:
        with django_assert_max_num_queries(25):
            assert take_alerts(storm(*range(300)), after(0)) == [f"Opened INC-{Incident.objects.get().pk}."]
        incident, page = Incident.objects.get(), Page.objects.get()
        assert incident.title == "HighLatency: 300 alerts fire"
        assert (incident.target, incident.folded, incident.severity) == ("outside/HighLatency", 300, "warning")
        assert len(incident.children) == 300
        assert {"label": "region", "value": "eu-north-1", "status": ""} in incident.evidence["facts"]
        assert "300 alerts are part of it." in message_of(page, incident, "test").text

    def test_its_repetition_changes_nothing(self, django_assert_num_queries: Any) -> None:
        take_alerts(storm(*range(300)), after(0))
        with django_assert_num_queries(2):
            assert take_alerts(storm(*range(300)), after(60)) == []
        assert triggers() == 1

    def test_it_grows_and_shrinks_without_a_page_and_ends_with_its_last_alert(self) -> None:
        take_alerts(storm(*range(50)), after(0))
        take_alerts(storm(*range(80)), after(60))
        take_alerts(storm(*range(79), status="resolved"), after(120))
        incident = Incident.objects.get()
        assert (incident.state, incident.folded, incident.title) == ("open", 1, "HighLatency: 1 alert fires")
        take_alerts(storm(79, 80), after(130))  # few fire, and it is still theirs
        assert Incident.objects.get().folded == 2
        take_alerts(storm(79, 80, status="resolved"), after(180))
        incident.refresh_from_db()
        assert (incident.state, incident.outcome) == ("resolved", "Alertmanager says that all of its alerts are over.")
        assert [page.action for page in Page.objects.order_by("sequence")] == ["trigger", "resolve"]

    def test_a_worse_one_among_them_is_told(self) -> None:
        take_alerts(storm(*range(50)), after(0))
        actions.acknowledge(Incident.objects.get().pk, by=MIRA, now=after(10))
        take_alerts(storm(*range(50, 60)), after(60))
        assert triggers() == 1
        take_alerts(storm(70, severity="critical"), after(70))
        incident = Incident.objects.get()
        assert (incident.severity, incident.state, triggers()) == ("critical", "open", 2)

    def test_what_alertmanager_left_out_is_said(self) -> None:
        take_alerts(storm(1, 2).model_copy(update={"truncatedAlerts": 1298}), after(0))
        incident = Incident.objects.get()
        assert incident.folded == 2
        assert incident.sentence.endswith("Alertmanager left 1,298 more out of its message.")

    def test_few_are_incidents_of_their_own_and_stay_so(self) -> None:
        take_alerts(storm(*range(EACH)), after(0))
        assert Incident.objects.count() == EACH
        take_alerts(storm(*range(100)), after(60))
        assert Incident.objects.count() == triggers() == EACH + 1
        assert Incident.objects.order_by("-pk")[0].folded == 100 - EACH
        take_alerts(storm(*range(100), status="resolved"), after(120))
        assert Incident.objects.unresolved().count() == 0

    def test_what_a_person_closed_is_not_opened_by_its_repetition(self) -> None:
        take_alerts(storm(*range(50)), after(0))
        actions.resolve(Incident.objects.get().pk, by=MIRA, now=after(10), reason="Known.")
        assert take_alerts(storm(*range(50)), after(60)) == []
        take_alerts(storm(*range(51)), after(70))  # the new one is told
        assert Incident.objects.unresolved().get().folded == 1

    def test_a_window_keeps_it_quiet_until_its_end(self) -> None:
        work = {"starts_at": after(0), "ends_at": after(600), "reason": "Disks.", "by": MIRA, "now": after(-60)}
        actions.announce(["outside/HighLatency"], **work)
        take_alerts(storm(*range(50)), after(10))
        assert (Incident.objects.count(), triggers()) == (1, 0)


@pytest.mark.django_db
class TestManyGroups:
    def test_the_first_are_told_and_the_rest_are_one_more(self) -> None:
        for number in range(60):
            take_alerts(storm(1, name=f"Alert{number}"), after(number / 10))
        assert Incident.objects.count() == triggers() == AN_HOUR + 1
        rest = Incident.objects.get(key=STORM)
        assert (rest.folded, rest.title) == (60 - AN_HOUR, f"Alertmanager: {60 - AN_HOUR} more alerts fire")
        for number in range(60):
            take_alerts(storm(1, name=f"Alert{number}", status="resolved"), after(100 + number / 10))
        assert Incident.objects.unresolved().count() == 0
        assert Page.objects.filter(action="resolve").count() == AN_HOUR + 1

    def test_large_groups_are_bounded_too(self) -> None:
        for number in range(40):
            take_alerts(storm(*range(10), name=f"Alert{number}"), after(number))
        assert Incident.objects.count() == triggers() == AN_HOUR + 1

    def test_one_that_comes_and_goes_is_bounded_too(self) -> None:
        for number in range(50):
            take_alerts(storm(number), after(number * 10))
            take_alerts(storm(number, status="resolved"), after(number * 10 + 5))
        storms = Incident.objects.filter(key=STORM).count()
        assert Incident.objects.exclude(key=STORM).count() == AN_HOUR
        assert storms > 0

    def test_the_next_hour_begins_anew(self) -> None:
        for number in range(AN_HOUR + 5):
            take_alerts(storm(1, name=f"Alert{number}"), after(0))
        take_alerts(storm(1, name="Later"), after(3601))
        assert Incident.objects.order_by("-pk")[0].title == "Later on host-1"

    def test_a_critical_one_in_a_storm_of_warnings_is_told(self) -> None:
        for number in range(AN_HOUR + 5):
            take_alerts(storm(1, name=f"Alert{number}"), after(0))
        before = triggers()
        take_alerts(storm(1, name="Fire", severity="critical"), after(10))
        assert triggers() == before + 1
        assert Incident.objects.get(key=STORM).children[0]["title"] == "Fire on host-1"


@pytest.mark.django_db(transaction=True)
def test_the_same_from_two_alertmanagers_at_once_is_one_incident() -> None:
    def send() -> None:
        take_alerts(storm(*range(50)), after(0))
        connection.close()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert Incident.objects.count() == triggers() == 1


@pytest.mark.django_db
def test_by_the_webhook(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from console.incidents import hooks
    from console.platform.declared import HooksDeclared, declaration
    from tests.incidents.test_hooks import TOKEN, post

    monkeypatch.setattr(hooks, "declaration", lambda: replace(declaration(), hooks=HooksDeclared("s", TOKEN)))
    many = [alert(fingerprint=f"f{number}", labels={"alertname": "Down", "i": str(number)}) for number in range(300)]
    answer = post(client, group(*many))
    assert answer.json() == {"taken": True, "did": [f"Opened INC-{Incident.objects.get().pk}."]}
    assert triggers() == 1


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.sets(st.integers(0, 12), min_size=1), st.booleans()), max_size=12)


@given(STEPS)
def test_whatever_fires_is_somewhere_and_nowhere_twice(steps: list[tuple[str, set[int], bool]]) -> None:
    own: dict[str, bool] = {}
    wholes: dict[str, Whole] = {}
    firing: set[str] = set()
    pages = 0
    for name, numbers, fires in steps:
        hook = storm(*sorted(numbers), name=name, status="firing" if fires else "resolved")
        keys = {one.key for one in hook.alerts}
        taking = take(hook, own, wholes.values(), pages)
        new = {one.key for one in taking.told} - own.keys()
        pages += len(new) + sum(one.key not in wholes and one.key != STORM for one in taking.wholes)
        own |= dict.fromkeys(new, True) | dict.fromkeys(taking.ended, False)
        for whole in taking.wholes:
            wholes[whole.key] = whole
        wholes = {key: whole for key, whole in wholes.items() if whole.open}
        firing = firing | keys if fires else firing - keys
        # What was over as an incident of its own stays so.
        held = {key for key, is_open in own.items() if is_open}
        parts = [part.key for whole in wholes.values() for part in whole.firing]
        assert len(parts) == len(set(parts))
        assert not set(parts) & own.keys()
        assert firing <= held | set(parts) | {key for key, is_open in own.items() if not is_open}
        assert pages <= AN_HOUR
        again = take(hook, own, wholes.values(), pages)
        assert not again.ended
        assert not again.wholes

"""Pages from the outbox to receivers: in order, at least once, exactly one at the other end, and who is told next."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from console.incidents import actions, deliver, outbox
from console.incidents.models import Delivery, Incident, Page, PageAttempt
from console.incidents.rules import Action, Why
from console.incidents.store import settle
from tests import no_secret
from tests.incidents.delivering import at, declares, route, told, work
from tests.incidents.made import MIRA, T0, after, opened, report
from tests.incidents.receivers import FakePagerDuty, Receiver

pytestmark = pytest.mark.django_db
KEY = "fleets.starving:cpu"


def acknowledge(incident: Incident) -> None:
    actions.acknowledge(incident.pk, by=MIRA, now=timezone.now())


def resolve(incident: Incident) -> None:
    actions.resolve(incident.pk, by=MIRA, now=timezone.now(), reason="Two more workers.")


def older(seconds: float) -> None:
    """Let the outbox be that much older."""
    Page.objects.update(routed_at=F("routed_at") - timedelta(seconds=seconds))


class TestAnIncident:
    def test_is_told_taken_and_over(self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        incident = opened()
        work()
        acknowledge(incident)
        work()
        resolve(incident)
        work()
        assert pd.log == [(KEY, "trigger"), (KEY, "acknowledge"), (KEY, "resolve")]
        assert [state for *_, state in told()] == ["delivered"] * 3
        event = pd.events[0]
        assert event["client_url"].endswith(f"/i/{incident.pk}")
        assert event["payload"]["severity"] == "error"
        assert event["payload"]["custom_details"]["Waiting"] == "41 tasks"
        assert [link["href"].partition("/")[2].partition("/")[2].partition("/")[2] for link in event["links"]] == [
            "fleets/cpu/resize/?desired=4",
            "incidents/runbooks/queue-starving/",
            "fleets/cpu/",
        ]

    def test_that_was_over_before_anybody_was_told_is_told_in_order(
        self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        incident = opened()
        acknowledge(incident)
        resolve(incident)
        work()
        assert [event["event_action"] for event in pd.events] == ["trigger", "acknowledge", "resolve"]

    def test_that_nobody_is_to_be_told_of_waits_for_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, routes=(route("on-call", severities=("critical",)),))
        incident = opened()
        resolve(incident)
        work()
        assert told() == [("trigger", None, "superseded"), ("resolve", None, "superseded")]

    def test_goes_to_every_route_that_it_fits(
        self, pd: FakePagerDuty, other: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pagers = (at(pd, "on-call"), at(other, "bot", "webhook"))
        declares(monkeypatch, *pagers, routes=(route("on-call"), route("bot", targets=("fleets/cpu",))))
        incident = opened()
        work()
        resolve(incident)
        work()
        assert [what for _, what in pd.log] == ["trigger", "resolve"]
        assert len(other.taken) == 2

    def test_that_comes_again_waits_for_the_end_of_the_one_before(
        self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        first = opened()
        work()
        pd.mishaps = ["500"]
        resolve(first)
        work(2, hasten=False)  # routed, and failed once: the resolve waits for its next attempt
        settle(report(), after(900))
        settle(report(), after(1800))
        opened(2000)
        work(3, hasten=False)
        assert [what for _, what in pd.log] == ["trigger"]
        work()
        assert [what for _, what in pd.log] == ["trigger", "resolve", "trigger"]


class TestBadDays:
    @pytest.mark.parametrize("mishap", ["500", "429", "lost", "silent", "dropped"])
    def test_a_message_is_sent_again_and_is_one_incident(
        self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch, mishap: str
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        pd.mishaps = [mishap, mishap]
        incident = opened()
        resolve(incident)
        work()
        assert pd.log == [(KEY, "trigger"), (KEY, "resolve")]
        assert PageAttempt.objects.filter(page__action="trigger").count() == 3
        failed = PageAttempt.objects.filter(ok=False).first()
        assert failed is not None
        assert failed.maybe_taken is (mishap in {"500", "lost", "silent", "dropped"})
        assert failed.took_s is not None

    def test_retry_after_is_obeyed(self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        pd.mishaps, pd.retry_after = ["429"], "40"
        opened()
        work(5, hasten=False)
        page = Page.objects.get()
        assert len(pd.requests) == 1
        assert 38 < (page.next_attempt_at - timezone.now()).total_seconds() < 42

    def test_a_permanent_error_goes_to_the_next_at_once(
        self, pd: FakePagerDuty, other: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(other, "bot", "webhook"), at(pd, "on-call"))
        other.mishaps = ["400"]
        incident = opened()
        work()
        assert told() == [("trigger", "bot", "failed"), ("trigger", "on-call", "delivered")]
        resolve(incident)
        work()
        assert [what for _, what in pd.log] == ["trigger", "resolve"]
        assert other.taken == []  # it never had it, and is not told that it is over

    def test_a_pager_that_is_away_for_long_falls_to_the_next(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), at(pd2, "second"))
        pd.mishaps = ["500"]
        incident = opened()
        work(3, hasten=False)
        assert told() == [("trigger", "on-call", "queued")]
        older(deliver.FALL_S + 1)
        work(3, hasten=False)
        assert told() == [("trigger", "on-call", "superseded"), ("trigger", "second", "delivered")]
        resolve(incident)
        work()
        assert [what for _, what in pd2.log] == ["trigger", "resolve"]
        # Its 500 leaves open whether it has taken the trigger: it is told the end as well.
        assert [event["event_action"] for event in pd.events] == ["resolve"]

    def test_the_next_one_hears_what_was_told_meanwhile(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), at(pd2, "second"))
        pd.mishaps = ["429"] * 50
        incident = opened()
        work(2, hasten=False)
        acknowledge(incident)
        resolve(incident)
        work(2, hasten=False)
        older(deliver.FALL_S + 1)
        work(8, hasten=False)
        assert [what for _, what in pd2.log] == ["trigger", "acknowledge", "resolve"]

    def test_a_later_incident_is_not_held_up_by_a_pager_that_is_away(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), at(pd2, "second"))
        first = opened()
        work()
        pd.mishaps = ["429"] * 50
        resolve(first)
        work(2, hasten=False)
        settle(report(), after(900))
        settle(report(), after(1800))
        opened(2000)
        work(2, hasten=False)
        older(deliver.FALL_S + 1)
        work(4, hasten=False)
        assert [what for _, what in pd2.log] == ["trigger"]

    def test_three_in_a_row_fall_to_the_last(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, other: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "a"), at(pd2, "b"), at(other, "c", "webhook"))
        pd.mishaps, pd2.mishaps = ["429"] * 50, ["429"] * 50
        opened()
        for _ in range(3):
            work(2, hasten=False)
            older(deliver.FALL_S + 1)
        work(2, hasten=False)
        assert [row[1:] for row in told()] == [("a", "superseded"), ("b", "superseded"), ("c", "delivered")]

    def test_a_pager_that_is_not_declared_any_more_is_said(
        self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), routes=(route("gone", "on-call"),))
        opened()
        work()
        assert told() == [("trigger", "gone", "failed"), ("trigger", "on-call", "delivered")]
        first = PageAttempt.objects.first()
        assert first is not None
        assert "not declared any more" in first.text

    def test_after_a_day_it_is_given_up(self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        pd.mishaps = ["500"] * 3
        opened()
        work(2, hasten=False)
        older(24 * 3600)
        work()
        assert told() == [("trigger", "on-call", "failed")]

    def test_a_bug_of_ours_is_logged_and_tried_again(self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        opened()
        Incident.objects.update(evidence={"facts": [{"label": "broken"}]})
        work(2, hasten=False)
        page, attempt = Page.objects.get(), PageAttempt.objects.get()
        assert page.state == Delivery.QUEUED
        assert "the console itself failed (keyerror)" in attempt.text.lower()

    @pytest.mark.parametrize("seed", range(12))
    def test_whatever_happens_the_other_ends_hold_one_and_see_its_end(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch, seed: int
    ) -> None:
        luck = random.Random(seed)
        monkeypatch.setattr(deliver.random, "random", luck.random)
        for server in (pd, pd2):
            server.silence_s = 0.5
            server.mishaps = luck.choices(["429", "500", "lost", "dropped", "400", "", "", ""], k=8)
        declares(monkeypatch, at(pd, "a"), at(pd2, "b"))
        incident = opened()
        steps = [lambda: acknowledge(incident), lambda: resolve(incident)]
        for _ in range(40):
            if luck.random() < 0.2:
                older(deliver.FALL_S + 1)
            if steps and luck.random() < 0.3:
                steps.pop(0)()
            work(1)
        for step in steps:
            step()
        pd.mishaps = pd2.mishaps = []
        work(20)
        assert not Page.objects.filter(state=Delivery.QUEUED).exists()
        refused = all(row.state == "failed" for row in Page.objects.filter(action="trigger"))
        assert refused or (pd.log + pd2.log)[0] == (KEY, "trigger")
        for server in (pd, pd2):
            order = [what for _, what in server.log]
            assert order.count("trigger") <= 1
            assert order == sorted(order, key=["trigger", "acknowledge", "resolve"].index)
            lost_its_end = Page.objects.filter(action="resolve", state="failed").exists()
            assert not order or order[-1] == "resolve" or lost_its_end


class TestEscalation:
    def test_told_again_the_next_of_the_route_is_told(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), at(pd2, "second"))
        incident = opened()
        work()
        outbox.page(incident, Action.TRIGGER, T0, Why.REPEATED)
        work()
        assert [row[:2] for row in told()] == [("trigger", "on-call"), ("trigger", "second")]
        assert "2nd time" in pd2.events[0]["payload"]["custom_details"]["text"]
        resolve(incident)
        work()
        assert [what for _, what in pd.log] == ["trigger", "resolve"]
        assert [what for _, what in pd2.log] == ["trigger", "resolve"]


class TestTheLog:
    def test_holds_no_secret(self, pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
        declares(monkeypatch, at(pd, "on-call"))
        pd.KEY = "S" * 32  # the server now refuses our key, and repeats it in its answer
        opened()
        work()
        assert told() == [("trigger", "on-call", "failed")]
        assert no_secret.in_database(FakePagerDuty.KEY) == []

    def test_an_executor_that_vanished_is_followed_and_may_have_told(
        self, pd: FakePagerDuty, pd2: FakePagerDuty, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        declares(monkeypatch, at(pd, "on-call"), at(pd2, "second"))
        incident = opened()
        work(1)

        class Killed(BaseException):
            pass

        def dies(*args: object) -> str:
            raise Killed

        (pk,) = deliver.sweep()
        with monkeypatch.context() as patch:
            patch.setattr("console.incidents.pagers.pagerduty.PagerDuty.notify", dies)
            with pytest.raises(Killed):
                deliver.deliver(pk)
        assert deliver.sweep() == []  # its lease holds
        attempt = PageAttempt.objects.get()
        assert (attempt.ok, attempt.maybe_taken, attempt.took_s) == (False, True, None)
        older(deliver.FALL_S + 1)
        work(3, hasten=False)
        resolve(incident)
        work()
        assert [what for _, what in pd2.log] == ["trigger", "resolve"]
        assert [event["event_action"] for event in pd.events] == ["resolve"]


def test_a_sweep_costs_the_same_for_many(
    monkeypatch: pytest.MonkeyPatch, django_assert_num_queries, pd: FakePagerDuty
) -> None:
    declares(monkeypatch, at(pd, "on-call"))
    for number in range(5):
        opened(key=f"fleets.starving:{number}")
    with django_assert_num_queries(2):
        assert len(deliver.sweep()) == 5

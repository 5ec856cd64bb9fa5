"""The delivery log: what an incident's page and the API tell of who was told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from django.template.loader import render_to_string
from django.utils import timezone

from console.incidents import actions
from console.incidents.page_log import PageLine, PageOut, page_logs
from tests.incidents.delivering import at, declares, work
from tests.incidents.made import MIRA, opened
from tests.incidents.receivers import FakePagerDuty, Receiver

pytestmark = pytest.mark.django_db


def shown(incident: int) -> str:
    return drawn(page_logs([incident])[incident])


def drawn(pages: Sequence[PageLine]) -> str:
    return render_to_string("incidents/_pages.html", {"pages": pages, "left_out": 0, "now": timezone.now()})


def test_each_message_with_its_attempts(pd: FakePagerDuty, other: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    declares(monkeypatch, at(other, "bot", "webhook"), at(pd, "on-call"))
    other.mishaps, pd.mishaps = ["404"], ["lost"]
    incident = opened()
    work()
    actions.acknowledge(incident.pk, by=MIRA, now=timezone.now())
    work()
    refused, told, taken = page_logs([incident.pk])[incident.pk]
    assert (refused.pager, refused.status, refused.word) == ("bot", "failed", "failed")
    assert [attempt.ok for attempt in told.attempts] == [False, True]
    assert told.attempts[0].maybe_taken
    assert (taken.action, taken.word, taken.next_attempt_at) == ("acknowledge", "delivered", None)
    html = shown(incident.pk)
    assert "127.0.0.1 answered 404" in html
    assert "2 attempts" in html
    assert "may have been taken" in html
    out = PageOut.model_validate(told, from_attributes=True).model_dump()
    assert out["attempts"][1]["text"] == "PagerDuty answered 202"


def test_one_that_waits_says_why_and_for_what(pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch) -> None:
    declares(monkeypatch, at(pd, "on-call"))
    pd.mishaps = ["429"]
    incident = opened()
    assert "waiting" in shown(incident.pk)
    work(2, hasten=False)
    html = shown(incident.pk)
    assert "trying again" in html
    assert "Next attempt" in html


def test_nobody_to_tell_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    declares(monkeypatch)
    incident = opened()
    work()
    assert "nobody to tell" in shown(incident.pk)
    empty = drawn(())
    assert "Nobody was told" in empty


def test_costs_two_queries_whatever_was_told(
    pd: FakePagerDuty, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries
) -> None:
    declares(monkeypatch, at(pd, "on-call"))
    incidents = [opened(key=f"fleets.starving:{number}").pk for number in range(6)]
    work()
    with django_assert_num_queries(2):
        logs = page_logs(incidents)
    assert set(logs) == set(incidents)

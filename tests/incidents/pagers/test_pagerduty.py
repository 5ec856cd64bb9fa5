"""PagerDuty: against a server that validates and dedups as Events v2 does."""

from __future__ import annotations

import json

import pytest

from console.incidents.pagers import Change, PagerDuty, TransportError, http
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import AT, message
from tests.incidents.receivers import FakePagerDuty


def at(server: FakePagerDuty, key: str = FakePagerDuty.KEY) -> PagerDuty:
    declared = PagerDeclared("on-call", "pagerduty", f"{server.url}/v2/enqueue", key, allow_private=True)
    return PagerDuty(declared)


def test_an_incident_is_triggered_acknowledged_and_resolved(pagerduty: FakePagerDuty) -> None:
    for action in ("trigger", "acknowledge", "resolve"):
        assert at(pagerduty).notify(message(action)) == "PagerDuty answered 202"
    assert pagerduty.log == [("fleets.starving:cpu", action) for action in ("trigger", "acknowledge", "resolve")]


def test_links_and_client_are_beside_the_payload(pagerduty: FakePagerDuty) -> None:
    at(pagerduty).notify(message())
    event = pagerduty.events[0]
    assert event["client_url"] == "https://deck.example.com/i/17"
    assert event["client"] == "Quarterdeck"
    assert event["links"] == [{"href": "https://deck.example.com/runbooks/starving/", "text": "Runbook"}]
    assert event["payload"]["custom_details"]["waiting"] == "40"
    assert event["payload"]["severity"] == "critical"
    assert event["payload"]["component"] == "fleets/cpu"
    assert event["payload"]["source"] == "production"


def test_acknowledge_and_resolve_carry_the_key_alone(pagerduty: FakePagerDuty) -> None:
    at(pagerduty).notify(message("resolve"))
    assert set(pagerduty.events[0]) == {"routing_key", "event_action", "dedup_key"}


def test_a_long_title_is_cut_to_what_it_takes(pagerduty: FakePagerDuty) -> None:
    at(pagerduty).notify(message(title="x" * 5000))
    assert len(pagerduty.events[0]["payload"]["summary"]) == 1024


def test_what_is_too_large_loses_its_details_first(pagerduty: FakePagerDuty) -> None:
    at(pagerduty).notify(message(evidence=(("log", "ü" * 400_000),)))
    event = pagerduty.events[0]
    assert "custom_details" not in event["payload"]
    assert event["links"]
    assert len(pagerduty.requests[0][2]) < 512_000


def test_a_key_that_is_too_long_keeps_trigger_and_resolve_together(pagerduty: FakePagerDuty) -> None:
    long = "freshness.late:" + "x" * 400
    other = "freshness.late:" + "x" * 399 + "y"
    for action in ("trigger", "resolve"):
        at(pagerduty).notify(message(action, key=long))
    at(pagerduty).notify(message(key=other))
    assert [what for _, what in pagerduty.log] == ["trigger", "resolve", "trigger"]
    assert len(pagerduty.incidents) == 2  # two keys that differ at their ends only stay two


def test_a_lost_answer_may_have_been_taken_and_again_is_the_same_incident(pagerduty: FakePagerDuty) -> None:
    for mishap in ("lost", "silent"):
        pagerduty.mishaps = [mishap]
        with pytest.raises(TransportError) as failed:
            at(pagerduty).notify(message())
        assert failed.value.maybe_taken
        assert not failed.value.permanent
    at(pagerduty).notify(message())
    assert pagerduty.log == [("fleets.starving:cpu", "trigger")]
    assert len(pagerduty.events) == 3


def test_429_says_how_long_to_wait(pagerduty: FakePagerDuty) -> None:
    pagerduty.mishaps, pagerduty.retry_after = ["429"], "17"
    with pytest.raises(TransportError) as failed:
        at(pagerduty).notify(message())
    assert (failed.value.permanent, failed.value.retry_after_s, failed.value.maybe_taken) == (False, 17.0, False)


@pytest.mark.parametrize("status", ["500", "502", "503"])
def test_their_bad_days_are_temporary(pagerduty: FakePagerDuty, status: str) -> None:
    pagerduty.mishaps = [status]
    with pytest.raises(TransportError) as failed:
        at(pagerduty).notify(message())
    assert not failed.value.permanent
    assert failed.value.maybe_taken
    assert status in str(failed.value)


def test_an_invalid_event_is_permanent_and_the_key_is_not_repeated(pagerduty: FakePagerDuty) -> None:
    with pytest.raises(TransportError) as failed:
        at(pagerduty, "s3cret-routing-key-of-32-letters").notify(message())  # the server repeats it in its answer
    assert failed.value.permanent
    assert "routing_key" in str(failed.value)
    assert "s3cret-routing" not in str(failed.value)


def test_a_200_is_not_pagerduty(receiver) -> None:
    with pytest.raises(TransportError, match="where PagerDuty answers 202") as failed:
        at(receiver).notify(message())
    assert not failed.value.permanent


def test_nobody_there_is_temporary_and_nothing_was_taken() -> None:
    declared = PagerDeclared("on-call", "pagerduty", "http://127.0.0.1:9/v2/enqueue", "k" * 32, allow_private=True)
    with pytest.raises(TransportError) as failed:
        PagerDuty(declared).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (False, False)


def test_a_deploy_is_a_change_and_wakes_nobody(pagerduty: FakePagerDuty) -> None:
    change = Change(
        "Deploy 12 succeeded", AT, "https://deck.example.com/deploys/12/", "production", (("version", "7"),)
    )
    at(pagerduty).change(change)
    assert pagerduty.incidents == {}
    assert pagerduty.changes[0]["payload"]["summary"] == "Deploy 12 succeeded"
    assert pagerduty.requests[0][0] == "/v2/change/enqueue"


def test_the_body_is_json_whatever_is_in_it(pagerduty: FakePagerDuty) -> None:
    at(pagerduty).notify(message(title='"\ud800\x00 <b>', text="\ud800"))
    assert json.loads(pagerduty.requests[0][2])
    assert http.CONNECT_S < 10

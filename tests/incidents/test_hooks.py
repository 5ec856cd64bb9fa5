"""Webhooks from PagerDuty and Alertmanager: who may send them, what they do, and what a replay does."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import AuditEntry
from console.incidents import hooks, tasks
from console.incidents.hook_rules import signed
from console.incidents.models import HookEvent, Incident, Page
from console.incidents.pagers.pagerduty import dedup_key
from console.platform.declared import HooksDeclared, declaration
from tests.incidents.made import opened

pytestmark = pytest.mark.django_db
SECRET, TOKEN = "s3cret-of-the-subscription", "s3cret-token"
PAGERDUTY, ALERTMANAGER = "/api/v1/hooks/pagerduty", "/api/v1/hooks/alertmanager"


@pytest.fixture(autouse=True)
def _declared(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = replace(declaration(), hooks=HooksDeclared(SECRET, TOKEN))
    monkeypatch.setattr(hooks, "declaration", lambda: changed)


def event(kind: str, key: str | None, **other: Any) -> dict[str, Any]:
    told = {
        "id": "01BBYA31SNKQNNT",
        "event_type": f"incident.{kind}",
        "resource_type": "incident",
        "occurred_at": timezone.now().isoformat().replace("+00:00", "Z"),
        "agent": {
            "html_url": "https://x.pagerduty.com/users/P1",
            "id": "P1",
            "summary": "Mira",
            "type": "user_reference",
        },
        "client": None,
        "data": {"id": "Q1", "type": "incident", "number": 2, "status": kind, "incident_key": key, "title": "x"},
    }
    return {"event": told | other}


def sign(body: bytes, secret: str = SECRET) -> str:
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def send(client: Client, told: Any, signature: Callable[[bytes], str] = sign) -> Any:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    headers = {"X-PagerDuty-Signature": signature(body)}
    return client.post(PAGERDUTY, body, content_type="application/json", headers=headers)


class TestPagerDuty:
    def test_acknowledges_and_resolves(self, client: Client) -> None:
        incident = opened()
        answer = send(client, event("acknowledged", incident.key, id="1"))
        assert (answer.status_code, answer.json()) == (
            200,
            {"taken": True, "did": [f"Acknowledged INC-{incident.pk}."]},
        )
        incident.refresh_from_db()
        assert (incident.state, incident.acknowledged_by) == ("acknowledged", "Mira (PagerDuty)")
        assert send(client, event("resolved", incident.key, id="2")).json()["did"] == [f"Resolved INC-{incident.pk}."]
        incident.refresh_from_db()
        assert (incident.state, incident.resolved_by) == ("resolved", "Mira (PagerDuty)")
        entry = AuditEntry.objects.get(action="incident.resolved")
        assert (entry.actor, entry.via) == ("Mira (PagerDuty)", "webhook")

    def test_a_wrong_signature_is_401_and_audited_once_a_minute(self, client: Client) -> None:
        incident = opened()
        for signature in (
            lambda body: sign(body, "another"),
            lambda body: "",
            lambda body: "v1=ü,x",
            lambda b: sign(b)[3:],
        ):
            answer = send(client, event("resolved", incident.key), signature)
            assert answer.status_code == 401
            assert answer["Content-Type"] == "application/problem+json"
        entry = AuditEntry.objects.get(action="hook.refused")
        assert (entry.actor, entry.target, entry.ip) == ("PagerDuty", PAGERDUTY, "127.0.0.1")
        incident.refresh_from_db()
        assert incident.state == "open"

    def test_one_good_signature_of_several_is_enough(self, client: Client) -> None:
        incident = opened()  # while a secret is changed there are two
        answer = send(client, event("resolved", incident.key), lambda body: f"{sign(body, 'old')}, {sign(body)}")
        assert answer.status_code == 200

    def test_a_changed_body_does_not_fit(self) -> None:
        assert signed(SECRET, b"{}", sign(b"{}"))
        assert not signed(SECRET, b"{ }", sign(b"{}"))

    def test_a_replay_is_refused_and_changes_nothing(self, client: Client) -> None:
        again = opened()
        told = event("resolved", again.key)
        assert send(client, told).status_code == 200
        Incident.objects.update(state="open", resolved_at=None)
        answer = send(client, told)
        assert answer.status_code == 409
        assert answer.json()["type"].endswith("replayed")
        again.refresh_from_db()
        assert again.state == "open"

    @pytest.mark.parametrize("hours", [-49, 49])
    def test_an_event_of_another_day_is_a_replay(self, client: Client, hours: int) -> None:
        incident = opened()
        at = (timezone.now() + timedelta(hours=hours)).isoformat()
        assert send(client, event("resolved", incident.key, occurred_at=at)).status_code == 409
        incident.refresh_from_db()
        assert incident.state == "open"

    def test_an_event_of_the_occurrence_before_changes_nothing(self, client: Client) -> None:
        incident = opened()
        Incident.objects.update(opened_at=timezone.now())
        at = (timezone.now() - timedelta(minutes=1)).isoformat()
        assert send(client, event("resolved", incident.key, occurred_at=at)).json()["did"] == []
        incident.refresh_from_db()
        assert incident.state == "open"

    def test_a_key_that_was_too_long_for_it_is_found(self, client: Client) -> None:
        incident = opened(key="freshness.late:" + "x" * 380)
        send(client, event("acknowledged", dedup_key(incident.key)))
        incident.refresh_from_db()
        assert incident.state == "acknowledged"

    @pytest.mark.parametrize("kind", ["triggered", "escalated", "something.new"])
    def test_what_it_need_not_know_is_taken_and_changes_nothing(self, client: Client, kind: str) -> None:
        incident = opened()
        assert send(client, event(kind, incident.key)).json() == {"taken": True, "did": []}

    @pytest.mark.parametrize("key", ["unknown", None, ""])
    def test_an_incident_that_is_not_ours_is_taken(self, client: Client, key: str | None) -> None:
        assert send(client, event("resolved", key)).status_code == 200

    def test_one_that_is_over_already_is_taken(self, client: Client) -> None:
        incident = opened()
        send(client, event("resolved", incident.key, id="1"))
        assert send(client, event("acknowledged", incident.key, id="2")).json()["did"] == []
        assert Page.objects.filter(action="resolve").count() == 1

    @pytest.mark.parametrize(
        "told",
        [
            b"",
            b"not json",
            b"[]",
            b"{}",
            b'{"event": {}}',
            b"\xff",
            b'{"event": {"id": "", "event_type": "x"}}',
            b"1e999",
        ],
    )
    def test_a_malformed_one_is_422_by_field(self, client: Client, told: bytes) -> None:
        answer = send(client, told)
        assert answer.status_code == 422
        assert answer.json()["errors"]
        assert HookEvent.objects.count() == 0

    def test_a_field_that_is_wrong_is_named(self, client: Client) -> None:
        answer = send(client, event("resolved", "k", occurred_at="yesterday"))
        assert "event.occurred_at" in answer.json()["errors"]

    def test_off_until_it_is_declared(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hooks, "declaration", lambda: replace(declaration(), hooks=HooksDeclared()))
        answer = send(client, event("resolved", "k"), lambda body: sign(body, ""))
        assert answer.status_code == 401
        assert "hooks.pagerduty.secret" in answer.json()["detail"]

    def test_ids_are_forgotten_once_they_are_too_old_to_be_taken_again(self, client: Client) -> None:
        send(client, event("resolved", "k"))
        tasks.forget_hooks()
        assert HookEvent.objects.count() == 1
        HookEvent.objects.update(received_at=timezone.now() - hooks.FORGET_AFTER - timedelta(minutes=1))
        tasks.forget_hooks()
        assert HookEvent.objects.count() == 0
        assert hooks.FORGET_AFTER.total_seconds() > 2 * hooks.OLDEST_S


def alert(status: str = "firing", **other: Any) -> dict[str, Any]:
    told = {
        "status": status,
        "labels": {"alertname": "DiskFull", "severity": "critical", "instance": "redshift-1"},
        "annotations": {
            "summary": "Disk of redshift-1 is full",
            "description": "98 % used.",
            "runbook_url": "https://r/x",
        },
        "startsAt": "2026-11-22T03:07:00.123456789+02:00",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "https://prometheus.example.com/graph?g0=x",
        "fingerprint": "b1f3a5c7",
    }
    return told | other


def group(*alerts: dict[str, Any], **other: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "version": "4", "groupKey": '{}:{alertname="DiskFull"}', "truncatedAlerts": 0, "status": "firing",
        "receiver": "quarterdeck", "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "externalURL": "https://alertmanager.example.com", "alerts": list(alerts), "somethingNew": [1],
    }  # fmt: skip
    return told | other


def post(client: Client, told: Any, token: str = TOKEN) -> Any:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    return client.post(
        ALERTMANAGER, body, content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )


class TestAlertmanager:
    def test_opens_and_closes_an_incident(self, client: Client) -> None:
        answer = post(client, group(alert()))
        incident = Incident.objects.get()
        assert answer.json() == {"taken": True, "did": [f"Opened INC-{incident.pk}."]}
        assert (incident.origin, incident.severity, incident.title) == (
            "outside",
            "critical",
            "Disk of redshift-1 is full",
        )
        assert (incident.target, incident.url) == ("outside/DiskFull", "https://prometheus.example.com/graph?g0=x")
        assert incident.evidence["facts"] == [{"label": "instance", "value": "redshift-1", "status": ""}]
        assert incident.recommended["url"] == "https://r/x"
        assert Page.objects.get().action == "trigger"
        assert post(client, group(alert("resolved"))).json()["did"] == [f"Resolved INC-{incident.pk}."]
        assert Incident.objects.get().state == "resolved"

    def test_the_same_again_changes_nothing(self, client: Client) -> None:
        for _ in range(3):
            post(client, group(alert()))
        assert (Incident.objects.count(), Page.objects.count()) == (1, 1)
        for _ in range(3):
            post(client, group(alert("resolved"), status="resolved"))
        assert [page.action for page in Page.objects.all()] == ["trigger", "resolve"]

    def test_what_a_person_closed_is_not_opened_by_its_repetition(self, client: Client) -> None:
        post(client, group(alert()))
        incident = Incident.objects.get()
        send(client, event("resolved", incident.key))
        assert post(client, group(alert())).json()["did"] == []
        assert Incident.objects.unresolved().count() == 0

    def test_another_occurrence_is_another_incident(self, client: Client) -> None:
        post(client, group(alert(), alert(startsAt="2026-11-22T04:00:00Z"), alert(fingerprint="other")))
        assert Incident.objects.count() == 3

    def test_what_was_never_open_is_taken(self, client: Client) -> None:
        assert post(client, group(alert("resolved"))).json() == {"taken": True, "did": []}

    def test_it_gets_worse(self, client: Client) -> None:
        post(client, group(alert(labels={"alertname": "DiskFull", "severity": "warning"})))
        post(client, group(alert()))
        assert Incident.objects.get().severity == "critical"

    def test_a_link_runs_no_script(self, client: Client) -> None:
        post(client, group(alert(generatorURL="javascript:alert(1)", annotations={"runbook_url": "data:text/html,x"})))
        incident = Incident.objects.get()
        assert (incident.url, incident.recommended) == ("/", {})

    def test_strange_text_is_taken(self, client: Client) -> None:
        post(client, group(alert(labels={"alertname": "a\x00b" * 300, "x\x00": "\x00" * 9}, annotations={})))
        assert Incident.objects.get().severity == "warning"

    @pytest.mark.parametrize("token", ["wrong", "", "ü"])
    def test_a_wrong_token_is_401_and_audited(self, client: Client, token: str) -> None:
        assert post(client, group(alert()), token.encode().decode("latin-1")).status_code == 401
        assert AuditEntry.objects.get(action="hook.refused").actor == "Alertmanager"
        assert Incident.objects.count() == 0

    @pytest.mark.parametrize(
        "told",
        [
            b"",
            b"x",
            b"[]",
            group(version="3"),
            group(alert(status="maybe")),
            group(alert(fingerprint="")),
            group(alert(startsAt="soon")),
            group(alert(labels=[])),
            {"version": "4"},
        ],
    )
    def test_a_malformed_one_is_422_and_opens_nothing(self, client: Client, told: Any) -> None:
        answer = post(client, told)
        assert answer.status_code == 422
        assert answer.json()["errors"]
        assert Incident.objects.count() == 0

    def test_repeating_many_costs_one_look(self, client: Client, django_assert_num_queries: Any) -> None:
        many = group(*(alert(fingerprint=f"f{n}") for n in range(30)))
        post(client, many)
        with django_assert_num_queries(2):
            post(client, many)

    def test_times_are_one_whatever_their_zone(self, client: Client) -> None:
        post(client, group(alert(startsAt="2026-11-22T03:07:00+02:00")))
        post(client, group(alert("resolved", startsAt="2026-11-22T01:07:00Z")))
        assert Incident.objects.get().state == "resolved"
        assert datetime(2026, 11, 22, 1, 7, tzinfo=UTC).isoformat() in Incident.objects.get().key

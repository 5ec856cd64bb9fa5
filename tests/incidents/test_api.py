"""The JSON API of incidents and of announced work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.incidents.models import Incident, Maintenance
from console.incidents.store import settle
from console.lib.metrics import exposition
from tests.api.asking import bearer, token_for
from tests.incidents.made import finding, report

pytestmark = pytest.mark.django_db
BASE = "/api/v1/incidents"


@pytest.fixture
def incident() -> Incident:
    settle(report(finding()), timezone.now())
    return Incident.objects.get()


def ask(client: Client, method: str, path: str, body: Any = None, role: Role = Role.OPERATOR) -> tuple[int, Any]:
    answer = getattr(client, method)(
        path,
        headers=bearer(token_for(role)),
        **({"data": body, "content_type": "application/json"} if body is not None else {}),
    )
    return answer.status_code, answer.json()


def test_the_list_by_state(client: Client, incident: Incident) -> None:
    status, rows = ask(client, "get", f"{BASE}?state=open", role=Role.VIEWER)
    assert status == 200
    (row,) = rows
    assert (row["key"], row["severity"], row["state"]) == ("fleets.starving:cpu", "error", "open")
    assert row["url"].endswith(f"/i/{incident.pk}")
    assert row["recommended"]["operation"] == "resize"
    assert row["recommended"]["url"].endswith("/fleets/cpu/resize/?desired=4")
    assert ask(client, "get", f"{BASE}?state=resolved")[1] == []
    status, problem = ask(client, "get", f"{BASE}?state=ajar")
    assert (status, list(problem["errors"])) == (422, ["state"])


def test_one_with_its_evidence_and_pages(client: Client, incident: Incident) -> None:
    status, one = ask(client, "get", f"{BASE}/{incident.pk}", role=Role.VIEWER)
    assert status == 200
    assert one["evidence"]["facts"][0] == {"label": "Waiting", "value": "41 tasks", "status": "failing"}
    assert [(page["action"], page["state"], page["pager"]) for page in one["pages"]] == [("trigger", "queued", "")]
    assert [event["kind"] for event in one["events"]] == ["opened", "paged"]
    page = incident.pages.get()
    page.log.create(pager="on-call", ok=False, maybe_taken=True, text="no answer within 10 s", took_s=10.0)
    (attempt,) = ask(client, "get", f"{BASE}/{incident.pk}")[1]["pages"][0]["attempts"]
    assert (attempt["pager"], attempt["ok"], attempt["text"]) == ("on-call", False, "no answer within 10 s")
    assert ask(client, "get", f"{BASE}/999999")[0] == 404


def test_acknowledge_snooze_resolve(client: Client, incident: Incident) -> None:
    path = f"{BASE}/{incident.pk}"
    assert ask(client, "post", f"{path}/acknowledge", {})[1]["state"] == "acknowledged"
    status, problem = ask(client, "post", f"{path}/snooze", {"reason": "later"})
    assert (status, list(problem["errors"])) == (422, ["for_s"])
    status, one = ask(client, "post", f"{path}/snooze", {"reason": "later", "for_s": 600})
    assert (status, one["state"]) == (200, "snoozed")
    status, problem = ask(client, "post", f"{path}/resolve", {"reason": ""})
    assert (status, list(problem["errors"])) == (422, ["reason"])
    assert ask(client, "post", f"{path}/resolve", {"reason": "done"})[1]["state"] == "resolved"
    assert ask(client, "post", f"{path}/acknowledge", {})[0] == 409
    assert ask(client, "post", f"{BASE}/999999/acknowledge", {})[0] == 404


def test_maintenance_windows(client: Client) -> None:
    ends = (timezone.now() + timedelta(hours=2)).isoformat()
    sent = {"targets": ["fleets/cpu"], "ends_at": ends, "reason": "new kernel"}
    status, window = ask(client, "post", "/api/v1/maintenance", sent)
    assert status == 201
    assert [one["id"] for one in ask(client, "get", "/api/v1/maintenance", role=Role.VIEWER)[1]] == [window["id"]]
    assert ask(client, "delete", f"/api/v1/maintenance/{window['id']}", {"reason": "done"})[1]["cancelled_at"]
    assert ask(client, "get", "/api/v1/maintenance")[1] == []
    assert len(ask(client, "get", "/api/v1/maintenance?all=true")[1]) == 1
    assert ask(client, "delete", "/api/v1/maintenance/999999", {"reason": "done"})[0] == 404
    assert Maintenance.objects.count() == 1


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("targets", {"targets": []}),
        ("ends_at", {"ends_at": "2026-11-22T00:00:00"}),
        ("ends_at", {"ends_at": "2001-11-22T00:00:00Z"}),
        ("reason", {"reason": " "}),
    ],
)
def test_a_window_that_makes_no_sense(client: Client, field: str, wrong: dict[str, Any]) -> None:
    sent = {"targets": ["fleets"], "ends_at": (timezone.now() + timedelta(hours=2)).isoformat(), "reason": "work"}
    status, problem = ask(client, "post", "/api/v1/maintenance", sent | wrong)
    assert (status, list(problem["errors"])) == (422, [field])


def test_the_overview_names_them(client: Client, incident: Incident) -> None:
    assert [one["id"] for one in ask(client, "get", "/api/v1/overview")[1]["incidents"]] == [incident.pk]


def test_prometheus_counts_them_with_zeros_for_none(incident: Incident) -> None:
    text = exposition(timezone.now()).decode()
    assert 'quarterdeck_incidents{severity="error",state="open"} 1.0' in text
    assert 'quarterdeck_incidents{severity="critical",state="open"} 0.0' in text
    assert "quarterdeck_pages_queued 1.0" in text

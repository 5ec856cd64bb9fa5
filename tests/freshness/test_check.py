"""POST /api/v1/freshness/check: the question that sensors ask."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.freshness.asking import Question, ask
from console.freshness.check_api import CheckOut
from console.freshness.records import CutoffRow, Proof, TableEvent, generation
from console.freshness.watermark import Basis
from console.lib.api import Encoder
from tests.api.asking import bearer, token_for
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db
URL = "/api/v1/freshness/check"


@pytest.fixture
def client() -> Client:
    return Client(headers=bearer(token_for(Role.VIEWER)))


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    """Five good minutes; the console's clock is the story's."""
    story = Story(timezone.now())
    monkeypatch.setattr(timezone, "now", lambda: story.now)
    return story.go(5)


def asked(client: Client, cutoff: datetime | str, table: str = ORDERS.name, **more: Any) -> dict[str, Any]:
    text = cutoff if isinstance(cutoff, str) else cutoff.isoformat()
    body = {"items": [{"key": "a", "table": table, "cutoff": text}], **more}
    answer = client.post(URL, body, content_type="application/json")
    assert answer.status_code == 200, answer.content
    (item,) = answer.json()["items"]
    described = CheckOut.model_validate(answer.json())  # the view writes it by itself
    assert json.loads(json.dumps(described.model_dump(), cls=Encoder)) == answer.json()
    return {**item, "generation": answer.json()["generation"]}


def test_before_its_watermark_a_table_is_complete_with_a_proof_that_is_kept(client: Client, story: Story) -> None:
    cutoff = story.now - timedelta(minutes=2)
    found = asked(client, cutoff)
    assert (found["verdict"], found["status"], found["epoch"], found["retry_after_s"]) == ("complete", "FRESH", 1, 0)
    assert found["reasons"] == ["hold_back=1"]
    assert found["limiting"] == {"kind": "task", "id": "shop-cdc", "task": "shop-cdc"}
    assert found["generation"] > 0
    story.go(1)
    again = asked(client, cutoff)
    assert again["proof_id"] == found["proof_id"] == Proof.objects.get().proof_id
    assert again["watermark"] > found["watermark"]


def test_after_its_watermark_it_is_pending_with_a_forecast(client: Client, story: Story) -> None:
    cutoff = story.now + timedelta(minutes=3)
    found = asked(client, cutoff)
    assert (found["verdict"], found["proof_id"]) == ("pending", None)
    assert datetime.fromisoformat(found["eta"]) >= cutoff
    assert 150 <= found["retry_after_s"] <= 300


def test_what_was_called_complete_stays_so_until_a_load_revokes_it(client: Client, story: Story) -> None:
    cutoff = story.now - timedelta(minutes=2)
    other = story.now + timedelta(minutes=1)
    proof = asked(client, cutoff)["proof_id"]
    story.status = "failed"
    story.go(1)
    assert asked(client, cutoff)["proof_id"] == proof
    found = asked(client, other)
    assert (found["verdict"], found["status"], found["eta"]) == ("blocked", "BROKEN", None)
    story.status, story.started_at = "running", story.now
    story.go(3)
    assert asked(client, other)["verdict"] == "complete"
    story.reload(1)
    found = asked(client, cutoff)
    assert (found["verdict"], found["status"], found["proof_id"]) == ("pending", "LOADING", None)
    events = client.get(f"/api/v1/freshness/tables/{ORDERS.name}/history?range=1h").json()["events"]
    assert "revoked" in {event["kind"] for event in events}


def test_the_commit_basis_is_told_apart_from_the_row_basis(client: Client, story: Story) -> None:
    story.held_since = story.now - timedelta(minutes=3)
    story.go(1)
    cutoff = story.now - timedelta(minutes=1)
    assert asked(client, cutoff, basis="commit")["verdict"] == "complete"
    assert asked(client, cutoff, basis="row")["verdict"] == "pending"
    assert asked(client, cutoff)["verdict"] == "pending"  # the default


def test_when_nothing_was_read_of_late_nothing_new_is_proven(client: Client) -> None:
    story = Story(timezone.now() - timedelta(minutes=7))
    story.go(5)
    found = asked(client, story.now - timedelta(minutes=2))
    assert (found["verdict"], found["status"], found["lag_s"]) == ("unknown", "UNKNOWN", None)
    assert "can't be seen" in found["reasons"][-1]


def test_without_heartbeats_it_is_unknown_unless_an_estimate_is_asked_for(client: Client) -> None:
    at = timezone.now()
    made.level(at)
    cutoff = at - timedelta(minutes=5)
    assert asked(client, cutoff)["verdict"] == "unknown"
    found = asked(client, cutoff, proof="estimated")
    assert (found["verdict"], found["proof_id"]) == ("complete", "estimated:shop-cdc")
    assert "no proof" in found["reasons"][1]
    assert not Proof.objects.exists()
    assert asked(client, at, proof="estimated")["verdict"] == "unknown"


def test_a_batch_and_single_questions_agree_and_cost_the_same_few_queries(
    story: Story, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    many = [
        Question(f"{table.name} {minutes}", table.name, story.now - timedelta(minutes=minutes))
        for table in (ORDERS, CUSTOMERS)
        for minutes in range(-3, 10)
    ]
    with django_assert_num_queries(3):  # generation and sources, rows with proofs; and the new proofs
        _, batch = ask(many, Basis.ROW, story.now)
    with django_assert_num_queries(2):
        ask(many, Basis.ROW, story.now)
    single = [ask([question], Basis.ROW, story.now)[1][0] for question in many]
    assert list(batch) == single


@pytest.mark.parametrize(
    ("item", "field", "words"),
    [
        ({"cutoff": "2026-11-22T00:00:00"}, "items.0.cutoff", "Add the offset"),
        ({"cutoff": "yesterday"}, "items.0.cutoff", "datetime"),
        ({"cutoff": "2026-11-22T00:00:00Z", "tabel": "x"}, "items.0.tabel", "not known here"),
    ],
)
def test_bad_input_names_the_field(client: Client, item: dict[str, str], field: str, words: str) -> None:
    body = {"items": [{"key": "a", "table": ORDERS.name, **item}]}
    answer = client.post(URL, body, content_type="application/json")
    assert answer.status_code == 422
    assert words in " ".join(answer.json()["errors"][field])


def test_waits_bases_and_sizes_have_their_limits(client: Client) -> None:
    item = {"key": "a", "table": ORDERS.name, "cutoff": "2026-11-22T00:00:00Z"}
    for body in (
        {"items": []},
        {"items": [item], "wait": 26},
        {"items": [item], "basis": "x"},
        {"items": [item] * 1001},
    ):
        assert client.post(URL, body, content_type="application/json").status_code == 422


def test_an_untracked_table_is_404_with_the_nearest_names(client: Client, story: Story) -> None:
    item = {"key": "a", "table": "shop.public.order", "cutoff": "2026-11-22T00:00:00Z"}
    answer = client.post(URL, {"items": [item]}, content_type="application/json")
    assert answer.status_code == 404
    assert "Did you mean shop.public.orders" in answer.json()["detail"]
    assert answer.json()["tables"]["shop.public.order"][0] == ORDERS.name


def test_it_needs_a_token(story: Story) -> None:
    assert Client().post(URL, {"items": []}, content_type="application/json").status_code == 401


# --- Cutoffs, details, changes, epochs -----------------------------------------------------------------------------


def put(body: dict[str, Any], role: Role = Role.OPERATOR) -> Any:
    client = Client(headers=bearer(token_for(role)))
    return client.put("/api/v1/freshness/cutoffs", body, content_type="application/json")


def test_a_cutoff_is_registered_once_audited_and_shown(client: Client, story: Story) -> None:
    cutoff = story.now + timedelta(minutes=1)
    body = {
        "table": ORDERS.name,
        "cutoff": cutoff.isoformat(),
        "deadline": (cutoff + timedelta(hours=1)).isoformat(),
        "dag_id": "revenue_daily",
        "reason": "the revenue report reads it",
    }
    assert put(body).status_code == put(body).status_code == 200
    assert CutoffRow.objects.get().dag_id == "revenue_daily"
    assert AuditEntry.objects.filter(action="cutoff.registered", target=ORDERS.name).count() == 1
    story.go(2)
    (shown,) = client.get(f"/api/v1/freshness/tables/{ORDERS.name}").json()["cutoffs"]
    assert shown["met_at"] is not None
    assert put(body, Role.VIEWER).status_code == 403
    assert put({**body, "deadline": body["cutoff"]}).status_code == 422
    assert put({**body, "table": "shop.public.nothing"}).status_code == 404
    assert put({**body, "reason": " "}).status_code == 422


def test_a_tables_detail_has_its_watermark_and_an_etag(client: Client, story: Story) -> None:
    url = f"/api/v1/freshness/tables/{ORDERS.name}"
    first = client.get(url)
    assert first.json()["nine"] == "FRESH"
    assert first.json()["watermark"] is not None
    same = client.get(url, headers={"If-None-Match": first.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    story.go(steps=1)
    assert client.get(url, headers={"If-None-Match": first.headers["ETag"]}).status_code == 200


def test_changes_after_a_generation_can_be_paged_through(client: Client, story: Story) -> None:
    url = "/api/v1/freshness/changes"
    whole = client.get(url).json()
    assert [row["table"] for row in whole["tables"]] == [CUSTOMERS.name, ORDERS.name]
    assert {event["kind"] for event in whole["events"]} == {"status"}
    first = client.get(f"{url}?limit=1").json()
    assert first["more"]
    last = first["tables"][0]
    rest = client.get(f"{url}?after={last['generation']}&after_table={last['table']}").json()
    assert [row["table"] for row in rest["tables"]] == [ORDERS.name]
    assert client.get(f"{url}?after={whole['generation']}").json()["tables"] == []


def test_no_event_is_lost_between_the_pages_of_changes(client: Client, story: Story) -> None:
    """A load that revoked what was proven is an event: who pages through them must see each, once."""
    url = "/api/v1/freshness/changes"
    TableEvent.objects.bulk_create(
        TableEvent(table=ORDERS.name, at=story.now, generation=generation(), kind="revoked", text=f"load {number}")
        for number in range(7)
    )
    whole = client.get(url).json()
    seen, asked_with, more = [], {"after": 0, "after_table": "", "after_event": 0}, True
    while more:
        page = client.get(url, asked_with | {"limit": 2}).json()
        seen += [event["id"] for event in page["events"]]
        if page["tables"]:
            last = page["tables"][-1]
            asked_with |= {"after": last["generation"], "after_table": last["table"]}
        if page["events"]:
            asked_with["after_event"] = page["events"][-1]["id"]
        more = page["more"]
    assert seen == [event["id"] for event in whole["events"]]
    assert len(seen) > 7


def test_a_new_epoch_is_settled_by_an_operators_word(client: Client, story: Story) -> None:
    url = "/api/v1/freshness/tasks/shop-cdc/attest"
    operator = Client(headers=bearer(token_for(Role.OPERATOR)))
    body = {"reason": "failed over without a loss"}
    assert operator.post(url, body, content_type="application/json").status_code == 409
    story.epoch = 2
    story.go(1)
    (task,) = client.get("/api/v1/freshness/tasks").json()
    assert "epoch 2" in task["unsettled"]
    cutoff = story.now - timedelta(minutes=1)
    assert asked(client, cutoff)["verdict"] == "blocked"
    assert client.post(url, body, content_type="application/json").status_code == 403
    assert operator.post(url, body, content_type="application/json").status_code == 200
    assert AuditEntry.objects.filter(action="epoch.attested", target="shop-cdc").exists()
    story.go(4)
    found = asked(client, cutoff)
    assert (found["verdict"], found["epoch"]) == ("complete", 2)
    assert (
        operator.post("/api/v1/freshness/tasks/shop/attest", body, content_type="application/json").status_code == 404
    )

"""Pools are changed through the API and the form: with a reason, on the revision that was looked at, and only so."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.operations.models import Operation
from console.platform.models import remember_success
from console.pools.models import PoolSnapshot
from tests.api.asking import bearer, token_for, user_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pool() -> PoolSnapshot:
    return seen("partner_apis", slots=8, running=8, scheduled=4)


def seen(name: str, slots: int, running: int = 0, scheduled: int = 0) -> PoolSnapshot:
    now = timezone.now()
    remember_success("airflow.pools", now, 0.1)
    return PoolSnapshot.objects.create(
        name=name,
        slots=slots,
        running=running,
        queued=0,
        scheduled=scheduled,
        deferred=0,
        occupied=running,
        open=slots - running,
        as_of=now,
    )


def call(method: str, name: str, role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    ask = getattr(Client(), method)
    answer = ask(f"/api/v1/pools/{name}", body, content_type="application/json", headers=bearer(token_for(role)))
    return answer.status_code, answer.json()


def test_a_put_answers_202_with_its_operation(pool: PoolSnapshot) -> None:
    status, told = call("put", pool.name, slots=16, revision=pool.revision, reason="partner raised our limit")
    assert (status, told["kind"], told["target"]) == (202, "pool", "pool:partner_apis")
    assert told["title"] == "Set pool partner_apis to 16 slots"


def test_a_stale_revision_is_409_with_both_versions(pool: PoolSnapshot) -> None:
    status, told = call("put", pool.name, slots=16, revision="older", reason="x")
    assert (status, told["yours"]) == (409, "older")
    assert told["current"] == {
        "revision": pool.revision,
        "slots": 8,
        "description": "",
        "include_deferred": False,
    }
    assert not Operation.objects.exists()


def test_two_edits_of_one_pool_give_one_operation(pool: PoolSnapshot) -> None:
    first = call("put", pool.name, slots=16, revision=pool.revision, reason="x")[1]["id"]
    status, told = call("put", pool.name, slots=20, revision=pool.revision, reason="y")
    assert (status, told["operation"]["id"]) == (409, first)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"slots": "many", "reason": "x"}, "slots"),
        ({"slots": -2, "reason": "x"}, "slots"),
        ({"slots": 3, "reason": " "}, "reason"),
        ({"slots": 3, "reason": "x", "until": "2026-11-22T06:00:00"}, "until"),
        ({"slots": 3, "reason": "x", "slot": 4}, "slot"),
    ],
)
def test_bad_input_names_its_field(pool: PoolSnapshot, body: dict[str, Any], field: str) -> None:
    status, told = call("put", pool.name, **({"revision": pool.revision} | body))
    assert (status, list(told["errors"])) == (422, [field])


def test_the_default_pool_and_one_in_use_are_not_removed(pool: PoolSnapshot) -> None:
    default = seen("default_pool", slots=128)
    status, told = call("delete", "default_pool", revision=default.revision, reason="x")
    assert (status, "default_pool can't be removed" in told["detail"]) == (409, True)
    status, told = call("delete", pool.name, revision=pool.revision, reason="x")
    assert (status, "in use" in told["detail"]) == (409, True)
    assert call("delete", pool.name, revision=pool.revision, reason="x", override=True)[0] == 202


def test_a_viewer_changes_nothing(pool: PoolSnapshot) -> None:
    assert call("put", pool.name, Role.VIEWER, slots=1, revision=pool.revision, reason="x")[0] == 403


def test_the_form_shows_the_consequence_and_then_applies_exactly_that(pool: PoolSnapshot) -> None:
    client = Client()
    client.force_login(user_of(Role.OPERATOR))
    url = f"/pools/{pool.name}/edit/"
    typed = {"slots": "10", "description": "", "revision": pool.revision}
    shown = client.post(url, typed)
    assert "Tasks for 2\N{NO-BREAK SPACE}slots that wait now may start." in shown.content.decode()
    plan = shown.context["plan"].id
    assert client.post(url, typed | {"plan": plan, "reason": ""}).status_code == 422
    done = client.post(url, typed | {"plan": plan, "reason": "night load"})
    assert done.status_code == 302
    assert Operation.objects.get().parameters["settings"]["slots"] == 10


def test_a_form_that_was_overtaken_keeps_what_was_typed(pool: PoolSnapshot) -> None:
    client = Client()
    client.force_login(user_of(Role.OPERATOR))
    typed = {"slots": "10", "description": "mine", "revision": pool.revision}
    PoolSnapshot.objects.filter(name=pool.name).update(slots=9)
    page = client.post(f"/pools/{pool.name}/edit/", typed)
    text = page.content.decode()
    assert page.status_code == 409
    assert "was changed since you looked" in text
    assert 'value="10"' in text
    assert "mine" in text


def test_a_link_may_begin_the_form_with_other_slots(client: Client, pool: PoolSnapshot) -> None:
    client.force_login(user_of(Role.OPERATOR))
    text = client.get("/pools/partner_apis/edit/?slots=12").content.decode()
    assert 'value="12"' in text
    assert 'value="8"' in client.get("/pools/partner_apis/edit/?slots=many").content.decode()

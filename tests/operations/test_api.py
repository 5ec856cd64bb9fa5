"""Operations over the API: read them, give orders, and be told clearly why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.operations.models import Operation
from tests.api.asking import bearer, token_for
from tests.operations.conftest import tick
from tests.operations.toy import Lamps

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Operation]
URL = "/api/v1/operations"


def post(path: str, role: Role, **body: object) -> tuple[int, dict[str, object]]:
    answer = Client().post(f"{URL}{path}", body, content_type="application/json", headers=bearer(token_for(role)))
    return answer.status_code, answer.json()


def test_an_operation_tells_its_steps_notes_and_progress(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    tick(operation)
    told = Client().get(f"{URL}/{operation.pk}", headers=bearer(token_for(Role.VIEWER))).json()
    assert (told["kind"], told["target"], told["state"], told["reason"]) == (
        "lamps",
        "room:hall",
        "running",
        "it is dark",
    )
    assert told["progress"] == {"done": 0, "total": 2, "text": "0 lit"}
    assert [(step["key"], step["state"]) for step in told["steps"]] == [("light:a", "called")]
    assert told["notes"][0]["text"] == "Asked for by mira: it is dark"


def test_the_list_filters_by_state_kind_and_target(ask: Ask, lamps: Lamps) -> None:
    ask()
    ask(room="attic")
    headers = bearer(token_for(Role.VIEWER))
    assert len(Client().get(f"{URL}?state=active&kind=lamps", headers=headers).json()) == 2
    assert [o["target"] for o in Client().get(f"{URL}?target=room:attic", headers=headers).json()] == ["room:attic"]
    assert Client().get(f"{URL}?state=sideways", headers=headers).status_code == 422


def test_a_viewer_may_not_give_orders_and_the_attempt_is_audited(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    status, _ = post(f"/{operation.pk}/abort", Role.VIEWER, reason="let me")
    assert status == 403
    assert AuditEntry.objects.latest("seq").action == "access.denied"


def test_a_blank_reason_is_422_by_field(ask: Ask, lamps: Lamps) -> None:
    status, told = post(f"/{ask().pk}/pause", Role.OPERATOR, reason="  ")
    assert status == 422
    assert "reason" in told["errors"]


def test_orders_are_taken_once_and_refused_with_their_reason(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    tick(operation)
    assert post(f"/{operation.pk}/pause", Role.OPERATOR, reason="wait")[1]["state"] == "paused"
    status, told = post(f"/{operation.pk}/pause", Role.OPERATOR, reason="wait")
    assert (status, told["detail"]) == (409, "It is paused already.")
    assert post(f"/{operation.pk}/resume", Role.OPERATOR, reason="go on")[1]["state"] == "running"


def test_an_answer_that_is_not_asked_for_names_the_choices(ask: Ask, lamps: Lamps) -> None:
    operation = ask(ask=True)
    tick(operation)
    status, told = post(f"/{operation.pk}/answer", Role.OPERATOR, choice="force", reason="now")
    assert status == 422
    assert "it asks for: go" in str(told["errors"])
    assert post(f"/{operation.pk}/answer", Role.OPERATOR, choice="go", reason="yes")[0] == 202


def test_an_unknown_operation_and_an_unknown_word_are_404(ask: Ask, lamps: Lamps) -> None:
    assert post("/999999/abort", Role.OPERATOR, reason="x")[0] == 404
    assert post(f"/{ask().pk}/explode", Role.OPERATOR, reason="x")[0] == 404

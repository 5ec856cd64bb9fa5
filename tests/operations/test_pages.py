"""The pages of operations: what they say, what their buttons do, and that their cost does not grow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.operations.models import Note, Operation, Step
from console.operations.pages import list_page, operation_page
from tests.api.asking import user_of
from tests.operations.conftest import MIRA, run, tick
from tests.operations.toy import Lamps

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Operation]


def signed_in(role: Role) -> Client:
    client = Client()
    client.force_login(user_of(role))
    return client


def test_the_list_tells_who_what_why_and_how_far(ask: Ask, lamps: Lamps) -> None:
    ask()
    text = signed_in(Role.VIEWER).get("/operations/").content.decode()
    for words in ("Light hall", "mira", "it is dark", "1\N{NO-BREAK SPACE}operation is under way"):
        assert words in text


def test_an_empty_list_says_what_will_stand_there(lamps: Lamps) -> None:
    assert "Nothing has been changed yet" in signed_in(Role.VIEWER).get("/operations/").content.decode()


def test_the_page_shows_the_question_and_takes_the_answer(ask: Ask, lamps: Lamps) -> None:
    operation = ask(ask=True)
    tick(operation)
    client = signed_in(Role.OPERATOR)
    assert "Shall it go on?" in client.get(f"/operations/{operation.pk}/").content.decode()
    client.post(f"/operations/{operation.pk}/order/", {"word": "go", "reason": "yes"})
    assert run(operation).state == "succeeded"


def test_a_viewer_sees_the_buttons_off_and_is_refused(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    client = signed_in(Role.VIEWER)
    assert "This takes the role operator." in client.get(f"/operations/{operation.pk}/").content.decode()
    assert client.post(f"/operations/{operation.pk}/order/", {"word": "abort", "reason": "x"}).status_code == 403
    operation.refresh_from_db()
    assert not operation.aborting


def test_a_refused_order_is_told_on_the_page(ask: Ask, lamps: Lamps) -> None:
    operation = run(ask())
    client = signed_in(Role.OPERATOR)
    answer = client.post(f"/operations/{operation.pk}/order/", {"word": "abort", "reason": "late"}, follow=True)
    assert "It has ended already: succeeded." in answer.content.decode()


@pytest.mark.parametrize("parameters", [{}, {"queue": "cpu", "workers": ["i-1"]}, {"workers": None}, {"workers": [{}]}])
def test_an_operation_of_another_version_does_not_take_the_list(parameters: dict[str, Any]) -> None:
    Operation.objects.create(
        kind="drain", target="worker:i-1", reason="because", requested_by_name="mira", parameters=parameters
    )
    assert "drain worker:i-1" in signed_in(Role.VIEWER).get("/operations/").content.decode()


def test_markup_in_a_reason_is_text(ask: Ask, lamps: Lamps) -> None:
    ask(room="<script>alert(1)</script>")
    assert "<script>alert(1)" not in signed_in(Role.VIEWER).get("/operations/").content.decode()


@pytest.mark.parametrize("many", [1, 300])
def test_a_page_costs_the_same_however_long_its_history(
    ask: Ask, lamps: Lamps, many: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    operation = ask()
    now = timezone.now()
    Note.objects.bulk_create(Note(operation=operation, text=f"line {n}") for n in range(many))
    Step.objects.bulk_create(
        Step(operation=operation, key=f"k{n}", action="light", title="t", not_after=now) for n in range(many)
    )
    operator = Actor("mira", None, Role.OPERATOR, "session")
    with django_assert_num_queries(5 if many > 200 else 3):
        page = operation_page(operation, now, operator)
    assert len(page.steps) == min(many, 200)


def test_the_list_takes_three_queries(
    ask: Ask, lamps: Lamps, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for n in range(12):
        ask(room=f"r{n}", by=MIRA)
    with django_assert_num_queries(3):
        assert len(list_page(timezone.now(), {"state": "active"}).rows) == 12

"""What the sensor asks and reads, held against the console's own API: no fake between the two."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from quarterdeck_airflow.freshness.board import MOST_QUESTIONS
from quarterdeck_airflow.freshness.client import PATH
from quarterdeck_airflow.freshness.question import (
    Answer,
    Manner,
    NotAllowed,
    Question,
    Refused,
    body_of,
    conclude,
    cutoff_of,
    read,
)

from console.accounts.roles import Role
from console.freshness import check_api
from tests.api.asking import bearer, token_for
from tests.freshness.made import CUSTOMERS, ORDERS
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    """Five good minutes; the console's clock is the story's."""
    story = Story(timezone.now())
    monkeypatch.setattr(timezone, "now", lambda: story.now)
    return story.go(5)


def ask(*questions: Question, token: str | None = None, manner: Manner | None = None) -> dict[Question, Answer]:
    client = Client(headers=bearer(token or token_for(Role.VIEWER)))
    answer = client.post(PATH, body_of(questions, manner or Manner()), content_type="application/json")
    return read(answer.status_code, {}, answer.json(), questions)


def q(table: str, cutoff: datetime) -> Question:
    return Question(table, cutoff_of(cutoff))


def test_complete_comes_with_its_proof(story: Story) -> None:
    cutoff = story.now - timedelta(minutes=2)
    found = conclude(ask(q(ORDERS.name, cutoff), q(CUSTOMERS.name, cutoff)).values(), "wait")
    assert found.state == "done"
    assert [proof["table"] for proof in found.proof] == [ORDERS.name, CUSTOMERS.name]
    assert all(proof["proof_id"] and proof["watermark"] and proof["epoch"] == 1 for proof in found.proof)


def test_pending_says_when_to_come_back(story: Story) -> None:
    found = conclude(ask(q(ORDERS.name, story.now + timedelta(minutes=3))).values(), "wait")
    assert found.state == "wait"
    assert found.retry_after_s
    assert "expected" in found.text


def test_blocked_is_blocked(story: Story) -> None:
    story.status = "failed"
    story.go(1)
    assert conclude(ask(q(ORDERS.name, story.now)).values(), "fail").state == "blocked"


def test_an_untracked_table_is_found_among_good_ones(story: Story) -> None:
    with pytest.raises(Refused, match=r"shop\.public\.oders") as caught:
        ask(q(ORDERS.name, story.now), q("shop.public.oders", story.now))
    assert caught.value.items == (1,)


def test_a_wrong_token_is_not_allowed(story: Story) -> None:
    with pytest.raises(NotAllowed):
        ask(q(ORDERS.name, story.now), token="qd_wrong")


def test_every_manner_is_understood(story: Story) -> None:
    for manner in (Manner("commit"), Manner("row", "estimated")):
        assert ask(q(ORDERS.name, story.now - timedelta(minutes=2)), manner=manner)


def test_one_request_holds_as_much_as_the_console_takes() -> None:
    assert MOST_QUESTIONS == check_api.MOST_ITEMS

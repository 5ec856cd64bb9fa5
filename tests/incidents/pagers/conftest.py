from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from console.incidents.pagers import Action, Link, Message, http
from tests.incidents.receivers import FakePagerDuty, FakeSlack, FakeWebhook, Receiver

AT = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)


def message(action: str = "trigger", **changed: object) -> Message:
    given: dict[str, object] = {
        "key": "fleets.starving:cpu",
        "action": Action(action),
        "severity": "critical",
        "title": "Queue cpu starves",
        "text": "40 tasks wait and no worker starts one.\nRaise the fleet by 2.",
        "link": "https://deck.example.com/i/17",
        "at": AT,
        "id": f"17-{action}",
        "source": "production",
        "target": "fleets/cpu",
        "links": (Link("https://deck.example.com/runbooks/starving/", "Runbook"),),
        "evidence": (("waiting", "40"), ("oldest", "11 min")),
    }
    return Message(**(given | changed))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "ANSWER_S", 0.5)


def running(receiver: Receiver) -> Iterator[Receiver]:
    try:
        yield receiver
    finally:
        receiver.close()


@pytest.fixture
def pagerduty() -> Iterator[Receiver]:
    yield from running(FakePagerDuty())


@pytest.fixture
def slack() -> Iterator[Receiver]:
    yield from running(FakeSlack())


@pytest.fixture
def webhook() -> Iterator[Receiver]:
    yield from running(FakeWebhook())


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    yield from running(Receiver())

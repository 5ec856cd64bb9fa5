"""The generic webhook: signed, timestamped, and droppable by its id."""

from __future__ import annotations

from dataclasses import replace

import pytest

from console.incidents.pagers import TransportError, pager
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import message
from tests.incidents.receivers import FakeWebhook


def declared(server: FakeWebhook) -> PagerDeclared:
    return PagerDeclared("bot", "webhook", f"{server.url}/hook", secret=server.SECRET, allow_private=True)


def test_it_is_signed_and_says_everything(webhook: FakeWebhook) -> None:
    pager(declared(webhook)).notify(message(title="Grüße"))
    (told,) = webhook.taken
    assert told["key"] == "fleets.starving:cpu"
    assert told["action"] == "trigger"
    assert told["title"] == "Grüße"
    assert told["link"] == "https://deck.example.com/i/17"
    assert told["evidence"] == {"waiting": "40", "oldest": "11 min"}
    assert told["version"] == 1


def test_another_secret_is_refused_for_good(webhook: FakeWebhook) -> None:
    with pytest.raises(TransportError, match="wrong signature") as failed:
        pager(replace(declared(webhook), secret="another-s3cret")).notify(message())
    assert failed.value.permanent
    assert "another-s3cret" not in str(failed.value)


def test_a_lost_answer_is_sent_again_and_taken_once(webhook: FakeWebhook) -> None:
    webhook.mishaps = ["lost"]
    with pytest.raises(TransportError):
        pager(declared(webhook)).notify(message())
    pager(declared(webhook)).notify(message())
    assert len(webhook.requests) == 2
    assert len(webhook.taken) == 1


def test_without_a_secret_there_is_no_signature(receiver) -> None:
    pager(PagerDeclared("bot", "webhook", receiver.url, allow_private=True)).notify(message())
    assert "x-quarterdeck-signature" not in receiver.requests[0][1]

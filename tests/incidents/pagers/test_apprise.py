"""Any other service, by Apprise: its JSON kind against a real server stands for them."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from console.incidents.pagers import TransportError, pager
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import message
from tests.incidents.receivers import Receiver


def declared(receiver: Receiver, *, private: bool = True) -> PagerDeclared:
    url = f"json://user:s3cretpass@127.0.0.1:{urlsplit(receiver.url).port}/s3crethook"
    return PagerDeclared("any", "apprise", url, allow_private=private)


def test_a_page_arrives_by_the_service(receiver: Receiver) -> None:
    assert pager(declared(receiver)).notify(message()).endswith("took it")
    told = json.loads(receiver.taken[0])
    assert told["title"] == "CRITICAL: Queue cpu starves"
    assert "https://deck.example.com/i/17" in told["message"]
    assert told["type"] == "failure"


@pytest.mark.parametrize(
    ("mishap", "permanent", "maybe"),
    [("401", True, False), ("404", True, False), ("429", False, False), ("500", False, True)],
)  # fmt: skip
def test_permanent_and_temporary_are_told_apart(receiver: Receiver, mishap: str, permanent: bool, maybe: bool) -> None:
    receiver.mishaps = [mishap]
    with pytest.raises(TransportError, match=mishap) as failed:
        pager(declared(receiver)).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (permanent, maybe)
    assert "s3cret" not in str(failed.value)


def test_a_lost_answer_may_have_been_taken(receiver: Receiver) -> None:
    receiver.mishaps = ["lost"]
    with pytest.raises(TransportError) as failed:
        pager(declared(receiver)).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (False, True)


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.mishaps = ["302"]
    with pytest.raises(TransportError):
        pager(declared(receiver)).notify(message())
    assert len(receiver.requests) == 1


def test_a_private_address_is_refused(receiver: Receiver) -> None:
    with pytest.raises(TransportError, match="private address") as failed:
        pager(declared(receiver, private=False)).notify(message())
    assert failed.value.permanent
    assert receiver.requests == []


@pytest.mark.parametrize("url", ["nothing://s3crethost/x", "dbus://", "macosx://", "tgram://", "s3cret-token", ""])
def test_what_it_does_not_know_is_said_without_repeating_it(url: str) -> None:
    with pytest.raises(TransportError, match="Apprise knows no service") as failed:
        pager(PagerDeclared("any", "apprise", url)).notify(message())
    assert failed.value.permanent
    assert "s3cret" not in str(failed.value)

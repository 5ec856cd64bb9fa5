"""Slack: against a server that takes what an incoming webhook takes, and keeps each post."""

from __future__ import annotations

import pytest

from console.incidents.pagers import TransportError, pager
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import message
from tests.incidents.receivers import FakeSlack

PATH = "/services/T0/B0/s3cretpath"


def post(server: FakeSlack, path: str = PATH, **changed: object) -> str:
    declared = PagerDeclared("team", "slack", server.url + path, allow_private=True)
    return pager(declared).notify(message(**changed))  # type: ignore[arg-type]


def test_a_page_is_a_heading_the_reason_and_the_evidence(slack: FakeSlack) -> None:
    post(slack)
    said = slack.taken[0]
    assert said["text"] == "CRITICAL: Queue cpu starves https://deck.example.com/i/17"
    texts = [block["text"]["text"] for block in said["blocks"]]
    assert texts[0] == "CRITICAL: Queue cpu starves"
    assert "<https://deck.example.com/i/17|Open in Quarterdeck>" in texts[1]
    assert texts[2] == "*waiting*: 40\n*oldest*: 11 min"
    assert "Runbook" in texts[3]


def test_the_end_says_so_in_words(slack: FakeSlack) -> None:
    post(slack, action="resolve")
    assert slack.taken[0]["text"].startswith("Resolved: Queue cpu starves")


def test_nobody_is_mentioned_by_a_title(slack: FakeSlack) -> None:
    post(slack, title="<!channel> & co", text="<@U1>")
    assert "<!channel>" not in slack.taken[0]["text"]
    assert "&lt;@U1&gt;" in slack.taken[0]["blocks"][1]["text"]["text"]


def test_what_is_long_is_cut_to_what_it_takes(slack: FakeSlack) -> None:
    post(slack, title="t" * 500, text="x" * 9000, evidence=tuple((f"n{i}", "v" * 500) for i in range(50)))
    assert len(slack.taken) == 1
    assert "https://deck.example.com/i/17" in slack.taken[0]["blocks"][1]["text"]["text"]


def test_a_channel_that_is_gone_is_permanent(slack: FakeSlack) -> None:
    with pytest.raises(TransportError, match="channel_not_found") as failed:
        post(slack, "/services/T0/B0/gone-s3cret")
    assert failed.value.permanent
    assert "gone-s3cret" not in str(failed.value)


@pytest.mark.parametrize(("mishap", "permanent"), [("403", True), ("410", True), ("429", False), ("500", False)])
def test_permanent_and_temporary_are_told_apart(slack: FakeSlack, mishap: str, permanent: bool) -> None:
    slack.mishaps = [mishap]
    with pytest.raises(TransportError) as failed:
        post(slack)
    assert failed.value.permanent is permanent
    assert failed.value.retry_after_s == (1.0 if mishap == "429" else None)

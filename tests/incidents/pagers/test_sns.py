"""Amazon SNS: against moto, with a queue that shows what subscribers get."""

from __future__ import annotations

import json
from typing import Any

import pytest

from console.incidents.pagers import TransportError, pager
from console.platform.declared import PagerDeclared
from tests.incidents.pagers.conftest import message
from tests.platform.aws_server import AwsServer


@pytest.fixture(scope="module")
def server() -> AwsServer:
    return AwsServer()


@pytest.fixture
def aws(server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    server.instead = None
    return server


def topic(aws: AwsServer, name: str) -> tuple[str, str]:
    """A topic and the queue behind it."""
    fifo = {"FifoTopic": "true"} if name.endswith(".fifo") else {}
    arn = aws.client("sns").create_topic(Name=name, Attributes=fifo)["TopicArn"]
    queue = aws.client("sqs").create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})["QueueUrl"]
    at = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.client("sns").subscribe(TopicArn=arn, Protocol="sqs", Endpoint=at)
    return arn, queue


def received(aws: AwsServer, queue: str) -> list[Any]:
    answer = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
    return [json.loads(each["Body"]) for each in answer.get("Messages", [])]


def declared(arn: str) -> PagerDeclared:
    return PagerDeclared("phones", "sns", topic=arn)


def test_subscribers_get_subject_text_and_attributes(aws: AwsServer) -> None:
    arn, queue = topic(aws, "pages")
    said = pager(declared(arn)).notify(message(title="Schlange " + "ü" * 200))
    (got,) = received(aws, queue)
    assert said.startswith("SNS took it as ")
    assert got["Subject"].startswith("CRITICAL: Schlange ?")
    assert len(got["Subject"]) <= 100
    assert "https://deck.example.com/i/17" in got["Message"]
    assert got["MessageAttributes"]["key"]["Value"] == "fleets.starving:cpu"
    assert got["MessageAttributes"]["action"]["Value"] == "trigger"


def test_a_fifo_topic_drops_what_was_sent_twice(aws: AwsServer) -> None:
    arn, queue = topic(aws, "pages.fifo")
    for action in ("trigger", "trigger", "resolve"):
        pager(declared(arn)).notify(message(action))
    attributes = [got["MessageAttributes"]["action"]["Value"] for got in received(aws, queue)]
    assert attributes[0] == "trigger"
    assert attributes[-1] == "resolve"
    assert len(attributes) in {2, 3}  # moto hands on duplicates to a queue without its own dedup


def test_a_topic_that_is_gone_is_permanent(aws: AwsServer) -> None:
    with pytest.raises(TransportError, match="NotFound") as failed:
        pager(declared("arn:aws:sns:eu-north-1:123456789012:gone")).notify(message())
    assert failed.value.permanent


def test_their_bad_day_is_temporary(aws: AwsServer) -> None:
    def broken(environ: Any, start_response: Any) -> list[bytes]:
        start_response("503 Slow Down", [("Content-Type", "text/xml")])
        return [b"<ErrorResponse><Error><Code>InternalFailure</Code></Error></ErrorResponse>"]

    aws.instead = broken
    with pytest.raises(TransportError) as failed:
        pager(declared("arn:aws:sns:eu-north-1:123456789012:pages")).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (False, True)
    assert aws.requests() > 0


def test_nobody_there_is_temporary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(TransportError, match="can't be reached") as failed:
        pager(declared("arn:aws:sns:eu-north-1:123456789012:pages")).notify(message())
    assert (failed.value.permanent, failed.value.maybe_taken) == (False, False)


def test_a_huge_text_is_cut(aws: AwsServer) -> None:
    arn, _ = topic(aws, "large")
    pager(declared(arn)).notify(message(evidence=(("log", "ü" * 300_000),)))

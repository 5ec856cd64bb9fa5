"""Each way in which AWS can fail is one PlatformError with a code and a remedy, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from console.platform.aws import Clients
from console.platform.compute import Compute
from console.platform.datastores import Datastores
from console.platform.dms import Replication
from console.platform.ports import PlatformError
from tests.platform.aws_server import REGION, AwsServer, answering
from tests.services import free_port

POLLS: dict[str, Callable[[Clients], object]] = {
    "autoscaling:DescribeAutoScalingGroups": lambda clients: Compute(clients).groups(["cpu"]),
    "dms:DescribeReplicationTasks": lambda clients: Replication(clients).tasks(["x"], now=datetime.now(UTC)),
    "rds:DescribeDBInstances": lambda clients: Datastores(clients).datastores([("a", "rds", "b")]),
    "elasticache:DescribeReplicationGroups": lambda clients: Datastores(clients).datastores(
        [("a", "elasticache", "b")]
    ),
}
EVERY = pytest.mark.parametrize("action", POLLS)


def failure(action: str) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        POLLS[action](Clients(REGION))
    assert raised.value.remedy
    assert raised.value.system.startswith("AWS ")
    return raised.value


def refusal(action: str, code: str) -> bytes:
    """An error as the service would write it: DMS speaks JSON, the others XML."""
    if action.startswith("dms"):
        return f'{{"__type": "{code}", "message": "no"}}'.encode()
    return f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>".encode()


@EVERY
@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("AccessDenied", "forbidden"),
        ("Throttling", "throttled"),
        ("ExpiredToken", "unauthorised"),
        ("UnrecognizedClientException", "unauthorised"),
        ("InvalidParameterValue", "rejected"),
    ],
)
def test_a_refusal(aws: AwsServer, action: str, reason: str, code: str) -> None:
    aws.instead = answering("400 Bad Request", refusal(action, reason), "text/xml")
    error = failure(action)
    assert error.code == code
    if code == "forbidden":
        assert action in error.remedy


@EVERY
def test_a_web_page_with_status_500_as_a_stand_in_gives_it(aws: AwsServer, action: str) -> None:
    aws.instead = answering("500 Internal Server Error", b"<!doctype html><title>500</title><p>Oops</p>")
    assert failure(action).code in {"unavailable", "malformed"}


@EVERY
def test_a_web_page_with_status_200_as_a_proxy_gives_it(aws: AwsServer, action: str) -> None:
    aws.instead = answering("200 OK", b"<html><body>Sign in<br></html>")
    assert failure(action).code == "malformed"


@EVERY
def test_nothing_listens_there(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    assert failure(action).code == "refused"


def test_a_server_that_accepts_and_never_answers(silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent}")
    began_s = time.monotonic()
    assert failure("dms:DescribeReplicationTasks").code == "timeout"
    assert time.monotonic() - began_s < 11  # two attempts of 4 s, and the pause between them


def test_no_credentials(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    error = failure("dms:DescribeReplicationTasks")
    assert error.code == "unauthorised"
    assert "AWS_ACCESS_KEY_ID" in error.remedy


def test_no_region(aws: AwsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_REGION", raising=False)
    with pytest.raises(PlatformError) as raised:
        Compute(Clients("")).groups(["cpu"])
    assert raised.value.code == "rejected"
    assert "region" in raised.value.remedy


def test_it_mends_without_a_restart(aws: AwsServer) -> None:
    compute = Compute(Clients(REGION))
    aws.instead = answering("500 Internal Server Error", b"<html>")
    with pytest.raises(PlatformError):
        compute.groups(["cpu"])
    aws.instead = None
    assert compute.groups(["cpu"]) == ()


def test_threads_share_the_clients(aws: AwsServer) -> None:
    clients = Clients(REGION)
    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(lambda _: Compute(clients).groups(["cpu"]), range(32))) == [()] * 32

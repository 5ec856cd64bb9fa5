"""Fixtures of the adapters' tests: real servers, and the sandbox's where it runs."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from console.platform.airflow import Airflow
from console.platform.broker import Broker
from console.platform.declared import AirflowDeclared, BrokerDeclared
from tests.platform.aws_server import AwsServer
from tests.platform.fake_airflow import FakeAirflow
from tests.platform.redis_server import RedisServer


def declared_airflow(url: str, user: str = "console", password: str = "right", token: str = "") -> AirflowDeclared:
    return AirflowDeclared(url, user, password, token, ("scheduler-a", "scheduler-b"), False)


def declared_broker(url: str, key_prefix: str = "") -> BrokerDeclared:
    return BrokerDeclared(url, key_prefix, 86400.0)


@pytest.fixture
def fake() -> Iterator[FakeAirflow]:
    """Airflow 3.3 as it answers."""
    server = FakeAirflow()
    yield server
    server.close()


@pytest.fixture
def airflow(fake: FakeAirflow) -> Airflow:
    return Airflow(declared_airflow(fake.url), poll_s=2)


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=32)
    kept: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                kept.append(listener.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for each in kept:
        each.close()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.stop()


@pytest.fixture
def broker(redis_server: RedisServer) -> Broker:
    return Broker(declared_broker(redis_server.url), connect_s=0.5, answer_s=0.5)


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsServer]:
    server = AwsServer()
    yield server
    server.close()


@pytest.fixture
def aws(aws_server: AwsServer, monkeypatch: pytest.MonkeyPatch) -> AwsServer:
    """An empty AWS account, which AWS_ENDPOINT_URL leads to."""
    aws_server.reset()
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_server.url)
    return aws_server

"""Each way in which the broker can fail is one PlatformError, in bounded time, and mends by itself."""

from __future__ import annotations

import json
import time
from itertools import islice
from unittest.mock import patch

import pytest

from console.platform.broker import Broker, heartbeats, wire
from console.platform.broker.inspection import REPLIES
from console.platform.ports import PlatformError
from tests.platform.conftest import declared_broker
from tests.platform.redis_server import RedisServer
from tests.services import free_port


def asked(broker: Broker, what: str) -> object:
    if what == "heartbeats":
        beats = broker.heartbeats(idle_s=0.2)
        for _ in range(100):
            next(beats)
        raise AssertionError("heartbeats did not fail")
    return broker.queues(["default"]) if what == "queues" else broker.workers(["celery@x"], timeout_s=0.3)


EVERY = pytest.mark.parametrize("what", ["queues", "workers", "heartbeats"])


@EVERY
def test_nothing_listens_there(what: str) -> None:
    with pytest.raises(PlatformError) as raised:
        asked(Broker(declared_broker(f"redis://:secret@127.0.0.1:{free_port()}/0")), what)
    assert raised.value.code == "refused"
    assert "AIRFLOW_BROKER_URL" in raised.value.remedy
    assert "secret" not in str(raised.value)


@EVERY
def test_a_server_that_accepts_and_never_answers(what: str, silent: int) -> None:
    began_s = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        asked(Broker(declared_broker(f"redis://127.0.0.1:{silent}/0"), connect_s=0.5, answer_s=0.5), what)
    assert raised.value.code == "timeout"
    assert time.monotonic() - began_s < 8


@EVERY
def test_a_redis_that_freezes_in_the_middle(what: str, redis_server: RedisServer, broker: Broker) -> None:
    broker.queues(["default"])
    redis_server.freeze()
    with pytest.raises(PlatformError) as raised:
        asked(broker, what)
    assert raised.value.code == "timeout"
    redis_server.thaw()
    assert broker.queues(["default"]).unacknowledged == 0


@EVERY
def test_a_wrong_password(what: str) -> None:
    server = RedisServer("--requirepass", "right")
    try:
        with pytest.raises(PlatformError) as raised:
            asked(Broker(declared_broker(f"redis://:wrong-one@127.0.0.1:{server.port}/0")), what)
    finally:
        server.stop()
    assert raised.value.code == "unauthorised"
    assert "wrong-one" not in str(raised.value) + raised.value.remedy


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(PlatformError) as raised:
        Broker(declared_broker("redis://redis.invalid:6379/0")).queues(["default"])
    assert raised.value.code in {"refused", "timeout"}


def test_it_mends_when_redis_comes_back(redis_server: RedisServer, broker: Broker) -> None:
    broker.queues(["default"])
    redis_server.stop()
    with pytest.raises(PlatformError):
        broker.queues(["default"])
    redis_server.start()
    assert broker.queues(["default"]).depths[0].waiting == 0


class TestHeartbeats:
    def test_tick_while_no_worker_beats(self, broker: Broker) -> None:
        beats = broker.heartbeats(idle_s=0.1)
        began_s = time.monotonic()
        assert [next(beats) for _ in range(20)] == [None] * 20
        assert 1.5 < time.monotonic() - began_s < 6

    def test_end_with_an_error_when_redis_cuts_the_subscriber_off(
        self, redis_server: RedisServer, broker: Broker
    ) -> None:
        beats = broker.heartbeats(idle_s=0.1)
        next(beats)
        redis_server.client.client_kill_filter(_type="pubsub")
        with pytest.raises(PlatformError) as raised:
            list(islice(beats, 50))
        assert raised.value.code == "unavailable"

    def test_end_with_an_error_when_the_connection_is_half_open(
        self, redis_server: RedisServer, broker: Broker
    ) -> None:
        beats = broker.heartbeats(idle_s=0.1)
        next(beats)
        redis_server.freeze()
        with patch.object(heartbeats, "PONG_WITHIN_S", 0.5), pytest.raises(PlatformError) as raised:
            list(islice(beats, 100))
        assert raised.value.code == "timeout"

    def test_end_with_an_error_when_the_console_lags_too_far_behind(self, broker: Broker) -> None:
        server = RedisServer("--client-output-buffer-limit", "pubsub", "1mb", "1mb", "1")
        beats = Broker(declared_broker(server.url)).heartbeats(idle_s=0.1)
        next(beats)
        event = wire.envelope({"type": "worker-heartbeat", "hostname": "celery@x" + "y" * 1000}, {}, "celeryev")
        pipe = server.client.pipeline(transaction=False)
        for _ in range(20_000):
            pipe.publish("/0.celeryev/worker.heartbeat", event)
        pipe.execute()  # and nobody reads meanwhile
        with pytest.raises(PlatformError):
            list(islice(beats, 30_000))
        server.stop()

    def test_survive_what_is_not_a_heartbeat(self, redis_server: RedisServer, broker: Broker) -> None:
        beats = broker.heartbeats(idle_s=2)
        redis_server.client.ping()
        first = next(beats)
        assert first is None
        for data in (
            b"",
            b"{",
            b"[]",
            b"null",
            b'{"body": 1}',
            json.dumps({"body": "e30=", "properties": {}}).encode(),
        ):
            redis_server.client.publish("/0.celeryev/worker.heartbeat", data)
        for event in ({"type": "worker-heartbeat"}, {"type": "task-received", "hostname": "x", "args": "eyJ"}, []):
            redis_server.client.publish("/0.celeryev/worker.heartbeat", wire.envelope(event, {}, "celeryev"))  # type: ignore[arg-type]
        good = {"type": "worker-offline", "hostname": "celery@x", "loadavg": None, "timestamp": 1e300}
        redis_server.client.publish("/0.celeryev/worker.offline", wire.envelope(good, {}, "celeryev"))
        beat = next(beats)
        assert beat is not None
        assert (beat.node, beat.kind, beat.sent_at, beat.active) == ("celery@x", "offline", None, None)


class TestAskingNobody:
    def test_touches_no_network(self) -> None:
        broker = Broker(declared_broker(f"redis://127.0.0.1:{free_port()}/0"))
        with patch("socket.socket.connect", side_effect=AssertionError("a connection was opened")):
            assert broker.workers([], timeout_s=1) == ()

    def test_can_not_be_put_on_the_wire(self) -> None:
        with pytest.raises(ValueError, match="every worker"):
            wire.command("active", {}, [], "ticket", REPLIES, "key")


def test_what_a_killed_console_left_behind_is_swept(redis_server: RedisServer, broker: Broker) -> None:
    old = f"{int(time.time()) - 7200}-dead"
    redis_server.client.sadd(f"_kombu.binding.{REPLIES}", wire.SEPARATOR.join((old, "", f"{old}.{REPLIES}")))
    broker.workers(["celery@x"], timeout_s=0.1)
    assert redis_server.client.exists(f"_kombu.binding.{REPLIES}") == 0


def test_a_reply_that_comes_too_late_expires(redis_server: RedisServer, broker: Broker) -> None:
    broker.workers(["celery@x"], timeout_s=0.1)
    (queue,) = redis_server.client.keys(f"*{REPLIES}")
    redis_server.client.lpush(queue, b"a late reply with a token in it")
    assert 0 < redis_server.client.ttl(queue) <= 60


def test_an_unfinished_call_expires_by_itself(redis_server: RedisServer, broker: Broker) -> None:
    with patch("console.platform.broker.inspection._unbind"):  # as if it was killed
        broker.workers(["celery@x"], timeout_s=0.1)
    keys = redis_server.client.keys()
    assert len(keys) == 2
    assert all(0 < redis_server.client.ttl(key) <= 601 for key in keys)


@pytest.mark.parametrize(
    ("request_", "identity"),
    [
        ({"name": "execute_workload", "args": ["not json"]}, ("", "execute_workload", "")),
        ({"name": "execute_workload", "args": ['{"token": "eyJ"}']}, ("", "execute_workload", "")),
        ({"name": "execute_workload", "args": '(\'{"token": "eyJ…\')'}, ("", "execute_workload", "")),
        ({"name": "x", "args": [["airflow", "tasks", "run", "a"]]}, ("", "x", "")),
        ({"name": "x", "args": []}, ("", "x", "")),
        ({"name": ["eyJ"]}, ("", "", "")),
        ("eyJ", ("", "", "")),
    ],
)
def test_a_request_that_is_not_airflows_is_known_by_name_alone(request_: object, identity: tuple[str, ...]) -> None:
    found = wire.identity(request_)
    assert (found.dag_id, found.task_id, found.run_id) == identity
    assert "eyJ" not in repr(found)

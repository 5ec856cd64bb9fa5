"""Celery's worker events, and only those: `worker-online`, `worker-heartbeat`, `worker-offline`.

Subscribes to the workers' topics alone. Task events are neither enabled nor received: they hold task arguments.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import redis
from redis.exceptions import TimeoutError

from console.platform.broker.wire import EVENTS, opened
from console.platform.readings import WorkerHeartbeat

PONG_WITHIN_S = 5.0
_KINDS = {"worker-online": "online", "worker-heartbeat": "heartbeat", "worker-offline": "offline"}


def received(client: redis.Redis, prefix: str, idle_s: float) -> Iterator[WorkerHeartbeat | None]:
    """Events for ever, None whenever `idle_s` passed without one. Ends by redis-py's exceptions, never by silence:
    a quiet connection is pinged, for a half-open one is quiet too."""
    database = client.connection_pool.connection_kwargs.get("db") or 0
    pattern = f"{prefix}/{database}.{EVENTS}/worker.*"
    connection: Any = client.connection_pool.make_connection()
    try:
        connection.connect()
        connection.send_command("PSUBSCRIBE", pattern)
        pinged_at: float | None = None
        while True:
            if not connection.can_read(timeout=idle_s):
                if pinged_at is None:
                    connection.send_command("PING")
                    pinged_at = time.monotonic()
                elif time.monotonic() - pinged_at > PONG_WITHIN_S:
                    raise TimeoutError("no pong")
                yield None
                continue
            answer = connection.read_response()
            if isinstance(answer, Exception):
                raise answer
            pinged_at = None
            if isinstance(answer, list) and answer and answer[0] == b"pmessage":
                heartbeat = _heartbeat(answer[3])
                if heartbeat is not None:
                    yield heartbeat
    finally:
        connection.disconnect()


def _heartbeat(message: bytes) -> WorkerHeartbeat | None:
    reply = opened(message)
    if reply is None or not isinstance(reply[0], dict):
        return None
    event = reply[0]
    kind, node = _KINDS.get(event.get("type", "")), event.get("hostname")
    if kind is None or not isinstance(node, str):
        return None
    sent_s = event.get("timestamp")
    load = event.get("loadavg")
    return WorkerHeartbeat(
        node=node,
        kind=kind,
        active=_whole(event.get("active")),
        processed=_whole(event.get("processed")),
        load=tuple(float(each) for each in load if isinstance(each, int | float)) if isinstance(load, list) else (),
        freq_s=float(event["freq"]) if isinstance(event.get("freq"), int | float) else None,
        pid=_whole(event.get("pid")),
        sent_at=_moment(sent_s) if isinstance(sent_s, int | float) else None,
        received_at=datetime.now(UTC),
    )


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _moment(seconds: float) -> datetime | None:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError, ValueError):
        return None

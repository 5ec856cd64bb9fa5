"""Telling named Celery workers what to consume, and to stop. An answer means *scheduled*: look again to verify."""

from __future__ import annotations

import uuid
from typing import Any

import redis

from console.platform.broker.wire import CONTROL, command


def tell(client: redis.Redis, prefix: str, nodes: list[str], method: str, arguments: dict[str, Any]) -> int:
    """Send one command to exactly these nodes, and do not wait: what came of it is read from the worker itself.

    Returns how many subscribers Redis handed it to (workers of the whole fleet: each looks whether it is meant).
    """
    database = client.connection_pool.connection_kwargs.get("db") or 0
    message = command(method, arguments, nodes, str(uuid.uuid4()))
    return int(client.publish(f"{prefix}/{database}.{CONTROL}", message))

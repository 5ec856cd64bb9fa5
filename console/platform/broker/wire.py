"""What kombu and Celery put on Redis, as far as the console speaks it. Checked against real workers by the tests.

A message is a JSON envelope with a base64 body. Queues are lists, one more for each priority step. A fanout exchange is
a channel `/{db}.{exchange}`, a topic below it `/{db}.{exchange}/{routing key}`. `global_keyprefix` stands before all.
"""

from __future__ import annotations

import base64
import json
import re
import time
import uuid
from typing import Any

from console.platform.readings import TaskIdentity

SEPARATOR = "\x06\x16"
PRIORITY_STEPS = (0, 3, 6, 9)
UNACKED = "unacked"
CONTROL = "celery.pidbox"
EVENTS = "celeryev"
CANARY = "celery.accumulate"
"""A task that every Celery worker knows: it adds its arguments up."""
CANARY_QUEUE = "quarterdeck.canary."
"""What the queue of one worker's canary begins with; its node's name follows."""


def lists_of(queue: str) -> tuple[str, ...]:
    """The keys of a queue, one for each priority step."""
    return tuple(f"{queue}{SEPARATOR}{step}" if step else queue for step in PRIORITY_STEPS)


def envelope(body: dict[str, Any], headers: dict[str, Any], exchange: str) -> bytes:
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "delivery_mode": 1,
                "delivery_info": {"exchange": exchange, "routing_key": ""},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    ).encode()


def opened(message: bytes) -> tuple[Any, dict[str, Any]] | None:
    """Body and headers of an envelope; None where it is not one."""
    try:
        outer = json.loads(message)
        body = outer["body"]
        if outer["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        return json.loads(body), outer.get("headers") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def command(
    method: str,
    arguments: dict[str, Any],
    nodes: list[str],
    ticket: str,
    reply_exchange: str = "",
    reply_key: str = "",
) -> bytes:
    """A remote-control command for exactly these nodes. Celery takes an empty list for *every* worker: refused.

    Without a reply exchange nobody answers it.
    """
    if not nodes:
        raise ValueError("a command needs a node: an empty destination would address every worker")
    body = {
        "method": method,
        "arguments": arguments,
        "destination": nodes,
        "pattern": None,
        "matcher": None,
        "ticket": ticket,
        "reply_to": {"exchange": reply_exchange, "routing_key": reply_key} if reply_exchange else None,
    }
    return envelope(body, {"clock": 1, "expires": 0}, CONTROL)


def canary_queue(node: str) -> str:
    return f"{CANARY_QUEUE}{node}"


def canary(node: str) -> bytes:
    """A message (Celery's protocol 2) with a harmless task for the one worker that consumes its canary queue.

    Its result is stored nowhere; that the worker has run it is told by its own statistics.
    """
    number = str(uuid.uuid4())
    headers = {
        "lang": "py", "task": CANARY, "id": number, "root_id": number, "parent_id": None, "group": None,
        "ignore_result": True, "argsrepr": "(1,)", "kwargsrepr": "{}", "origin": "quarterdeck", "retries": 0,
        "eta": None, "expires": None, "timelimit": [None, None],
    }  # fmt: skip
    queue = canary_queue(node)
    body = [[1], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    return json.dumps(
        {
            "body": base64.b64encode(json.dumps(body).encode()).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": headers,
            "properties": {
                "correlation_id": number,
                "reply_to": "",
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": queue},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid.uuid4()),
            },
        }
    ).encode()


# --- identities ----------------------------------------------------------------------------------------------------

_UNKNOWN = TaskIdentity("", "", "")


def identity(request: Any) -> TaskIdentity:
    """Which task instance a worker's request is: all that may leave the adapter. Its arguments hold a token.

    Airflow 3: `args[0]` is the workload as JSON, its `ti` the key. Airflow 2: `args[0]` is the command line
    `airflow tasks run DAG TASK RUN …`. Any other Celery task is known by its name alone.
    """
    if not isinstance(request, dict):
        return _UNKNOWN
    args = request.get("args")
    first = args[0] if isinstance(args, list | tuple) and args else None
    found: TaskIdentity | None = None
    if isinstance(first, str):
        found = _of_workload(first)
    elif isinstance(first, list) and first[:3] == ["airflow", "tasks", "run"]:
        found = _of_command(first)
    name = request.get("name")
    return found or TaskIdentity("", name if isinstance(name, str) else "", "")


def _of_workload(workload: str) -> TaskIdentity | None:
    try:
        key = json.loads(workload)["ti"]
        map_index, try_number = key.get("map_index"), key.get("try_number")
        return TaskIdentity(
            dag_id=str(key["dag_id"]),
            task_id=str(key["task_id"]),
            run_id=str(key["run_id"]),
            map_index=map_index if isinstance(map_index, int) else -1,
            try_number=try_number if isinstance(try_number, int) else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _of_command(line: list[Any]) -> TaskIdentity | None:
    words = [str(word) for word in line[3:]]
    if len(words) < 3:
        return None
    index = words[words.index("--map-index") + 1 :][:1] if "--map-index" in words else []
    map_index = int(index[0]) if index and re.fullmatch(r"-?\d+", index[0]) else -1
    return TaskIdentity(words[0], words[1], words[2], map_index)


def reply_key() -> str:
    """A name for the replies of one call. It begins with its time, so that a forgotten one can be told."""
    return f"{int(time.time())}-{uuid.uuid4().hex}"

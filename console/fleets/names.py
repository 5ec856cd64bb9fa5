"""How workers, hosts and queues are called, and how a name from outside is made safe to keep. Pure.

A name may come from anybody who can write to the broker: it is bounded and freed of what PostgreSQL refuses. HTML in
it is left alone: templates escape it.
"""

from __future__ import annotations

import hashlib
import re

NAME_LIMIT = 500
_TURNS = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))  # make a text read another way round
_CONTROLS = dict.fromkeys([*range(32), *range(127, 160), 0x2028, 0x2029, *_TURNS], "\N{REPLACEMENT CHARACTER}")
_INSTANCE_ID = re.compile(r"\Ai-[0-9a-f]{8,32}\Z", re.ASCII)
_PRIVATE_HOST = re.compile(r"\Aip-(\d{1,3})-(\d{1,3})-(\d{1,3})-(\d{1,3})\Z", re.ASCII)
_ADDRESS = re.compile(r"\A\d{1,3}(\.\d{1,3}){3}\Z", re.ASCII)


def kept(name: str) -> str:
    """`name` as it is kept: no control character, none that turns the direction it is read in, no lone surrogate.

    At most `NAME_LIMIT` characters: a longer one is cut and ends in a digest, so that two long names never become one.
    """
    name = name.translate(_CONTROLS).encode("utf-8", "replace").decode()
    if len(name) <= NAME_LIMIT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return f"{name[: NAME_LIMIT - 17]}~{digest}"


def shortened(name: str, most: int) -> str:
    """`name`, cut to `most` letters, the last of which then is an ellipsis."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def host_of(node: str) -> str:
    """`i-0abc` of Celery's `celery@i-0abc`; a name without an @ is its own host."""
    return node.partition("@")[2] or node


def host_key(host: str | None) -> str:
    """What two spellings of one host have in common: lower case, without its domain; an address stays whole."""
    if not host:
        return ""
    host = host.strip().lower()
    return host if _ADDRESS.match(host) else host.partition(".")[0]


def instance_of(host: str) -> str:
    """The instance id in a host's name, "" where it is named otherwise."""
    key = host_key(host)
    return key if _INSTANCE_ID.match(key) else ""


def address_of(host: str) -> str:
    """The private address in EC2's own names, `10.0.1.5` of `ip-10-0-1-5.eu-north-1.compute.internal`; else ""."""
    key = host_key(host)
    if _ADDRESS.match(key):
        return key
    found = _PRIVATE_HOST.match(key)
    return ".".join(found.groups()) if found else ""


def node_of(instance_id: str) -> str:
    """What a worker on this instance calls itself by the console's convention."""
    return f"celery@{instance_id}"


def task_key(dag_id: str, task_id: str, run_id: str, map_index: int) -> str:
    """A short key of a task instance: its four parts may be longer than an index row."""
    text = "\x1f".join((dag_id, task_id, run_id, str(map_index)))
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def int4(value: int | None) -> int | None:
    """A number from outside that fits PostgreSQL's integer, else None: one odd worker must not spoil a batch."""
    return value if value is not None and 0 <= value < 2**31 else None


def int8(value: int | None) -> int | None:
    return value if value is not None and 0 <= value < 2**63 else None


def series_name(queue: str, what: str) -> str:
    """The series of one queue: `outstanding`, `running`, `slots`, `depth`, `desired`, `workers_in_service`, …"""
    return f"fleet.{queue}.{what}"

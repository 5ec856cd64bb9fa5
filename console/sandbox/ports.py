"""TCP ports on the loopback: chosen once for a home, kept, and checked at each start."""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from console.sandbox.home import Home, SandboxError, read_json, write_private

FIRST, LAST = 20_000, 29_999
"""Below the range from which Linux picks ports for outgoing connections: those would take ours between starts."""

NAMES = ("postgres", "warehouse", "redis", "broker", "airflow", "aws", "pager", "mail")


@dataclass(frozen=True)
class Ports:
    """Where each server of the sandbox listens, on 127.0.0.1."""

    web: int
    postgres: int
    warehouse: int
    redis: int
    broker: int
    airflow: int
    aws: int
    pager: int
    mail: int


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose(
    kept: Mapping[str, int], names: Iterable[str], seed: str, free: Callable[[int], bool], avoid: frozenset[int]
) -> dict[str, int]:
    """A port for each name: the kept one where it is free, else the next free one from a place given by `seed`."""
    chosen: dict[str, int] = {}
    taken = set(avoid)
    span = LAST - FIRST + 1
    place = zlib.crc32(seed.encode()) % span
    for name in names:
        port = kept.get(name)
        if port is None or port in taken or not free(port):
            for step in range(span):
                port = FIRST + (place + step) % span
                if port not in taken and free(port):
                    break
            else:
                raise SandboxError(f"No free port between {FIRST} and {LAST} is left for {name}.")
        assert port is not None
        chosen[name] = port
        taken.add(port)
    return chosen


def web_port(given: str) -> int:
    """`PORT` as a number. Raises SandboxError where it is none."""
    try:
        port = int(given or "8000")
    except ValueError:
        port = 0
    if not 0 < port < 65_536:
        raise SandboxError(f"PORT is {given!r}: give a number from 1 to 65535, for example PORT=8001 make run.")
    return port


def allocate(home: Home, port: int) -> Ports:
    """The ports of this start, written to `ports.json`. Raises SandboxError when the console's own is in use."""
    if not is_free(port):
        raise SandboxError(
            f"Port {port} is in use by another program: stop it, or choose another: PORT={port + 1} make run."
        )
    path = home.root / "ports.json"
    kept = {name: value for name, value in read_json(path).items() if isinstance(value, int)}
    chosen = choose(kept, NAMES, str(home.root), is_free, frozenset({port}))
    write_private(path, json.dumps(chosen, indent=1))
    return Ports(web=port, **chosen)

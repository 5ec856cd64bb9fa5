"""Ports are chosen once, checked at each start, and never the same for two servers."""

from __future__ import annotations

import json
import socket

import pytest

from console.sandbox.home import Home, SandboxError
from console.sandbox.ports import FIRST, LAST, NAMES, allocate, choose, is_free, web_port
from tests.services import free_port


def test_a_kept_port_that_is_free_stays() -> None:
    assert choose({"redis": 25_000}, ["redis"], "home", lambda port: True, frozenset()) == {"redis": 25_000}


def test_a_kept_port_that_is_taken_gives_way_to_a_free_one() -> None:
    chosen = choose({"redis": 25_000}, ["redis"], "home", lambda port: port != 25_000, frozenset())
    assert chosen["redis"] != 25_000
    assert FIRST <= chosen["redis"] <= LAST


def test_no_two_servers_and_not_the_console_get_the_same_port() -> None:
    kept = dict.fromkeys(NAMES, 25_000)
    chosen = choose(kept, NAMES, "home", lambda port: True, frozenset({25_000}))
    assert len(set(chosen.values())) == len(NAMES)
    assert 25_000 not in chosen.values()


def test_two_homes_start_looking_in_different_places() -> None:
    first = choose({}, NAMES, "/one", lambda port: True, frozenset())
    second = choose({}, NAMES, "/two", lambda port: True, frozenset())
    assert not set(first.values()) & set(second.values())


def test_nothing_free_is_told() -> None:
    with pytest.raises(SandboxError, match="No free port"):
        choose({}, ["redis"], "home", lambda port: False, frozenset())


def test_the_ports_of_a_home_are_the_same_the_next_time(home: Home) -> None:
    port = free_port()
    first = allocate(home, port)
    assert allocate(home, port) == first
    assert json.loads((home.root / "ports.json").read_text())["aws"] == first.aws


def test_a_console_port_in_use_is_one_clear_line(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert not is_free(port)
        with pytest.raises(SandboxError, match=rf"^Port {port} is in use .* PORT={port + 1} make run\.$"):
            allocate(home, port)


@pytest.mark.parametrize("given", ["abc", "0", "70000", "-1", "80.5"])
def test_a_port_that_is_none_is_refused_with_an_example(given: str) -> None:
    with pytest.raises(SandboxError, match="PORT=8001 make run"):
        web_port(given)


def test_without_a_port_it_is_8000() -> None:
    assert web_port("") == 8000

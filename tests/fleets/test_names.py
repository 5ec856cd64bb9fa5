from __future__ import annotations

from unicodedata import bidirectional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleets.figures import fleet_url
from console.fleets.names import NAME_LIMIT, address_of, host_key, host_of, instance_of, int4, kept, task_key

TURNING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


@given(st.text())
def test_a_kept_name_is_bounded_writable_and_stays_as_it_is(name: str) -> None:
    once = kept(name)
    assert len(once) <= NAME_LIMIT
    assert not any(ord(letter) < 32 for letter in once)
    assert not any(bidirectional(letter) in TURNING or letter in "\u200e\u200f\u061c" for letter in once)
    once.encode()
    assert kept(once) == once


@pytest.mark.parametrize("turn", ["\u202e", "\u202a", "\u2067", "\u2069", "\u200f", "\u061c"])
def test_a_name_cannot_turn_the_sentence_it_stands_in(turn: str) -> None:
    """`\\u202egpj.exe` would read `exe.jpg`, and so would what stands behind it."""
    assert kept(f"celery@{turn}gpj.exe") == "celery@\N{REPLACEMENT CHARACTER}gpj.exe"


def test_long_names_that_differ_at_their_end_stay_apart() -> None:
    assert kept("q" * 600 + "a") != kept("q" * 600 + "b")


@pytest.mark.parametrize(
    ("node", "host", "instance", "address"),
    [
        ("celery@i-0abc12345678", "i-0abc12345678", "i-0abc12345678", ""),
        ("celery@ip-10-0-1-5.eu-north-1.compute.internal", "ip-10-0-1-5.eu-north-1.compute.internal", "", "10.0.1.5"),
        ("celery@10.0.1.5", "10.0.1.5", "", "10.0.1.5"),
        ("celery@worker-00012", "worker-00012", "", ""),
        ("gen1@a@b", "a@b", "", ""),
        ("nobody", "nobody", "", ""),
        ("celery@", "celery@", "", ""),
        ("celery@i-<script>", "i-<script>", "", ""),
    ],
)
def test_what_a_node_name_tells(node: str, host: str, instance: str, address: str) -> None:
    assert (host_of(node), instance_of(host), address_of(host)) == (host, instance, address)


def test_a_host_is_the_same_with_and_without_its_domain_but_addresses_stay_whole() -> None:
    assert host_key("Worker-7.internal") == host_key("worker-7")
    assert host_key("10.0.1.5") == "10.0.1.5" != host_key("10.0.1.6")
    assert host_key(None) == ""


def test_a_task_is_known_by_all_four_parts_of_its_name() -> None:
    assert len({task_key("d", "t", "r", -1), task_key("d", "t", "r", 0), task_key("dt", "", "r", -1)}) == 3


def test_a_number_that_does_not_fit_is_not_kept() -> None:
    assert [int4(n) for n in (0, 2**31 - 1, 2**31, -1, None)] == [0, 2**31 - 1, None, None, None]


def test_an_address_escapes_whatever_a_queue_is_called() -> None:
    assert fleet_url('a/b"<x>?#%') == "/fleets/a%2Fb%22%3Cx%3E%3F%23%25/"

"""The audit's chain shows what was changed, cut out, swapped or cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.accounts.chain import GENESIS, Head, Link, digest, sealed, verify


def chain(length: int, at: datetime) -> list[Link]:
    links: list[Link] = []
    for seq in range(1, length + 1):
        previous = links[-1].hash if links else GENESIS
        link = Link(
            seq, at + timedelta(seconds=seq), "ada", 1, "session", "x.y", f"t{seq}", "why", "{}", "::1", "r", previous
        )
        links.append(sealed(link))
    return links


def end(links: list[Link]) -> Head:
    return Head(links[-1].seq, links[-1].hash)


def test_a_whole_chain_holds(now: datetime) -> None:
    links = chain(5, now)
    assert verify(links, end(links)) is None


def test_an_empty_one_holds() -> None:
    assert verify([], None) is None


@pytest.mark.parametrize(
    ("name", "harm", "seq"),
    [
        ("changed", lambda links: [*links[:2], replace(links[2], reason="other"), *links[3:]], 3),
        ("changed and sealed again", lambda links: [*links[:2], sealed(replace(links[2], actor="eve")), *links[3:]], 4),
        ("cut out", lambda links: links[:2] + links[3:], 3),
        ("cut off at the end", lambda links: links[:3], 4),
        ("cut off at the start", lambda links: links[1:], 1),
        ("all gone", lambda links: [], 1),
        ("swapped", lambda links: [*links[:2], links[3], links[2], links[4]], 3),
        ("doubled", lambda links: [*links[:3], links[2], *links[3:]], 4),
        ("grown behind the stored end", lambda links: [*links, *chain(6, links[0].at)[5:]], 6),
    ],
)
def test_it_names_the_first_broken_row(
    now: datetime, name: str, harm: Callable[[list[Link]], list[Link]], seq: int
) -> None:
    links = chain(5, now)
    broken = verify(harm(links), end(links))
    assert broken is not None, name
    assert broken.seq == seq


def test_a_missing_end_is_seen(now: datetime) -> None:
    broken = verify(chain(3, now), None)
    assert broken is not None
    assert "stored end" in broken.reason


def test_a_chain_rewritten_to_its_end_needs_a_noted_one(now: datetime) -> None:
    """What nothing inside the database can show, an end that was written down elsewhere does."""
    noted = end(chain(4, now))
    forged = chain(5, now + timedelta(seconds=1))
    assert verify(forged, end(forged)) is None
    broken = verify(forged, end(forged), noted)
    assert broken is not None
    assert broken.seq == 4


def test_a_chain_cut_off_with_its_end_needs_a_noted_one(now: datetime) -> None:
    links = chain(5, now)
    broken = verify(links[:3], end(links[:3]), end(links))
    assert broken is not None
    assert broken.seq == 4


def test_a_noted_end_of_earlier_holds_while_the_chain_grows(now: datetime) -> None:
    links = chain(5, now)
    assert verify(links, end(links), end(links[:2])) is None


text = st.text(max_size=20)


@given(actor=text, target=text, reason=text, details=text)
def test_no_two_contents_share_a_hash_by_moving_text_between_fields(
    actor: str, target: str, reason: str, details: str
) -> None:
    at = datetime(2026, 11, 22).astimezone()
    link = Link(1, at, actor, None, "v", "a", target, reason, details, "", "", GENESIS)
    moved = replace(link, actor=actor + target, target="")
    assert (digest(link) == digest(moved)) is (link == moved)

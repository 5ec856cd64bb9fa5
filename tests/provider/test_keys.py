"""A key can't lead out of its prefix, however it is written."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from quarterdeck_airflow.files.keys import RESERVED, BadKey, clean, clean_prefix, segment

BAD = [
    "", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../a", "a/../b", "a/..", "a/./b", "a\0b", "a\nb", "a\\..\\b",
    "．．/a", "a/․․/b", "a／b", "a＼b", "\u202ea", "a\u200bb", "\ud800", "e\u0301", " a", "a ", "a/ ../b", "x" * 201,
    "/".join(["x" * 150] * 7), f"{RESERVED}/secret", RESERVED,
]  # fmt: skip


@pytest.mark.parametrize("key", BAD)
def test_a_key_that_could_lead_elsewhere_is_refused(key: str) -> None:
    with pytest.raises(BadKey):
        clean(key)


@pytest.mark.parametrize(
    "key", ["a", "a/b.csv", "année/æøå/日本.csv", "a..b/.hidden/c...", "run=manual__2026-11-26T15:00:00+00:00"]
)
def test_a_plain_key_stays_as_it_is(key: str) -> None:
    assert clean(key) == key


@given(st.text())
def test_an_allowed_key_stays_below_its_root(key: str) -> None:
    try:
        clean(key)
    except BadKey:
        return
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        path = PurePosixPath("/root") / unicodedata.normalize(form, key)
        assert path.parts[:2] == ("/", "root")
        assert ".." not in path.parts


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_becomes_one_segment_and_different_texts_stay_apart(one: str, other: str) -> None:
    try:
        first, second = segment(one), segment(other)
    except (BadKey, UnicodeEncodeError):
        return
    assert "/" not in first
    assert clean(first) == first
    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    assert (first == second) == same


def test_segments_of_dots_and_of_the_twins_own_folder_are_escaped() -> None:
    assert [segment(text) for text in ("..", ".", RESERVED, "a/b", " a")] == [
        "%2E%2E",
        "%2E",
        "%2Equarterdeck",
        "a%2Fb",
        "%20a",
    ]


def test_a_prefix_may_end_anywhere() -> None:
    assert [clean_prefix(prefix) for prefix in ("", "a/", "a/b")] == ["", "a/", "a/b"]
    for bad in ("/", "../", "a//", "/a"):
        with pytest.raises(BadKey):
            clean_prefix(bad)

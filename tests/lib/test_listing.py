"""A list's choices are in its address."""

from __future__ import annotations

from console.lib import listing
from console.lib.listing import Listing


def asked(**query: str) -> Listing:
    return listing.read(query, states=("late", "fresh"), columns=("lag", "name"), default_sort="-lag")


def test_what_nobody_offers_falls_back_to_what_is_usual() -> None:
    usual = asked()
    assert asked(state="green", sort="password", page="-1") == usual
    assert [asked(page=page).page for page in ("0", "²", "1e3", "99999999", "", "7")] == [1, 1, 1, 1, 1, 7]
    assert asked(q="a\x00b ").q == "ab"


def test_an_address_asks_for_what_it_was_read_from_and_leaves_out_what_is_usual() -> None:
    assert asked().address() == "?"
    query = {"q": "orders & lines", "state": "late", "sort": "name", "page": "3"}
    assert asked(**query).address() == "?q=orders+%26+lines&state=late&sort=name&page=3"


def test_a_column_that_sorts_already_turns_its_order_round_and_begins_at_the_first_page() -> None:
    offered = [("lag", "Lag", True), ("name", "Table", False)]
    found = listing.columns(asked(page="4"), offered)
    assert (found["lag"].order, found["lag"].url) == ("descending", "?sort=lag")
    assert (found["name"].order, found["name"].url) == ("none", "?sort=name")
    assert listing.columns(asked(sort="name"), offered)["name"].url == "?sort=-name"


def test_a_tab_keeps_the_search_and_says_which_one_is_chosen() -> None:
    first, second = listing.tabs(asked(q="x", state="late", page="2"), [("", "All", 3), ("late", "Late", None)])
    assert (first.url, first.current, first.count) == ("?q=x", False, 3)
    assert (second.url, second.current, second.count) == ("?q=x&state=late", True, None)


def test_a_page_past_the_end_is_the_last_one() -> None:
    last = listing.pager(asked(page="900"), total=101, size=50)
    assert (last.first, last.last, last.total, last.pages) == (101, 101, 101, 3)
    assert (last.start, last.previous, last.next) == (100, "?page=2", "")
    empty = listing.pager(asked(page="2"), total=0, size=50)
    assert (empty.first, empty.last, empty.start, empty.previous, empty.next) == (0, 0, 0, "", "")

"""A list's address: what it looks for, which state, in which order, which page. Pure; pages build their links with it.

Every choice is in the address, so that a view can be linked to, and the live refresh asks for the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

TEXT_LIMIT = 200


@dataclass(frozen=True)
class Listing:
    """What an address asks for. `sort` is a column's key, with `-` before it when it falls."""

    q: str = ""
    state: str = ""
    sort: str = ""
    page: int = 1
    default_sort: str = ""

    @property
    def column(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def falls(self) -> bool:
        return self.sort.startswith("-")

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self.state)

    def address(self, *, state: str | None = None, sort: str | None = None, page: int | None = None) -> str:
        """The query part that asks for this, without what is usual; `?` alone when all is. What is given is asked for
        instead of this listing's own."""
        state, sort = self.state if state is None else state, self.sort if sort is None else sort
        page = self.page if page is None else page
        wanted = (("q", self.q, ""), ("state", state, ""), ("sort", sort, self.default_sort), ("page", page, 1))
        found = [(key, value) for key, value, usual in wanted if value != usual]
        return "?" + urlencode(found) if found else "?"


def read(query: Mapping[str, str], *, states: Iterable[str], columns: Iterable[str], default_sort: str) -> Listing:
    """The listing of an address; words that nobody offers fall back to what is usual."""
    sort, state, page = query.get("sort", ""), query.get("state", ""), query.get("page", "")
    return Listing(
        q=query.get("q", "").replace("\x00", "").strip()[:TEXT_LIMIT],
        state=state if state in set(states) else "",
        sort=sort if sort.removeprefix("-") in set(columns) else default_sort,
        page=int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 7 and int(page) else 1,
        default_sort=default_sort,
    )


@dataclass(frozen=True)
class Column:
    """A column that sorts: `order` is `ascending`, `descending` or `none`, `url` where its heading leads."""

    key: str
    word: str
    url: str
    order: str


def columns(listing: Listing, offered: Iterable[tuple[str, str, bool]]) -> dict[str, Column]:
    """`(key, word, falls first)` → headings by key; the one that sorts already turns its order round."""
    found = {}
    for key, word, falls_first in offered:
        current = listing.column == key
        falls = not listing.falls if current else falls_first
        url = listing.address(sort=f"-{key}" if falls else key, page=1)
        order = ("descending" if listing.falls else "ascending") if current else "none"
        found[key] = Column(key, word, url, order)
    return found


@dataclass(frozen=True)
class Tab:
    """One of the states to choose from; `count` None is unknown."""

    word: str
    count: int | None
    url: str
    current: bool


def tabs(listing: Listing, offered: Iterable[tuple[str, str, int | None]]) -> tuple[Tab, ...]:
    """`(state, word, how many)` → links; the state `""` is all of them."""
    return tuple(
        Tab(word, number, listing.address(state=state, page=1), listing.state == state)
        for state, word, number in offered
    )


@dataclass(frozen=True)
class Pager:
    """Which rows of how many are shown: `first` to `last`, counted from 1; a link is "" where there is no page."""

    first: int
    last: int
    total: int
    previous: str
    next: str
    pages: int

    @property
    def start(self) -> int:
        """How many rows come before."""
        return max(0, self.first - 1)


def pager(listing: Listing, total: int, size: int) -> Pager:
    """The page asked for, or the last one when there are fewer."""
    pages = max(1, -(-total // size))
    page = min(listing.page, pages)
    first = (page - 1) * size + 1
    return Pager(
        first=first if total else 0,
        last=min(total, page * size),
        total=total,
        previous=listing.address(page=page - 1) if page > 1 else "",
        next=listing.address(page=page + 1) if page < pages else "",
        pages=pages,
    )

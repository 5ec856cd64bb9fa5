"""The navigation: one list for the side bar, the phone's tabs, the palette and the shortcuts."""

from __future__ import annotations

from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

from django.urls import is_valid_path
from jinja2 import pass_context
from jinja2.runtime import Context


class Entry(NamedTuple):
    """A page of the navigation; `flag` is the field of `shell.flags` with what is exceptional about it."""

    word: str
    url: str
    icon: str
    key: str
    group: str
    flag: str = ""


ENTRIES = (
    Entry("Overview", "/", "layout-dashboard", "o", ""),
    Entry("Incidents", "/incidents/", "urgent", "i", "", "incidents"),
    Entry("Scheduler", "/scheduler/", "heartbeat", "s", "Airflow", "scheduler"),
    Entry("Fleets", "/fleets/", "server-2", "f", "Airflow", "fleets"),
    Entry("Deploys", "/deploys/", "rocket", "d", "Airflow", "deploys"),
    Entry("Pools", "/pools/", "stack-2", "p", "Airflow", "pools"),
    Entry("Connections", "/connections/", "plug", "n", "Airflow"),
    Entry("Freshness", "/freshness/", "table", "t", "Data", "freshness"),
    Entry("Datastores", "/datastores/", "database", "b", "Data", "datastores"),
    Entry("Storage", "/storage/", "archive", "e", "Data", "storage"),
    Entry("History", "/history/", "chart-line", "h", "Record"),
    Entry("Operations", "/operations/", "list-details", "l", "Record", "operations"),
    Entry("Audit", "/audit/", "file-text", "a", "Record"),
    Entry("Style sheet", "/style/", "palette", "c", "Record"),
)
TABS = ("Overview", "Incidents", "Freshness", "Fleets", "Scheduler")


class Link(NamedTuple):
    """An entry as one request sees it."""

    entry: Entry
    current: bool
    flag: Any


@cache
def _built() -> tuple[Entry, ...]:
    """The entries whose page exists in this build."""
    return tuple(entry for entry in ENTRIES if is_valid_path(entry.url))


@pass_context
def nav(context: Context) -> list[Link]:
    """Links of every page that exists, in order; `current` marks the one that holds this request's path."""
    path = getattr(context.get("request"), "path", "")
    flags = getattr(context.get("shell"), "flags", None)
    return [
        Link(
            entry,
            path == entry.url if entry.url == "/" else path.startswith(entry.url),
            getattr(flags, entry.flag, None) if entry.flag else None,
        )
        for entry in _built()
    ]


def tabs(links: list[Link]) -> list[Link]:
    """At most four of them for the phone's bottom bar; the fifth place opens the palette."""
    wanted = [link for word in TABS for link in links if link.entry.word == word]
    return wanted[:4]


def grouped(links: list[Link]) -> list[tuple[str, list[Link]]]:
    """They stand under headings: each with its links, in order."""
    return [(title, list(found)) for title, found in groupby(links, key=lambda link: link.entry.group)]


def current(links: list[Link]) -> Link | None:
    """The entry this page belongs to, or None."""
    return next((link for link in links if link.current), None)

"""Whatever a template prints comes out as text: each word of each row in turn is replaced by an attack.

Jinja2 escapes because `console.lib.templates` says so and because no tag gives out a word as safe HTML; both have to
hold for every field, also of those that only show in some state.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.template import engines
from django.utils import timezone
from django.utils.safestring import SafeString

from console.fleets.fleet_page import Busy, fleet_page
from console.fleets.pages import fleets_page
from console.freshness.cells import Cell, Fate
from console.freshness.pages import freshness_page
from console.incidents.pages import list_page as incidents_page
from console.incidents.pages import row_of as incidents_row
from console.lib import components, templates
from console.lib.nav import ENTRIES, Link
from console.lib.templates import draw
from console.operations.models import Operation
from console.operations.pages import list_page as operations_page
from console.operations.pages import row_of as operation_row
from console.overview.pages import overview_page
from tests.fleets import story
from tests.freshness.made import level
from tests.incidents.made import opened

pytestmark = pytest.mark.django_db

ATTACK = "planted\"'><script onplanted=1>{{ 7*7777 }}</script>{% raw %}&lt;"
Place = tuple[Any, ...]


class Reading(HTMLParser):
    """What a browser would make of it: tags, attributes, and how often the attack stands there as text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.bad: list[str] = []
        self.shown = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.bad += [tag] if tag == "script" else []
        for name, value in attrs:
            self.bad += [name] if "planted" in name or name.startswith("on") else []
            self.shown += "planted" in (value or "")

    def handle_data(self, data: str) -> None:
        self.shown += "planted" in data


def words(value: Any, at: Place = ()) -> Iterator[Place]:
    """Where in a page's values a word stands."""
    for key, inner in parts(value):
        if type(inner) is str:
            yield (*at, key)
        else:
            yield from words(inner, (*at, key))


def parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, enum.Enum) or value is None:
        return
    if dataclasses.is_dataclass(value):
        yield from ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value) if field.init)
    elif isinstance(value, tuple | list):
        yield from enumerate(value)
    elif isinstance(value, Mapping):
        yield from value.items()


def planted(value: Any, at: Place) -> Any:
    """The same value with the attack at that place."""
    if not at:
        return ATTACK
    key, *rest = at
    inner = planted(dict(parts(value))[key], tuple(rest))
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **{key: inner})  # type: ignore[type-var]
    if isinstance(value, tuple | list):
        new = [inner if index == key else one for index, one in enumerate(value)]
        return type(value)(*new) if hasattr(value, "_fields") else type(value)(new)
    return {**value, key: inner}


def everything() -> dict[str, dict[str, Any]]:
    """The templates that draw a page's rows, with values as a busy night gives them."""
    now = timezone.now()
    story.tell(now)
    level(now, latency_s=4000)
    fleet = fleet_page("cpu", now, {})
    workers = fleet.workers[:2]
    fleet = dataclasses.replace(fleet, workers=workers, busy={workers[0].instance_id: Busy(7, "drain", "/o/7/")})
    declared = freshness_page(now, {})
    cells = tuple(Cell(now, now, fate, 90.0) for fate in Fate)
    tables = tuple(dataclasses.replace(one, cells=cells) for one in declared.tables[:1])
    incident = opened()
    taken = incidents_row(incident, now)
    change = operation_row(
        Operation(
            pk=3, kind="drain", target="worker:i-1", reason="because", requested_by_name="mira", state="running",
            created_at=now, started_at=now, progress={"done": 1, "total": 2, "text": "one of two"},
        ),
        now,
    )  # fmt: skip
    links = [Link(ENTRIES[1], True, Flag("bad", "3 open")), Link(ENTRIES[3], False, Flag("warn", "1 lost"))]
    overview = overview_page(now)
    shell = Standing(Environment("prod", "eu-north-1", "3.3"))
    return {
        "fleets/_worker_rows.html": {"page": fleet, "may": True, "now": now},
        "fleets/_other_rows.html": {"page": dataclasses.replace(it := fleets_page(now, {}), others=it.others[:1])},
        "freshness/_table_rows.html": {"page": dataclasses.replace(declared, tables=tables), "now": now},
        "incidents/_list_rows.html": {
            "page": dataclasses.replace(
                incidents_page(now, {}), rows=(taken, dataclasses.replace(taken, state="resolved", taken_by="mira"))
            ),
            "now": now,
        },
        "operations/_list_rows.html": {
            "page": dataclasses.replace(operations_page(now, {}), rows=(change,)),
            "now": now,
        },
        "overview/_incidents.html": {"rows": (taken, dataclasses.replace(taken, taken_by="mira"))},
        "overview/_fleet_row.html": {"fleet": fleet.fleet, "backlog": (1.0, None, 2.0), "number": 1},
        "overview/_scheduler.html": {"it": overview.state.of.scheduler, "page": Unplanted(overview), "now": now},
        "overview/_pools.html": {"it": overview.state.of.pools, "page": Unplanted(overview), "now": now},
        "overview/_sources.html": {"page": Seen(Sources(overview.state.systems[:1])), "now": now},
        "partials/_nav.html": {"links": links, "shell": shell},
        "partials/_tabbar.html": {"links": links},
        "partials/_palette.html": {"links": links},
        "partials/_shortcuts.html": {"links": links},
    }


class Unplanted:
    """A page whose words are left alone."""

    def __init__(self, page: object) -> None:
        self._page = page

    def __getattr__(self, name: str) -> object:
        return getattr(self._page, name)


@dataclasses.dataclass(frozen=True)
class Sources:
    systems: tuple[Any, ...]
    blind: tuple[Any, ...] = ()


@dataclasses.dataclass(frozen=True)
class Seen:
    state: Sources


@dataclasses.dataclass(frozen=True)
class Flag:
    tone: str
    text: str


@dataclasses.dataclass(frozen=True)
class Environment:
    name: str
    region: str
    airflow_version: str


@dataclasses.dataclass(frozen=True)
class Standing:
    environment: Environment


def drawn_with_attacks(name: str, values: dict[str, Any]) -> tuple[list[str], set[Place]]:
    """What came out as markup, and the places whose attack could be read on the page."""
    bad: list[str] = []
    seen: set[Place] = set()
    for at in words(values):
        found = Reading(draw(name, **planted(values, at)))
        bad += [f"{at}: {one}" for one in found.bad]
        seen |= {at} if found.shown else set()
    return bad, seen


# How many places of each show what is planted there: less, and this test looks past what is printed.
SHOWN = {
    "fleets/_worker_rows.html": 10,
    "fleets/_other_rows.html": 2,
    "freshness/_table_rows.html": 4,
    "incidents/_list_rows.html": 8,
    "operations/_list_rows.html": 5,
    "overview/_incidents.html": 9,
    "overview/_fleet_row.html": 5,
    "overview/_scheduler.html": 3,
    "overview/_pools.html": 2,
    "overview/_sources.html": 10,
    "partials/_nav.html": 5,
    "partials/_tabbar.html": 2,
    "partials/_palette.html": 2,
    "partials/_shortcuts.html": 2,
}


def test_every_word_that_a_row_prints_is_text() -> None:
    shown = {}
    for name, values in everything().items():
        bad, seen = drawn_with_attacks(name, values)
        assert bad == [], name
        shown[name] = len(seen)
    assert {name: number for name, number in shown.items() if number < SHOWN[name]} == {}, shown


def test_the_rows_of_every_list_are_looked_at() -> None:
    root = Path(settings.BASE_DIR) / "templates"
    assert {str(path.relative_to(root)) for path in root.rglob("_*_rows.html")} <= set(SHOWN)


def test_without_escaping_this_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engines["jinja2"].env.overlay(autoescape=False)  # type: ignore[attr-defined]
    monkeypatch.setattr(templates, "_kept", lambda name: (engine.get_template(name), dict(engine.globals)))
    for name, values in everything().items():
        if "/_" in name and not name.startswith("partials/_tab"):
            assert drawn_with_attacks(name, values)[0], name


@pytest.mark.parametrize(
    "draw_it",
    [
        lambda word: components.pill("healthy", word),
        lambda word: components.state("healthy", word),
        lambda word: components.pill(word),
        lambda word: components.state(word),
        lambda word: components.icon("x", label=word),
        lambda word: components.icon("x", "", "", word),
        lambda word: components.icon(word),
        lambda word: components.state_icon("healthy", label=word),
        lambda word: components.bar(1.0, 2.0, label=word),
        lambda word: components.bar(1.0, 2.0, "healthy", "progress", word),
    ],
)
def test_what_was_drawn_of_safe_words_is_not_given_for_the_same_words_unsafe(draw_it: Callable[[str], str]) -> None:
    """The drawings are kept by what they were asked for; a safe string equals the plain one with its letters."""
    safe = draw_it(SafeString(ATTACK))
    assert Reading(draw_it(ATTACK)).bad == []
    assert Reading(draw_it(ATTACK)).shown
    assert draw_it(SafeString(ATTACK)) == safe


@pytest.mark.parametrize(
    "html",
    [
        lambda: components.sparkline([1.0, 2.0], ATTACK, ATTACK),
        lambda: components.slotbar(1, 1, 1, 4, ATTACK),
        lambda: components.propbar([(ATTACK, 1, ATTACK)]),
        lambda: components.segs([(ATTACK, 1, ATTACK)]),
        lambda: components.strip([ATTACK, "healthy"], ATTACK, ATTACK),
    ],
)
def test_no_drawing_lets_a_word_out(html: Callable[[], str]) -> None:
    found = Reading(html())
    assert found.bad == []
    assert found.shown

"""The frame around every page: environment, flags, blindness and verdict; and none of them when they are not known."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from django.template import engines
from django.test import RequestFactory

from console.lib import nav

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)


@dataclass(frozen=True)
class Says:
    """Anything with names, as the console's frozen page objects are."""

    tone: str = ""
    text: str = ""
    url: str = "/"
    url_text: str = "Open"
    what: str = ""
    since: datetime | None = None
    because: str = ""
    remedy: str = ""
    name: str = "sandbox"
    region: str = "eu-north-1"
    airflow_version: str = "3.3.0"


@dataclass(frozen=True)
class Shell:
    environment: Any = field(default_factory=Says)
    flags: Any = None
    blind: tuple[Any, ...] = ()
    verdict: Any = None
    now: datetime = NOW


@dataclass(frozen=True)
class Flags:
    fleets: Any = None
    scheduler: Any = None


@pytest.fixture(autouse=True)
def pages_that_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nav, "_built", lambda: nav.ENTRIES)


def page(path: str = "/fleets/cpu/", **context: Any) -> str:
    environment = engines["jinja2"].env  # type: ignore[attr-defined]
    return str(
        environment.from_string('{% extends "base.html" %}').render(request=RequestFactory().get(path), **context)
    )


def test_the_environment_is_named_so_that_nobody_mistakes_one_for_another() -> None:
    html = page(shell=Shell())
    assert "<b>sandbox</b>" in html
    assert "eu-north-1 · Airflow 3.3.0" in html


def test_a_page_below_an_entry_marks_that_entry_as_current() -> None:
    html = page("/fleets/cpu/")
    assert html.count('aria-current="page"') == 2  # the navigation's and the tabs'
    assert 'href="/fleets/" aria-current="page"' in html


def test_the_overview_is_current_only_on_its_own_page() -> None:
    assert 'href="/" aria-current="page"' in page("/")
    assert 'href="/" aria-current="page"' not in page("/fleets/")


def test_a_flag_stands_beside_its_page_only() -> None:
    html = page(shell=Shell(flags=Flags(fleets=Says(tone="warn", text="1 lost"))))
    assert html.count("data-flag") == 1
    assert "1 lost" in html


def test_a_failing_page_marks_the_phones_tab_too() -> None:
    html = page(shell=Shell(flags=Flags(fleets=Says(tone="bad", text="2 lost"))))
    assert "qd-dot" in html


def test_what_the_console_cannot_see_comes_before_everything_else() -> None:
    gap = Says(what="the broker", since=NOW, because="connection refused")
    verdict = Says(tone="bad", text="Orders is late")
    html = page(shell=Shell(blind=(gap,), verdict=verdict))
    assert "Quarterdeck is blind to the broker since" in html
    assert html.index("blind to the broker") < html.index("Orders is late") < html.index('id="main"')


def test_a_good_platform_has_no_strip_and_no_banner() -> None:
    html = page(shell=Shell())
    assert "qd-vstrip" not in html
    assert "qd-blind" not in html


def test_the_frame_stands_without_any_shell() -> None:
    html = page(shell=None)
    assert 'id="live"' in html
    assert "qd-flag" not in html
    assert "qd-env" not in html


def test_a_pages_own_address_with_its_query_is_what_is_refreshed() -> None:
    assert 'hx-get="/fleets/?queue=cpu&amp;page=2"' in page("/fleets/?queue=cpu&page=2")


def test_names_from_the_platform_are_escaped() -> None:
    html = page(shell=Shell(environment=Says(name="<img src=x>")))
    assert "<img src=x>" not in html
    assert "&lt;img src=x&gt;" in html

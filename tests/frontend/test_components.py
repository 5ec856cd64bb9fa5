"""The components, as a page uses them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.template import engines
from django.test import RequestFactory
from jinja2 import UndefinedError

from console.lib.templates import environment, missing

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)
NBSP = "\N{NO-BREAK SPACE}"


def drawn(source: str, **context: Any) -> str:
    return engines["jinja2"].from_string(source).render({"now": NOW, **context}, RequestFactory().get("/"))


def test_a_pill_says_the_word_beside_the_icon() -> None:
    html = drawn('{{ pill("failing", "2 at risk") }}')
    assert "qd-pill-bad" in html
    assert "#i-alert-octagon-f" in html
    assert "2 at risk" in html


def test_a_pill_of_none_is_unknown() -> None:
    assert "unknown" in drawn("{{ pill(none) }}")
    assert "qd-pill-unk" in drawn("{{ pill(none) }}")


def test_a_pill_escapes_what_the_platform_said() -> None:
    assert "<script>" not in drawn("{{ pill('healthy', word) }}", word="<script>x</script>")


def test_an_icon_is_silent_unless_it_is_named() -> None:
    assert 'aria-hidden="true"' in drawn('{{ icon("bolt") }}')
    assert 'role="img" aria-label="lost"' in drawn('{{ icon("x", label="lost") }}')


@pytest.mark.parametrize(
    ("age_s", "mood", "words"),
    [(3, "", f"3{NBSP}s"), (25, "is-old", f"25{NBSP}s"), (31, "is-stale", f"stale, 31{NBSP}s")],
)
def test_an_age_warns_and_then_turns_stale(age_s: int, mood: str, words: str) -> None:
    html = drawn("{{ age(at, none, 30, 5) }}", at=NOW - timedelta(seconds=age_s))
    assert f'class="qd-age {mood}"' in html
    assert words in html
    assert f"updates every 5{NBSP}s, unknown after 30{NBSP}s" in html


def test_an_age_carries_the_moment_so_that_the_browser_can_count_on() -> None:
    at = NOW - timedelta(seconds=3)
    assert f'data-at="{round(at.timestamp() * 1000)}"' in drawn("{{ age(at, none, 30) }}", at=at)


def test_what_was_never_seen_is_stale_and_has_no_moment() -> None:
    html = drawn("{{ age(none, none, 30) }}")
    assert "never seen" in html
    assert "is-stale" in html
    assert "data-at" not in html


def test_a_reading_from_a_clock_ahead_of_ours_is_new_not_negative() -> None:
    assert f"0{NBSP}s" in drawn("{{ age(at, none, 30) }}", at=NOW + timedelta(seconds=4))


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (NOW - timedelta(hours=1), "02:07"),
        (NOW - timedelta(hours=5), f"Sat{NBSP}21{NBSP}Nov{NBSP}22:07"),
        (NOW - timedelta(days=400), f"18{NBSP}Oct{NBSP}2025{NBSP}03:07"),
        (None, "never"),
    ],
)
def test_a_moment_names_its_day_as_soon_as_it_is_not_today(at: datetime | None, text: str) -> None:
    assert f">{text}<" in drawn("{{ when(at) }}", at=at)


def test_a_figure_that_cannot_be_seen_reads_unknown_with_its_last_value() -> None:
    html = drawn('{{ draw("partials/_stat.html", label="Lag", value=none, was="0.1 s", at="00:01") }}')
    assert "qd-unknown" in html
    assert "0.1 s at 00:01" in html


def test_zero_is_a_figure_not_unknown() -> None:
    html = drawn('{{ draw("partials/_stat.html", label="Lost", value=0) }}')
    assert ">0<" in html
    assert "unknown" not in html


def test_numbers_and_durations_read_as_words() -> None:
    assert drawn("{{ 12480|number }}") == "12\N{NARROW NO-BREAK SPACE}480"
    assert drawn("{{ value|number }}", value=None) == "unknown"
    assert drawn("{{ 9060|duration }}") == f"2{NBSP}h{NBSP}31{NBSP}min"
    assert drawn("{{ value|duration }}", value=timedelta(minutes=14)) == f"14{NBSP}min"


@pytest.mark.parametrize(("name", "letters"), [("Mira Okafor", "MO"), ("mira.okafor", "MO"), ("ops", "O"), ("", "?")])
def test_initials_of_a_person(name: str, letters: str) -> None:
    assert drawn("{{ name|initials }}", name=name) == letters


def test_a_fleet_bar_is_spoken_in_words() -> None:
    html = drawn("{{ fleetbar(4, 1, 0, 1, 2, 5, 8) }}")
    assert 'aria-label="4 in service, 1 launching, 0 draining, 1 lost; baseline 2, desired 5, max 8"' in html


def test_a_slot_bar_says_how_much_is_open() -> None:
    assert 'aria-label="3 running, 2 queued, 1 deferred, 4 open of 10"' in drawn("{{ slotbar(3, 2, 1, 10) }}")


def test_a_word_that_is_missing_is_an_error_in_the_tests() -> None:
    with pytest.raises(UndefinedError, match="misspelt"):
        drawn("{{ misspelt }}")


def test_a_word_that_is_missing_reads_unknown_in_production_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    made = environment()
    made.undefined = missing()
    source = "{{ page.misspelt }}, {{ page.nothing.at_all }}{% if page.misspelt %}never{% endif %}"
    assert made.from_string(source).render(page=object()) == "unknown, unknown"
    assert "misspelt" in caplog.text

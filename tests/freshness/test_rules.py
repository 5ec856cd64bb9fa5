"""Which verdict follows from what was read of a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.freshness.rules import (
    Side,
    TableFacts,
    TaskFacts,
    Word,
    blindness,
    latency_s,
    verdict,
)
from console.lib.status import Status

NOW = datetime.fromisoformat("2026-11-22T03:07:00+00:00")
TASK = TaskFacts("shop-cdc", "running", target_latency_s=2.0, measured_at=NOW - timedelta(seconds=60))


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


LEVEL = TableFacts(
    name="shop.public.orders",
    source="shop",
    warehouse="public.orders",
    slo_s=300,
    task=TASK,
    state="Table completed",
    origin=Side(seen_at=ago(3), newest_at=ago(10)),
    arrived=Side(seen_at=ago(2), newest_at=ago(10)),
    caught_up_at=None,
)


def task(**changed: object) -> TableFacts:
    return replace(LEVEL, task=replace(TASK, **changed))


def behind(seconds: float) -> TableFacts:
    """The warehouse's newest row is that old, and the source goes on."""
    return replace(LEVEL, arrived=Side(seen_at=NOW, newest_at=ago(seconds)))


@pytest.mark.parametrize(
    ("facts", "word", "says"),
    [
        (LEVEL, Word.FRESH, "newest row has arrived"),
        (task(status=None), Word.BROKEN, "has no task called shop-cdc"),
        (task(status="failed", failure="no slot"), Word.BROKEN, "is failed (no slot)"),
        (task(status="stopped", stop_reason="Stop Reason NORMAL"), Word.BROKEN, "NORMAL"),
        (task(status="failed-move"), Word.BROKEN, "failed-move"),
        (replace(LEVEL, state="Table error"), Word.BROKEN, "Table error"),
        (replace(LEVEL, state="Table cancelled"), Word.BROKEN, "Table cancelled"),
        (replace(LEVEL, state="Table does not exist"), Word.BROKEN, "does not exist"),
        (replace(LEVEL, state=None), Word.BROKEN, "does not replicate it"),
        (replace(LEVEL, arrived=Side(seen_at=NOW, missing=True)), Word.BROKEN, "public.orders is not in the warehouse"),
        (replace(LEVEL, origin=Side(seen_at=NOW, missing=True)), Word.BROKEN, "The source shop has no such table"),
        (replace(LEVEL, arrived=Side(seen_at=NOW)), Word.BROKEN, "The source has rows, public.orders has none"),
        (replace(LEVEL, state="Before load"), Word.LOADING, "Before load"),
        (replace(LEVEL, state="Full load"), Word.LOADING, "Full load"),
        (replace(LEVEL, state="Table is being reloaded"), Word.LOADING, "being reloaded"),
        (task(target_latency_s=301.0), Word.BREACHED, "DMS has not applied"),
        (behind(301), Word.BREACHED, "rows that have not arrived"),
        (task(status="starting"), Word.INTERRUPTED, "is starting"),
        (task(status="modifying", target_latency_s=None), Word.INTERRUPTED, "is modifying"),
        (task(statistics_error="throttled"), Word.UNKNOWN, "throttled"),
        (task(target_latency_s=None, measured_at=None), Word.UNKNOWN, "no latency of task shop-cdc at all"),
        (task(measured_at=ago(241)), Word.UNKNOWN, "since 03:02 UTC"),
        (replace(LEVEL, origin=Side(blind="refused")), Word.UNKNOWN, "The source shop can't be read"),
        (replace(LEVEL, arrived=Side(blind="not allowed")), Word.UNKNOWN, "can't be read in the warehouse"),
        (task(target_latency_s=151.0), Word.LAGGING, "more than half"),
        (behind(151), Word.LAGGING, "more than half"),
        (task(target_latency_s=150.0), Word.FRESH, ""),
    ],
)
def test_the_first_rule_that_matches_decides(facts: TableFacts, word: Word, says: str) -> None:
    found = verdict(facts, "", NOW)
    assert found.word == word, found.reason
    assert says in found.reason
    assert found.reason.endswith(".")


def test_each_verdict_has_a_status() -> None:
    assert {
        word: verdict(facts, blind, NOW).status
        for word, (facts, blind) in {
            Word.FRESH: (LEVEL, ""),
            Word.LAGGING: (behind(200), ""),
            Word.INTERRUPTED: (task(status="starting"), ""),
            Word.LOADING: (replace(LEVEL, state="Full load"), ""),
            Word.BREACHED: (behind(400), ""),
            Word.BROKEN: (task(status="failed"), ""),
            Word.UNKNOWN: (LEVEL, "The warehouse can't be seen: it is down."),
        }.items()
    } == {
        Word.FRESH: Status.HEALTHY,
        Word.LAGGING: Status.DEGRADED,
        Word.INTERRUPTED: Status.DEGRADED,
        Word.LOADING: Status.DEGRADED,
        Word.BREACHED: Status.FAILING,
        Word.BROKEN: Status.FAILING,
        Word.UNKNOWN: Status.UNKNOWN,
    }


def test_what_can_not_be_seen_is_unknown_even_when_the_last_word_was_bad() -> None:
    found = verdict(task(status="failed"), "The DMS tasks can't be seen: refused.", NOW)
    assert (found.word, found.lag_s) == (Word.UNKNOWN, None)
    assert found.reason == "The DMS tasks can't be seen: refused."


def test_a_breach_that_is_seen_stays_one_although_the_source_can_not_be_read() -> None:
    facts = replace(task(target_latency_s=600.0), origin=Side(blind="refused"))
    assert verdict(facts, "", NOW).word == Word.BREACHED


def test_the_worse_of_latency_and_evidence_is_the_lag() -> None:
    assert verdict(LEVEL, "", NOW).lag_s == 2
    assert verdict(behind(40), "", NOW).lag_s == 40
    assert verdict(replace(behind(40), task=replace(TASK, target_latency_s=90.0)), "", NOW).lag_s == 90


def test_a_table_that_is_not_replicated_has_the_lag_of_its_evidence_and_not_of_its_task() -> None:
    assert verdict(replace(LEVEL, state="Table error"), "", NOW).lag_s is None
    assert verdict(replace(behind(40), state="Table error"), "", NOW).lag_s == 40


def test_a_latency_counts_for_three_minutes_after_the_minute_it_was_measured_in() -> None:
    assert latency_s(replace(TASK, measured_at=ago(240)), NOW) == 2
    assert latency_s(replace(TASK, measured_at=ago(241)), NOW) is None


def test_blindness_names_what_can_not_be_seen() -> None:
    assert blindness("", "") == ""
    assert blindness("refused", "") == "The DMS tasks can't be seen: refused."
    assert blindness("", "down") == "The warehouse can't be seen: down."
    assert blindness("refused", "down") == "Neither DMS nor the warehouse can be seen: refused; down."

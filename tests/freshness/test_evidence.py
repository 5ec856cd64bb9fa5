"""What two newest stamps say about lag: never a proof, never an invented hour."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from console.freshness.rules import CaughtUp, Side, TableFacts, TaskFacts, caught_up, evidence_s

NOW = datetime.fromisoformat("2026-11-22T03:07:00+00:00")
LEVEL = CaughtUp(False, None)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def lag(
    source: datetime | None, warehouse: datetime | None, caught_up_at: datetime | None = None, ahead_s: float = 0
) -> float | None:
    return evidence_s(
        TableFacts(
            name="shop.public.orders",
            source="shop",
            warehouse="public.orders",
            slo_s=300,
            task=TaskFacts("shop-cdc", "running"),
            state="Table completed",
            origin=Side(seen_at=NOW, newest_at=source),
            arrived=Side(seen_at=NOW, newest_at=warehouse),
            caught_up_at=caught_up_at,
            clock_ahead_s=ahead_s,
        )
    )


def test_a_source_that_is_not_ahead_has_no_lag() -> None:
    assert lag(ago(3600), ago(3600)) == 0
    assert lag(ago(3600), ago(3599)) == 0
    assert lag(None, None) == 0


def test_a_busy_table_is_behind_by_the_age_of_the_newest_row_that_arrived() -> None:
    assert lag(ago(1), ago(40)) == 40


def test_one_new_row_in_a_quiet_table_does_not_make_hours_of_lag() -> None:
    assert lag(ago(2), ago(7200), caught_up_at=ago(5)) == 5


def test_a_source_that_went_quiet_does_not_stop_the_clock_of_what_is_missing() -> None:
    assert lag(ago(3600), ago(3660), caught_up_at=ago(3650)) == 3650


def test_what_was_never_level_and_never_arrived_has_no_known_lag() -> None:
    assert lag(ago(5), None) is None
    assert lag(ago(5), None, caught_up_at=ago(30)) == 30


def test_the_sources_clock_is_allowed_for() -> None:
    assert lag(ago(1), ago(40), ahead_s=7) == 47
    assert lag(ago(1), ago(40), ahead_s=-60) == 0


def test_a_side_that_was_not_read_says_nothing() -> None:
    facts = TableFacts(
        name="t",
        source="s",
        warehouse="w",
        slo_s=1,
        task=TaskFacts("x", "running"),
        state=None,
        origin=Side(),
        arrived=Side(seen_at=NOW),
        caught_up_at=None,
    )
    assert evidence_s(facts) is None
    assert evidence_s(replace(facts, origin=Side(seen_at=NOW, missing=True))) is None


def test_falling_behind_is_dated_by_the_last_moment_at_which_it_was_level() -> None:
    assert caught_up(LEVEL, ago(2), ago(60), ago(5)) == CaughtUp(True, ago(5))


def test_a_table_that_was_never_compared_is_not_taken_to_have_been_level() -> None:
    assert caught_up(CaughtUp(None, None), ago(2), ago(60), ago(5)) == CaughtUp(True, None)


def test_while_behind_the_date_stays_and_level_again_it_is_forgotten() -> None:
    behind = CaughtUp(True, ago(100))
    assert caught_up(behind, ago(2), ago(60), ago(1)) == behind
    assert caught_up(behind, ago(2), ago(2), ago(1)) == LEVEL
    assert caught_up(behind, None, ago(60), ago(1)) == LEVEL

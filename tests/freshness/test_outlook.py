"""The nine statuses in their order, the forecast of a cutoff, and the error budget."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.freshness.outlook import (
    STATUS,
    Alarm,
    Cutoff,
    Forecast,
    Holder,
    Nine,
    Point,
    Seen,
    alarm,
    burn,
    eta,
    forecast,
    outlook,
    pages,
    slope,
)
from console.lib.status import Status

NOW = datetime.fromisoformat("2026-11-22T00:05:00+00:00")
MIDNIGHT = Cutoff(NOW - timedelta(minutes=5), NOW + timedelta(minutes=10))


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


FINE = Seen(
    now=NOW,
    slo_s=600,
    warehouse_age_s=5,
    poll_s=15,
    dms_age_s=10,
    source_beat_age_s=8,
    row_lag_s=30,
    commit_lag_s=28,
    window=(30, 40, 30),
    speed=1.0,
)
LONG = Holder(pid=4711, user="batch", since=NOW - timedelta(minutes=20))
MISSED = Forecast(MIDNIGHT, None, after(3600))


@pytest.mark.parametrize(
    ("seen", "nine", "says"),
    [
        (FINE, Nine.FRESH, "Complete to 30"),
        (replace(FINE, warehouse_age_s=46), Nine.UNKNOWN, "warehouse was not read"),
        (replace(FINE, warehouse_age_s=None), Nine.UNKNOWN, "warehouse was not read"),
        (replace(FINE, dms_age_s=301), Nine.UNKNOWN, "DMS was not read"),
        (replace(FINE, broken="the task failed"), Nine.BROKEN, "the task failed"),
        (replace(FINE, loading="Full load"), Nine.LOADING, "Full load"),
        (replace(FINE, source_beat_age_s=61), Nine.WRITER_DOWN, "old"),
        (replace(FINE, source_beat_age_s=None), Nine.WRITER_DOWN, "none is there"),
        (replace(FINE, source_beat_age_s=80, beat_s=30), Nine.FRESH, ""),
        (replace(FINE, unchanged_s=61), Nine.STALLED, "none has arrived for 1\N{NO-BREAK SPACE}min"),
        (replace(FINE, row_lag_s=601, commit_lag_s=601), Nine.BREACHED, "10\N{NO-BREAK SPACE}min behind"),
        (replace(FINE, row_lag_s=None), Nine.UNKNOWN, "Nothing has been proven"),
        (replace(FINE, window=None), Nine.UNKNOWN, "not been watched for long enough"),
        (replace(FINE, forecasts=(MISSED,)), Nine.AT_RISK, "will not be complete to 22 Nov 00:00 UTC by 00:15 UTC"),
        (replace(FINE, row_lag_s=400, window=(300, 300, 400)), Nine.AT_RISK, "not once less"),
        (replace(FINE, row_lag_s=400, window=(500, 450, 400), speed=3.0), Nine.CATCHING_UP, "gaining 2.0"),
        (replace(FINE, row_lag_s=400, window=(500, 450, 400), speed=1.0), Nine.FRESH, ""),
    ],
)
def test_the_first_step_that_applies_decides(seen: Seen, nine: Nine, says: str) -> None:
    found = outlook(seen)
    assert found.nine == nine, found.reason
    assert says in found.reason
    assert found.reason.endswith(".")


def test_each_step_goes_before_all_that_come_after_it() -> None:
    bad = {
        Nine.UNKNOWN: {"dms_age_s": None},
        Nine.BROKEN: {"broken": "x"},
        Nine.LOADING: {"loading": "x"},
        Nine.WRITER_DOWN: {"source_beat_age_s": 999.0},
        Nine.STALLED: {"unchanged_s": 999.0},
        Nine.BREACHED: {"row_lag_s": 999.0},
        Nine.AT_RISK: {"forecasts": (MISSED,)},
    }
    names = list(bad)
    for index, name in enumerate(names):
        wrong = {key: value for later in names[index:] for key, value in bad[later].items()}
        assert outlook(replace(FINE, **wrong)).nine == name  # type: ignore[arg-type]


def test_an_open_transaction_that_holds_the_rows_is_named_with_its_owner() -> None:
    found = outlook(replace(FINE, row_lag_s=1200, commit_lag_s=20, holder=LONG))
    assert (found.nine, found.tags) == (Nine.BREACHED, ("HELD_BY_TXN",))
    assert "batch (pid 4711) has been open at the source since 23:45:00 UTC" in found.reason
    assert outlook(replace(FINE, row_lag_s=1200, commit_lag_s=1200, holder=LONG)).tags == ()


def test_a_writer_that_is_down_makes_it_unprovable_which_is_not_late() -> None:
    assert STATUS[Nine.WRITER_DOWN] == Status.UNKNOWN
    assert STATUS[Nine.BREACHED] == STATUS[Nine.BROKEN] == Status.FAILING


# --- Forecast ---


def line(speed: float, seconds: int = 900, every_s: int = 15) -> list[Point]:
    """A watermark that ends ten minutes back and grew at this speed."""
    return [(after(-back), after(-600 - back * speed)) for back in range(seconds, -1, -every_s)]


@settings(deadline=None)
@given(st.floats(0.05, 20))
def test_the_slope_of_a_steady_watermark_is_its_speed(speed: float) -> None:
    assert slope(line(speed)) == pytest.approx(speed, rel=1e-3)


def test_stray_polls_do_not_bend_the_slope() -> None:
    points = line(2.0)
    for index in range(0, len(points), 5):
        points[index] = (points[index][0], after(-90_000))
    assert slope(points) == pytest.approx(2.0, rel=0.05)


def test_one_moment_has_no_slope() -> None:
    assert slope([]) is None
    assert slope(line(1.0)[:1]) is None


def test_a_cutoff_is_reached_when_the_watermark_has_run_the_way_to_it() -> None:
    assert eta(after(-600), after(-300), 2.0, NOW) == after(150)
    assert eta(after(-600), after(-700), None, NOW) == NOW


def test_a_cutoff_that_lies_ahead_is_not_reached_before_it_comes() -> None:
    assert eta(after(-10), after(600), 5.0, NOW) == after(600)


@pytest.mark.parametrize("speed", [None, 0.0, 0.009, -3.0])
def test_a_watermark_that_stands_never_arrives(speed: float | None) -> None:
    assert eta(after(-600), after(-300), speed, NOW) is None


def test_a_deadline_is_missed_when_both_windows_say_so() -> None:
    fast, slow, stuck = line(2.0), line(0.4), line(0.0)
    assert not forecast(after(-600), MIDNIGHT, fast, fast, NOW).misses
    assert not forecast(after(-600), MIDNIGHT, stuck, fast, NOW).misses
    assert forecast(after(-600), MIDNIGHT, slow, stuck, NOW).misses


def test_somebody_is_woken_only_when_the_time_left_is_what_a_repair_takes() -> None:
    later = Forecast(Cutoff(after(3600), after(7200)), None, None)
    assert pages(MISSED, Nine.AT_RISK, NOW)
    assert not pages(later, Nine.AT_RISK, NOW)
    met = Forecast(MIDNIGHT, after(60), after(60))
    assert not pages(met, Nine.FRESH, NOW)
    for status in (Nine.BROKEN, Nine.STALLED, Nine.WRITER_DOWN):
        assert pages(met, status, NOW)


# --- Objectives ---


def test_the_budget_burns_as_fast_as_its_share_is_used() -> None:
    assert burn(0.01, 0.99) == pytest.approx(1)


@pytest.mark.parametrize(
    ("hour", "five", "six", "half", "days", "kind"),
    [
        (0.2, 0.2, 0.0, 0.0, 0.0, Alarm.PAGE),
        (0.2, 0.0, 0.0, 0.0, 0.0, None),
        (0.0, 0.0, 0.07, 0.07, 0.0, Alarm.PAGE),
        (0.0, 0.0, 0.02, 0.0, 0.02, Alarm.TICKET),
        (0.0, 0.0, 0.0, 0.0, 0.02, None),
    ],
)
def test_an_alarm_needs_both_of_its_windows(
    hour: float, five: float, six: float, half: float, days: float, kind: Alarm | None
) -> None:
    bad = {3600.0: hour, 300.0: five, 21600.0: six, 1800.0: half, 259200.0: days}
    assert alarm(bad, 0.99) == kind

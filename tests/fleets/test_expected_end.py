from __future__ import annotations

from datetime import UTC, datetime, timedelta
from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleets.running import expected_end


def test_it_says_the_median_and_nine_in_ten_of_the_runs_that_took_longer(now: datetime) -> None:
    began = now - timedelta(seconds=100)
    expected = expected_end(began, [10, 20, 200, 300, 400], now)
    assert expected.likely == began + timedelta(seconds=300)
    assert expected.at_worst == began + timedelta(seconds=380)
    assert (expected.runs, expected.late) == (5, False)


def test_without_past_runs_it_says_nothing(now: datetime) -> None:
    assert expected_end(now, [], now) == (None, None, 0, False)
    assert expected_end(None, [10.0], now).likely is None


def test_one_that_outlasts_all_its_past_runs_is_late_and_gets_no_time(now: datetime) -> None:
    expected = expected_end(now - timedelta(seconds=100), [10.0, 20.0], now)
    assert (expected.likely, expected.late) == (None, True)


@given(st.floats(0, 10**6), st.lists(st.floats(0.1, 10**6), max_size=30))
def test_an_expected_end_lies_ahead_and_its_worst_is_not_earlier(ran_s: float, past_s: list[float]) -> None:
    now = datetime.fromisoformat("2026-11-22T03:07:00+00:00")
    expected = expected_end(now - timedelta(seconds=ran_s), past_s, now)
    if expected.likely is not None and expected.at_worst is not None:
        assert expected.likely >= now - timedelta(seconds=1)
        assert expected.at_worst >= expected.likely - timedelta(seconds=1)


@given(st.lists(st.floats(1, 1e5), min_size=1, max_size=60), st.floats(0, 2e5))
def test_nine_in_ten_are_those_of_the_standard_library(past_s: list[float], ran_s: float) -> None:
    now = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
    began = now - timedelta(seconds=ran_s)
    expected = expected_end(began, past_s, now)
    longer = [one for one in past_s if one > (now - began).total_seconds()]
    if not longer:
        assert expected == (None, None, len(past_s), True)
        return
    worst_s = quantiles(longer, n=10, method="inclusive")[-1] if len(longer) > 1 else longer[0]
    assert expected.at_worst is not None
    assert (expected.at_worst - began).total_seconds() == pytest.approx(worst_s, abs=1e-5)

"""Hours, what they were for, and what else would have cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleets.scaling.money import Point, bill
from console.fleets.scaling.waits import BUCKETS_S, counts, level, percentile_s


def test_an_hour_by_hand() -> None:
    """Half an hour of two workers with 4 of 8 slots in use, then half an hour of one launching beside them."""
    points = [Point(2, 0, 0, 8, 4)] * 30 + [Point(2, 1, 0, 8, 8)] * 30
    found = bill(points, 60.0, 4)
    assert found.hours == pytest.approx(2.5)
    assert found.boot_hours == pytest.approx(0.5)
    assert found.idle_hours == pytest.approx(0.5)
    assert (found.peak, found.static_hours) == (3, pytest.approx(3.0))
    assert (found.peak_running, found.machine, found.machine_hours) == (8, 2, pytest.approx(2.0))
    assert found.saved(found.static_hours) == pytest.approx(1 / 6)
    assert found.monthly(found.hours) == pytest.approx(2.5 * 730)


def test_what_nobody_saw_is_left_out_and_said() -> None:
    found = bill([Point(4, 0, 0, 16, 0)] * 30 + [Point(None, None, None, None, None)] * 30, 60.0, 4)
    assert found.hours == pytest.approx(2.0)
    assert found.static_hours == pytest.approx(2.0)
    assert found.covered == 0.5
    assert bill([], 60.0, 4).saved(0.0) is None
    assert found.monthly(found.hours) is None


points = st.builds(
    Point,
    in_service=st.one_of(st.none(), st.integers(0, 20)),
    launching=st.integers(0, 5),
    draining=st.integers(0, 5),
    slots=st.integers(0, 100),
    running=st.one_of(st.none(), st.integers(0, 200)),
)


@given(st.lists(points, max_size=50), st.integers(1, 16))
def test_waste_is_part_of_the_hours_and_the_peak_holds_them(found: list[Point], slots: int) -> None:
    it = bill(found, 60.0, slots)
    assert 0 <= it.boot_hours + it.idle_hours <= it.hours + 1e-9
    assert it.hours <= it.static_hours + 1e-9
    assert it.machine * slots >= it.peak_running


@given(st.lists(st.floats(0, 8000), min_size=1, max_size=200), st.floats(1, 100))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(waits: list[float], percent: float) -> None:
    found = percentile_s(counts(waits), percent)
    assert found is not None
    ordered = sorted(waits)
    true = ordered[max(0, -(-int(percent * len(ordered)) // 100) - 1)]
    ends = (0.0, *BUCKETS_S, 1e9)
    near = next(i for i, end in enumerate(ends) if end >= true)
    assert ends[max(0, near - 1)] <= found <= ends[min(near + 1, len(ends) - 1)]


def test_the_burn_is_the_share_of_late_tasks_over_what_is_allowed() -> None:
    found = level(counts([1.0] * 90 + [100.0] * 10), 10, 60.0)
    assert found.burn == pytest.approx(2.0)
    assert found.kept is False
    assert level(counts([]), 0, 60.0).burn is None

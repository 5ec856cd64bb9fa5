"""Names, steps, gaps: the pure rules of the time series."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.history.rules import (
    NAME_LIMIT,
    STEPS_S,
    Bins,
    Chunk,
    Retention,
    bridged,
    canonical,
    floored,
    keeps_worst,
    reduced,
    step_for,
    unit_of,
)

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)
KEPT = Retention()


@pytest.mark.parametrize(
    ("name", "unit", "worst"),
    [
        ("fleet.cpu.outstanding", "", False),
        ("scheduler.heartbeat_age_s", "s", True),
        ("table.shop.public.orders.lag_s", "s", True),
        ("broker.messages_per_s", "/s", False),
        ("host.memory_bytes", "B", False),
        ("fleet.cpu.cost_usd", "USD", False),
        ("fleets", "", False),
    ],
)
def test_a_name_tells_its_unit_and_what_a_coarser_step_keeps(name: str, unit: str, worst: bool) -> None:
    assert (unit_of(name), keeps_worst(name)) == (unit, worst)


@given(st.text(max_size=1200))
def test_any_name_can_be_stored_and_stays_the_same(name: str) -> None:
    stored = canonical(name)
    assert len(stored) <= NAME_LIMIT
    assert "\x00" not in stored
    assert canonical(stored) == stored
    stored.encode("utf-8")


@pytest.mark.parametrize(
    ("back", "max_points", "step_s"),
    [
        (timedelta(minutes=1), 700, 15),
        (timedelta(hours=1), 700, 15),
        (timedelta(hours=1), 60, 60),
        (timedelta(hours=6), 700, 60),
        (timedelta(hours=24), 700, 300),
        (timedelta(days=7), 700, 900),
        (timedelta(days=14), 2000, 900),
        (timedelta(days=90), 700, 21600),
        (timedelta(days=3650), 100, 37 * 86400),
        (timedelta(days=365), 1, 365 * 86400),
    ],
)
def test_a_range_has_the_finest_step_that_fits(back: timedelta, max_points: int, step_s: int) -> None:
    assert step_for(NOW - back, NOW, max_points, NOW, KEPT) == step_s


@pytest.mark.parametrize(
    ("ago", "step_s"),
    [(timedelta(0), 15), (timedelta(hours=6), 60), (timedelta(days=13), 60), (timedelta(days=15), 900)],
)
def test_what_is_no_longer_kept_finely_is_shown_coarsely(ago: timedelta, step_s: int) -> None:
    end = NOW - ago
    assert step_for(end - timedelta(minutes=30), end, 700, NOW, KEPT) == step_s


@given(
    st.integers(min_value=1, max_value=400 * 86400),
    st.integers(min_value=1, max_value=5000),
    st.integers(min_value=0, max_value=400 * 86400),
)
def test_a_chart_never_has_more_points_than_asked_for(length_s: int, max_points: int, ago_s: int) -> None:
    end = NOW - timedelta(seconds=ago_s)
    step_s = step_for(end - timedelta(seconds=length_s), end, max_points, NOW, KEPT)
    assert length_s / step_s <= max_points
    assert step_s in STEPS_S or step_s % 86400 == 0


@pytest.mark.parametrize(
    ("y", "step_s", "shown"),
    [
        ((1, None, 3), 15, (1, 1, 3)),  # a poll that came a moment late
        ((1, None, None, 4), 15, (1, None, None, 4)),  # half a minute in which nobody could see
        ((1, None, None, None) * 4, 15, (1,) * 16),  # read once a minute
        ((1, None, None, None) * 4 + (None,) * 4 + (5,), 15, (1,) * 13 + (None,) * 7 + (5,)),
        ((1, None, 3), 60, (1, None, 3)),
        ((None, None), 15, (None, None)),
        ((None, 1, None), 15, (None, 1, 1)),
        ((), 15, ()),
    ],
)
def test_a_hole_of_sampling_is_bridged_and_blindness_is_not(
    y: tuple[float | None, ...], step_s: int, shown: tuple[float | None, ...]
) -> None:
    assert bridged(y, step_s) == shown


@given(st.lists(st.one_of(st.none(), st.floats(0, 10)), max_size=80), st.sampled_from([15, 30, 60, 900]))
def test_bridging_changes_nothing_that_was_seen_and_hides_at_most_a_minute(y: list[float | None], step_s: int) -> None:
    shown = bridged(y, step_s)
    assert all(after == before for before, after in zip(y, shown, strict=True) if before is not None)
    longest = invented = 0
    for before, after in zip(y, shown, strict=True):
        invented = invented + 1 if before is None and after is not None else 0
        longest = max(longest, invented)
    assert longest * step_s < 60


def test_points_outside_of_the_span_are_left_out() -> None:
    points = Chunk(times=(-1, 0, 59, 60, 119, 120), y=(9, 1, 3, None, 8, 9))
    assert reduced([points], [], (0, 120), 60, 2, worst=False) == (2, 8)
    assert reduced([points], [], (0, 120), 60, 2, worst=True) == (3, 8)
    assert reduced([], [], (0, 120), 60, 2, worst=True) == (None, None)


def test_what_comes_by_step_counts_beside_single_points() -> None:
    points = Chunk(times=(0, 60), y=(2, 4))
    assert reduced([points], [Bins((0, 1), (10.0, 7.0), (3, 1))], (0, 120), 60, 2, worst=False) == (3, 5.5)
    assert reduced([points], [Bins((0, 2), (1.0, 7.0), (3, 1))], (0, 120), 60, 2, worst=True) == (2, 7)


@given(st.integers(0, 2**32).map(lambda s: datetime.fromtimestamp(s + 0.7, UTC)), st.sampled_from([15, 3600, 86400]))
def test_a_span_begins_at_or_before_its_moment(at: datetime, span_s: int) -> None:
    start = floored(at, timedelta(seconds=span_s))
    assert timedelta(0) <= at - start < timedelta(seconds=span_s)
    assert start.timestamp() % span_s == 0

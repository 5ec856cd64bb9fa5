"""Geometry of the small drawings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from console.lib.marks import fleet_cells, parts, spark

COUNTS = st.integers(min_value=0, max_value=30)


def test_a_sparkline_leaves_a_gap_where_nothing_was_seen() -> None:
    drawn = spark([1, 2, None, 3, 4])
    assert drawn.line.count("M") == 2
    assert drawn.x == 117


def test_a_sparkline_has_no_last_point_when_the_last_reading_failed() -> None:
    drawn = spark([1, 2, None])
    assert (drawn.x, drawn.y) == (None, None)
    assert drawn.line


def test_nothing_seen_draws_nothing() -> None:
    assert spark([]).line == spark([None, None]).line == ""


def test_a_flat_zero_series_lies_on_the_floor_and_a_flat_high_one_at_the_top() -> None:
    assert spark([0, 0]).y == 21
    assert spark([500, 500]).y == 3


def test_a_sparkline_is_written_in_tenths_of_a_pixel() -> None:
    drawn = spark([0, 2.5, None, 10, -1.25, 7, None, 3], 60, 20)
    assert drawn.line == "M1 15.4L9 12.3M25 3L33 17L41 6.7M57 11.7"
    assert drawn.area == "M1 15.4L9 12.3L9 20L1 20ZM25 3L33 17L41 6.7L41 20L25 20Z"
    assert (drawn.x, drawn.y) == (57.0, 11.7)


@given(st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=40))
def test_a_sparkline_stays_inside_its_box(points: list[float | None]) -> None:
    drawn = spark(points, 120, 24)
    numbers = [float(n) for run in drawn.line.split("M") if run for pair in run.split("L") for n in pair.split()]
    assert all(0 <= x <= 120 for x in numbers[::2])
    assert all(0 <= y <= 24 for y in numbers[1::2])


@given(st.lists(st.tuples(st.just("ok"), st.floats(0, 1e6)), max_size=12), st.floats(0, 1e6))
def test_parts_never_leave_their_bar(amounts: list[tuple[str, float]], total: float) -> None:
    drawn = parts(amounts, total)
    assert all(0 <= part.x <= 100 for part in drawn)
    assert all(part.x + part.width <= 100.5 for part in drawn)


def test_parts_of_nothing_are_none() -> None:
    assert parts([("ok", 3)], 0) == []


@given(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_fleet_bar_has_a_cell_for_every_worker_and_for_every_open_place(
    in_service: int, launching: int, draining: int, lost: int, maximum: int
) -> None:
    cells = fleet_cells(in_service, launching, draining, lost, maximum)
    kinds = [cell.kind for cell in cells]
    assert len(cells) == max(maximum, in_service + launching + draining + lost)
    assert kinds.count("ok") == in_service
    assert kinds.count("lost") == lost

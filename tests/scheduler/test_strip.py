"""The strip of heartbeats: a gap is a gap, and the worst of ten minutes is shown."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from console.scheduler.strip import BARS, cell, marks, row, strip, window


@pytest.mark.parametrize(
    ("age_s", "leading", "word"),
    [
        (1.2, 1.0, "leading"),
        (1.2, 0.4, "leading"),
        (1.2, 0.0, "standing_by"),
        (16, 1.0, "degraded"),
        (31, 1.0, "failing"),
        (31, 0.0, "failing"),
        (None, 0.0, "waiting"),
        (None, None, "unknown"),
    ],
)
def test_one_bar(age_s: float | None, leading: float | None, word: str) -> None:
    assert cell(age_s, leading) == word


def test_the_day_ends_with_the_bar_under_way(now: datetime) -> None:
    start, end = window(now)
    assert (end - start, end) == (timedelta(days=1), now.replace(minute=10))


def test_a_row_says_what_it_shows(now: datetime) -> None:
    ages, leading = [1.0] * 100 + [40.0] + [None] * 43, [1.0] * 101 + [0.0] * 43
    found = row("scheduler-a", ages, leading, now)
    assert len(found.cells) == BARS
    assert found.label == "scheduler-a: leading from 03:07, heartbeat lost from 19:47, absent from 19:57"


def test_marks_never_write_over_each_other(now: datetime) -> None:
    start, end = window(now)
    changes = [(start + timedelta(minutes=20 * n), "restart", 2.0) for n in range(72)]
    found = marks(changes, start, end)
    assert all(later.x - earlier.x >= 16 for earlier, later in pairwise(found))
    assert [found[0].anchor, found[-1].anchor] in (["start", "end"], ["middle", "end"])


def test_what_was_before_the_day_is_left_out(now: datetime) -> None:
    start, end = window(now)
    assert marks([(start - timedelta(hours=1), "observed", None)], start, end) == ()


def test_without_hosts_there_is_nothing_to_draw(now: datetime) -> None:
    assert strip([], {}, [], now).rows == ()

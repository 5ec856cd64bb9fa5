"""Partitions are there before they are needed, points are rolled up once, and only what has expired is
dropped.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from console.history import partitions, series
from console.history.keep import keep
from console.history.levels import DAY, HOUR, MINUTE, QUARTER, RAW
from console.history.models import Mark, Rolled, Series
from console.history.rules import floored

pytestmark = pytest.mark.django_db
NAMES = ["fleet.cpu.running", "scheduler.heartbeat_age_s"]


@pytest.fixture
def today() -> datetime:
    """The real now, at half past an hour: expiry goes by the database's clock, too."""
    return floored(timezone.now(), HOUR) - timedelta(minutes=30)


def rows(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table}")
        return int(cursor.fetchone()[0])


def every_minute(start: datetime, end: datetime, value: float = 0) -> None:
    at, minute = start, 0
    while at < end:
        series.record([(name, value or minute % 60) for name in NAMES], at)
        at, minute = at + timedelta(minutes=1), minute + 1


def chart(start: datetime, end: datetime, max_points: int, now: datetime) -> list[tuple[float | None, ...]]:
    return [line.y for line in series.fetch(NAMES, start, end, max_points, now=now).lines]


def test_partitions_of_now_and_of_the_time_ahead_are_made(today: datetime) -> None:
    keep(today)
    for level in (RAW, MINUTE, QUARTER):
        first = floored(today, level.span)
        assert list(partitions.existing(level)) == [first + n * level.span for n in range(level.ahead + 1)]


def test_a_second_run_changes_nothing(today: datetime) -> None:
    every_minute(today - timedelta(hours=3), today)
    keep(today)
    before = {table: rows(table) for table in ("history_point", "history_minute", "history_rolled")}
    keep(today)
    assert {table: rows(table) for table in before} == before
    assert before["history_minute"] > 0


def test_points_without_a_partition_move_into_one(today: datetime) -> None:
    every_minute(today - timedelta(hours=2), today)
    assert rows("history_point_default") == 240
    keep(today)
    assert rows("history_point_default") == 0
    assert rows("history_point") == 240


def test_a_clock_that_jumps_far_ahead_blocks_nothing(today: datetime) -> None:
    series.record([("a", 1)], today + timedelta(days=4000))
    keep(today)
    assert rows("history_point_default") == 0
    series.record([("a", 2)], today)
    assert series.latest(["a"], today)["a"].value == 2
    assert rows("history_point") == 2


def test_a_clock_ahead_that_rolled_up_an_unfinished_hour_is_put_right(today: datetime) -> None:
    every_minute(today - timedelta(minutes=20), today, value=3)
    keep(today)
    keep(today + timedelta(hours=3))  # a worker whose clock is ahead
    every_minute(today, today + timedelta(minutes=5), value=3)
    keep(today + timedelta(minutes=5))
    [running, _] = chart(today - timedelta(minutes=20), today + timedelta(minutes=5), 25, today)
    assert running == (3,) * 25


def test_a_closed_hour_reads_the_same_from_minutes_as_from_samples(today: datetime) -> None:
    start, end = floored(today, HOUR) - timedelta(hours=2), today
    every_minute(start, end)
    before = chart(start, end, 200, today)
    keep(today)
    assert Rolled.objects.filter(level="minute").count() == 2
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM history_point WHERE at < %s", [floored(today, HOUR)])
    assert chart(start, end, 200, today) == before


def test_a_gap_survives_every_roll_up(today: datetime) -> None:
    day = floored(today, DAY) - 2 * DAY
    series.record([(name, 4) for name in NAMES], day + timedelta(hours=1))
    series.record([(name, 8) for name in NAMES], day + timedelta(hours=5))
    keep(today)
    assert rows("history_quarter") == 2
    [running, _] = chart(day, day + DAY, 24, today)
    assert running == tuple({1: 4.0, 5: 8.0}.get(hour) for hour in range(24))


def test_days_read_as_quarters_with_the_mean_of_counts_and_the_worst_of_ages(today: datetime) -> None:
    day = floored(today, DAY) - DAY
    for minutes in range(15):
        for name in NAMES:
            series.record([(name, minutes)], day + timedelta(minutes=minutes))
    keep(today)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM history_minute; DELETE FROM history_point")
    [running, age] = chart(day, day + DAY, 96, today)
    assert (running[0], age[0]) == (7.0, 14.0)
    assert set(running[1:]) == {None}


def test_samples_expire_after_they_have_been_rolled_up(today: datetime) -> None:
    every_minute(today - timedelta(hours=9), today)
    keep(today)
    oldest = min(partitions.existing(RAW))
    assert today - timedelta(hours=7) <= oldest <= today - timedelta(hours=6)
    start = floored(today, HOUR) - timedelta(hours=8)
    [running, _] = chart(start, start + HOUR, 60, today)
    assert None not in running


def test_what_has_not_been_rolled_up_is_never_dropped(today: datetime) -> None:
    every_minute(today - timedelta(hours=9), today - timedelta(hours=8))
    partitions.ensure(today)
    partitions.expire(today)
    assert rows("history_point") == 60 * len(NAMES)


def test_the_first_run_after_days_without_the_console_catches_up(today: datetime) -> None:
    every_minute(floored(today, DAY) - 3 * DAY, floored(today, DAY) - 3 * DAY + timedelta(hours=2))
    keep(today)
    assert min(partitions.existing(RAW)) >= floored(today, HOUR)
    start = floored(today, DAY) - 3 * DAY
    [running, _] = chart(start, start + timedelta(hours=2), 120, today)
    assert running == tuple(float(n % 60) for n in range(120))


def test_old_minutes_and_quarters_and_marks_expire(today: datetime) -> None:
    series.record([("old", 1)], today - timedelta(days=20))
    series.record([("ancient", 1)], today - timedelta(days=120))
    series.mark(today - timedelta(days=120), "deploy", "long ago")
    series.mark(today - timedelta(days=80), "deploy", "not so long ago")
    keep(today)
    keep(today)
    assert rows("history_minute") == 0
    assert rows("history_quarter") == 1
    assert [row.title for row in Mark.objects.all()] == ["not so long ago"]
    assert list(Series.objects.values_list("name", flat=True)) == ["old"]


def test_a_late_sample_is_rolled_up_again_without_loss(today: datetime) -> None:
    day = floored(today, DAY) - 2 * DAY
    every_minute(day, day + HOUR, value=5)
    keep(today)  # the samples of that day have expired: only minutes and quarters are left
    series.record([(name, 9) for name in NAMES], day + timedelta(minutes=90))
    keep(today)
    keep(today)
    [running, _] = chart(day, day + timedelta(hours=2), 8, today)
    assert running == (5, 5, 5, 5, None, None, 9, None)


def test_expiry_goes_by_the_earlier_of_two_clocks(today: datetime) -> None:
    every_minute(today - timedelta(hours=2), today)
    keep(today + timedelta(days=365))
    assert rows("history_minute") == 2 * len({floored(today - timedelta(hours=n), HOUR) for n in (0, 1, 2)})

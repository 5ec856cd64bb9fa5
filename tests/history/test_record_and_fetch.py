"""What is recorded comes back, and what was not seen is a gap."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.history import series

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


def recorded(name: str, values: list[float | None], start: datetime, every: timedelta) -> None:
    for index, value in enumerate(values):
        series.record([(name, value)], start + index * every)


def test_a_sample_comes_back_in_its_step(now: datetime) -> None:
    series.record([("fleet.cpu.outstanding", 41), ("fleet.cpu.running", 7.25)], now - 31 * SECOND)
    chart = series.fetch(["fleet.cpu.outstanding", "fleet.cpu.running"], now - MINUTE, now, now=now)
    assert chart.step_s == 15
    assert [datetime.fromtimestamp(x, UTC).second for x in chart.x] == [0, 15, 30]  # 45 has only begun
    assert chart.line("fleet.cpu.outstanding").y == (None, 41.0, 41.0)
    assert chart.line("fleet.cpu.running").y[1] == 7.25


def test_what_could_not_be_seen_is_a_gap_and_never_a_zero(now: datetime) -> None:
    recorded("fleet.cpu.slots", [8, None, None, None, None, 8], now - 6 * MINUTE, MINUTE)
    y = series.fetch(["fleet.cpu.slots"], now - 6 * MINUTE, now, max_points=6, now=now).lines[0].y
    assert y == (8, None, None, None, None, 8)


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), -float("inf"), 1e39])
def test_what_is_no_number_is_not_recorded(now: datetime, value: float | None) -> None:
    series.record([("a", value), ("b", 1)], now)
    assert set(series.latest(["a", "b"], now)) == {"b"}


def test_a_number_too_small_for_the_column_is_zero(now: datetime) -> None:
    series.record([("a", 1e-300)], now)
    assert series.latest(["a"], now)["a"].value == 0.0


def test_recording_twice_within_fifteen_seconds_keeps_one_point(now: datetime) -> None:
    recorded("a", [1, 2, 3, 4, 5], now, 3 * SECOND)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), min(value) FROM history_point")
        assert cursor.fetchone() == (1, 1.0)


def test_recording_is_one_statement(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        series.record([(f"table.{n}.lag_s", n) for n in range(1000)], timezone.now())


def test_a_name_of_any_length_and_with_any_character_is_kept_apart(now: datetime) -> None:
    names = [
        "q" * 5000 + "a",
        "q" * 5000 + "b",
        "nul\x00",
        "ünïcode.🚀",
        "'; DROP TABLE history_series; --",
        "%s",
    ]
    series.record([(name, index) for index, name in enumerate(names)], now)
    assert {name: newest.value for name, newest in series.latest(names, now).items()} == {
        name: float(index) for index, name in enumerate(names)
    }


def test_counts_are_averaged_and_ages_keep_the_worst(now: datetime) -> None:
    for name in ("fleet.cpu.running", "scheduler.heartbeat_age_s"):
        recorded(name, [2, 2, 2, 10], now - MINUTE, 15 * SECOND)
    chart = series.fetch(["fleet.cpu.running", "scheduler.heartbeat_age_s"], now - MINUTE, now, 1, now=now)
    assert [line.y for line in chart.lines] == [(4.0,), (10.0,)]
    assert [line.unit for line in chart.lines] == ["", "s"]


def test_a_series_that_was_never_recorded_is_all_gaps(now: datetime) -> None:
    chart = series.fetch(["nobody.recorded_s"], now - MINUTE, now, now=now)
    assert set(chart.lines[0].y) == {None}
    assert chart.lines[0].unit == "s"


def test_a_point_without_its_partition_is_kept(now: datetime) -> None:
    for at in (now + timedelta(days=4000), now - timedelta(days=4000)):
        series.record([("a", 5)], at)
        assert series.latest(["a"], at)["a"].value == 5


def test_sparklines_of_many_series_are_one_query(
    now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    names = [f"table.{n}.lag_s" for n in range(100)]
    for minutes in range(120, 0, -1):
        series.record([(name, minutes) for name in names[:99]], now - minutes * MINUTE)
    with django_assert_num_queries(1):
        drawn = series.sparklines(names, now - 120 * MINUTE, now, points=60)
    assert drawn["table.7.lag_s"][0] == 120
    assert drawn["table.7.lag_s"][-1] == 2
    assert set(drawn["table.99.lag_s"]) == {None}
    assert {len(y) for y in drawn.values()} == {60}


def test_a_chart_is_two_queries(now: datetime, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    series.record([(f"s{n}", n) for n in range(50)], now - MINUTE)
    with django_assert_num_queries(2):
        series.fetch([f"s{n}" for n in range(50)], now - timedelta(hours=24), now, now=now)


def test_a_mark_is_put_once_and_shows_on_the_axis(now: datetime) -> None:
    for _ in range(2):
        series.mark(now - MINUTE, "deploy", "Deploy 12 of version 7", "/deploys/12/", "cpu")
    series.mark(now - timedelta(days=3), "incident", "long ago")
    [seen] = series.fetch(["a"], now - timedelta(hours=1), now, now=now).marks
    assert (seen.kind, seen.title, seen.url, seen.target) == (
        "deploy",
        "Deploy 12 of version 7",
        "/deploys/12/",
        "cpu",
    )
    assert seen.at == int((now - MINUTE).timestamp())

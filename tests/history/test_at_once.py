"""Several processes record, keep and read the history at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from console.history import partitions, series
from console.history.keep import keep
from console.history.levels import HOUR, LEVELS, RAW
from console.history.rules import floored

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _empty() -> Iterator[None]:
    """The points' tables are not Django's: emptied here, with the partitions that the test made."""
    yield
    with connection.cursor() as cursor:
        for level in LEVELS:
            for name in partitions.existing(level).values():
                cursor.execute(f"DROP TABLE {name}")
            cursor.execute(f"TRUNCATE {level.table}")


@pytest.fixture
def today() -> datetime:
    return floored(timezone.now(), HOUR) + timedelta(minutes=30)


def apart(work: Callable[[], object]) -> Callable[[], None]:
    """`work` in a thread with a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    return run


def points() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM history_point")
        return int(cursor.fetchone()[0])


def test_polls_that_record_the_same_names_at_once_lose_and_block_nothing(today: datetime) -> None:
    names = [f"s{n}" for n in range(200)]

    def record(number: int) -> None:
        ordered = names if number % 2 else names[::-1]
        apart(
            lambda: series.record([(name, number) for name in ordered], today + timedelta(seconds=15 * (number // 4)))
        )()

    series.record([(name, 0) for name in names], today - timedelta(minutes=1))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(record, range(40)))
    assert points() == 200 * (1 + 10)


def test_new_names_that_two_polls_bring_at_once_are_one_series_each(today: datetime) -> None:
    barrier = threading.Barrier(4)

    def record(number: int) -> None:
        barrier.wait(10)
        apart(lambda: series.record([(f"new{n}", number) for n in range(100)], today))()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    series.record([(f"new{n}", 1) for n in range(100)], today + timedelta(minutes=1))
    assert len(series.latest([f"new{n}" for n in range(100)], today + timedelta(minutes=2))) == 100
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), count(DISTINCT name) FROM history_series")
        assert cursor.fetchone() == (100, 100)


def test_points_that_arrive_while_partitions_are_made_are_all_kept(today: datetime) -> None:
    stop = threading.Event()
    recorded = []

    def record() -> None:
        number = 0
        while not stop.is_set() and number < 400:
            series.record([("a", number)], today + timedelta(seconds=15 * number))
            number += 1
        recorded.append(number)

    thread = threading.Thread(target=apart(record))
    thread.start()
    for _ in range(6):
        keep(today)
    stop.set()
    thread.join(30)
    keep(today)
    assert points() == recorded[0] > 0
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM history_point_default")
        assert cursor.fetchone() == (0,)


def test_two_keepers_at_once_roll_up_once(today: datetime) -> None:
    for minutes in range(60):
        series.record([("a", 1)], today - timedelta(hours=2, minutes=minutes + 1))
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: apart(lambda: keep(today))(), range(3)))
    keep(today)
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM history_rolled WHERE level = 'minute'")
        assert cursor.fetchone()[0] >= 2
    [line] = series.fetch(["a"], today - timedelta(hours=3), today - timedelta(hours=2), 60, now=today).lines
    assert set(line.y) == {1.0}


def test_a_reader_that_takes_long_only_puts_the_dropping_off(today: datetime) -> None:
    """As a backup does: it holds the table, so the partition stays until the next run, and nothing waits for
    it long.
    """
    series.record([("a", 1)], today - timedelta(hours=9))
    held, go_on = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM history_point")
            held.set()
            go_on.wait(30)

    partitions.ensure(today)
    thread = threading.Thread(target=apart(read))
    thread.start()
    assert held.wait(10)
    try:
        keep(today)
        assert floored(today - timedelta(hours=9), HOUR) in partitions.existing(RAW)
    finally:
        go_on.set()
        thread.join(10)
    keep(today)
    assert floored(today - timedelta(hours=9), HOUR) not in partitions.existing(RAW)

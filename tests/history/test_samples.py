"""Samples that are not rolled up yet: put together by PostgreSQL, read from their index, which was exchanged."""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.history import partitions, series, sql
from console.history.levels import RAW
from console.history.rules import floored

SECOND = timedelta(seconds=1)
STEPS = 40


def naive(points: dict[int, float], count: int, width_s: float, worst: bool) -> tuple[float | None, ...]:
    """By seconds after the beginning."""
    steps: list[list[float]] = [[] for _ in range(count)]
    for second, value in points.items():
        steps[int(second / width_s)].append(value)
    return tuple((max(step) if worst else sum(step) / len(step)) if step else None for step in steps)


def execute(statement: str, *values: object) -> list[tuple[object, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    points=st.dictionaries(st.integers(0, STEPS * 4 - 1), st.integers(-50, 50).map(float), max_size=60),
    count=st.sampled_from([1, 7, 10]),
)
def test_samples_are_put_together_as_one_by_one(now: datetime, points: dict[int, float], count: int) -> None:
    start, end = now - STEPS * 60 * SECOND, now
    execute("DELETE FROM history_point")
    at = {index * 15: value for index, value in points.items()}
    for second, value in at.items():
        series.record([("a.lag_s", value), ("a.queued", value)], start + second * SECOND)
    series.record([("a.lag_s", 99.0), ("a.queued", 99.0)], end)  # its end is excluded
    drawn = series.sparklines(["a.lag_s", "a.queued"], start, end, count)
    width_s = STEPS * 60 / count
    assert drawn["a.lag_s"] == naive(at, count, width_s, worst=True)
    assert drawn["a.queued"] == pytest.approx(naive(at, count, width_s, worst=False))


@pytest.mark.django_db(transaction=True)
def test_they_are_read_from_the_index_alone() -> None:
    names = [f"table.{number}.lag_s" for number in range(50)]
    now = floored(timezone.now(), RAW.span) + timedelta(minutes=50)
    partitions.require(RAW, [floored(now, RAW.span)])
    for step in range(100):
        series.record([(name, 1.0) for name in names], now - step * 15 * SECOND)
    execute("VACUUM ANALYZE history_point")
    values = {"names": names, "start": now - timedelta(hours=1), "end": now, "step_s": 180.0, "origin": 0.0}
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")  # with so few samples one page after the other is as good
        cursor.execute("SET enable_bitmapscan = off")
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS) " + sql.points(180), values)
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("RESET ALL")
    assert "Index Only Scan using history_point_2" in plan
    assert "Heap Fetches: 0" in plan
    [(options,)] = execute("SELECT reloptions FROM pg_class WHERE relname = %s", RAW.partition(now))
    assert options == ["autovacuum_vacuum_insert_scale_factor=0.02"]


@pytest.mark.django_db(transaction=True)
def test_the_index_is_exchanged_under_partitions_that_are_there(now: datetime) -> None:
    migration = import_module("console.history.migrations.0002_points_in_their_index")
    with connection.schema_editor() as editor:
        migration.backwards(apps, editor)
    partitions.require(RAW, [floored(now, RAW.span)])
    series.record([("a", 1.0)], now)
    series.record([("a", 2.0)], now + timedelta(days=9))  # without a partition
    execute(f"CREATE UNIQUE INDEX {RAW.partition(now)}_read ON {RAW.partition(now)} (value)")  # of a run broken off
    with connection.schema_editor(atomic=False) as editor:
        migration.forwards(apps, editor)
    series.record([("a", 3.0)], now)
    assert execute("SELECT value FROM history_point ORDER BY 1") == [(1.0,), (2.0,)]
    found = execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid AND indisunique AND indnatts = 3"
        " AND indrelid = ANY(SELECT inhrelid FROM pg_inherits WHERE inhparent = 'history_point'::regclass) ORDER BY 1"
    )
    assert found == [(f"{RAW.partition(now)}_read",), ("history_point_default_read",)]
    assert execute(
        "SELECT count(*) FROM pg_constraint WHERE conrelid = 'history_point'::regclass AND contype = 'p'"
    ) == [(0,)]
    with connection.cursor() as cursor:  # and nothing holds what keeps the history
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)

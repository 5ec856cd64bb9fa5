"""10,000 series at one point a minute for 14 days fit in 4 GB, and a chart of 24 hours comes in under 50 ms.

A scaled-down measurement at every run; `tests/history/scale.py` measures it in full (docs/history.md has the
figures).
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.utils import timezone

from console.history import partitions, series, sql
from console.history.keep import roll_up
from console.history.levels import DAY, HOUR, LEVELS, MINUTE, QUARTER, RAW
from console.history.rules import Retention, floored

pytestmark = pytest.mark.django_db
SERIES = 200


@pytest.fixture
def filled() -> datetime:
    """Yesterday's points of some series, one a minute with a random value, rolled up by the console's own
    code.
    """
    day = floored(timezone.now(), DAY) - DAY
    series.record([(f"table.{n}.lag_s", 1) for n in range(SERIES)], day)
    partitions.require(RAW, [day + n * HOUR for n in range(24)])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO history_point SELECT at, id, random() * 1000 FROM history_series, "
            "generate_series(%s::timestamptz, %s::timestamptz, '1 minute') at ON CONFLICT DO NOTHING",
            [day, day + DAY - timedelta(minutes=1)],
        )
    partitions.ensure(day + DAY)
    roll_up(day + DAY + timedelta(minutes=10))
    return day + DAY


def size(table: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = %s::regclass", [table]
        )
        return int(cursor.fetchone()[0])


def test_ten_thousand_series_fit_in_four_gigabytes(filled: datetime) -> None:
    kept, of_a_day = Retention(), {level: size(level.table) * 10_000 / SERIES for level in LEVELS}
    total = (
        of_a_day[RAW] * ((kept.raw + 2 * HOUR) / DAY)
        + of_a_day[MINUTE] * ((kept.minute + DAY) / DAY)
        + of_a_day[QUARTER] * ((kept.quarter + 10 * DAY) / DAY)
    )
    assert total < 4e9


def test_a_chart_of_a_day_takes_less_than_fifty_milliseconds(filled: datetime) -> None:
    """What this process and PostgreSQL need for it, each at its best: the machine may be busy with other things."""
    names = [f"table.{n}.lag_s" for n in range(6)]
    ours_ms, postgres_ms = [], []
    for _ in range(10):
        began = time.process_time()
        chart = series.fetch(names, filled - DAY, filled, now=filled)
        ours_ms.append((time.process_time() - began) * 1000)
        with connection.cursor() as cursor:
            values = {"names": names, "start": filled - DAY, "end": filled, "step_s": float(chart.step_s)}
            values["origin"] = values["start"].timestamp()
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql.points(chart.step_s)}", values)
            [[plan]] = cursor.fetchone()
            postgres_ms.append(plan["Planning Time"] + plan["Execution Time"])
    assert all(None not in line.y for line in chart.lines)
    assert len(chart.x) == 288
    assert min(ours_ms) + min(postgres_ms) < 50

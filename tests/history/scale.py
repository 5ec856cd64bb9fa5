"""Measure the history at scale: `python -m tests.history.scale [SERIES] [DAYS]`.

Samples are made a day at a time, one a minute and series, rolled up by the console's own code, and what that
takes on disk and in time is printed; bytes are extrapolated to 10,000 series and 14 days (issue 3: at most 4
GB).
"""

from __future__ import annotations

import statistics
import sys
import time
from datetime import datetime, timedelta

from tests import services


def main(count: int, days: int) -> None:
    services.start()  # before Django reads its settings
    import django

    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.utils import timezone

    from console.history import partitions, series
    from console.history.keep import roll_up
    from console.history.levels import DAY, HOUR, LEVELS
    from console.history.rules import floored

    def execute(statement: str, *values: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(statement, values)

    def size(table: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT coalesce(sum(pg_total_relation_size(inhrelid)), 0) FROM pg_inherits "
                "WHERE inhparent = %s::regclass",
                [table],
            )
            return int(cursor.fetchone()[0])

    def timed(label: str, work: object, times: int = 20) -> None:
        took = []
        for _ in range(times):
            began = time.perf_counter()
            work()  # type: ignore[operator]
            took.append((time.perf_counter() - began) * 1000)
        took.sort()
        print(f"{label}: p50 {statistics.median(took):.1f} ms, p95 {took[int(len(took) * 0.95) - 1]:.1f} ms")

    call_command("migrate", verbosity=0)
    names = [f"table.source.schema.table_{n}.lag_s" for n in range(count)]
    now = floored(timezone.now(), HOUR) + timedelta(minutes=10)

    timed(f"record {count} samples, first time", lambda: series.record([(n, 1.5) for n in names], now), 1)
    start = floored(now, DAY) - days * DAY
    rolled_s, hour, hours = 0.0, start, 0
    raw_bytes = 0.0
    while hour < now:
        partitions.require(LEVELS[0], [hour])
        until = min(hour + HOUR, now)
        execute(
            "INSERT INTO history_point SELECT at, id, random() * 1000 FROM history_series, "
            "generate_series(%s::timestamptz, %s::timestamptz, '1 minute') at ON CONFLICT DO NOTHING",
            hour,
            until - timedelta(seconds=1),
        )
        if until == hour + HOUR:
            raw_bytes = max(raw_bytes, size("history_point") / max(1, len(partitions.existing(LEVELS[0]))))
            began = time.perf_counter()
            roll_up(until + timedelta(minutes=3))
            rolled_s += time.perf_counter() - began
            hours += 1
        if hour < now - timedelta(hours=7):
            execute(f"DROP TABLE {LEVELS[0].partition(hour)}")
        hour += HOUR
    partitions.ensure(now)
    print(f"rolled up {hours} hours in {rolled_s:.1f} s ({rolled_s / max(1, hours):.2f} s each)")
    for attempt in range(3):
        at = now + timedelta(seconds=15 * attempt)
        timed(f"record {count} samples", lambda at=at: series.record([(n, 1.5) for n in names], at), 1)
    execute("VACUUM ANALYZE")

    sizes = {level.table: size(level.table) for level in LEVELS}
    print({table: f"{bytes_ / 1e6:.1f} MB" for table, bytes_ in sizes.items()})
    full_days = max(days, 1)
    minute = sizes["history_minute"] / (full_days + (now - floored(now, DAY)) / DAY) * 14.5
    quarter = sizes["history_quarter"] / full_days * 90
    raw = raw_bytes * 8
    scale = 10_000 / count
    total = (minute + quarter + raw) * scale
    print(
        f"10,000 series, one point a minute: minutes of 14 days {minute * scale / 1e9:.2f} GB, quarters of 90 days "
        f"{quarter * scale / 1e9:.2f} GB, samples of 8 hours {raw * scale / 1e9:.2f} GB, together {total / 1e9:.2f} GB"
    )
    shown = names[:: max(1, count // 6)][:6]

    def chart(hours: int, wanted: list[str]) -> object:
        return lambda: series.fetch(wanted, now - timedelta(hours=hours), now, now=now)

    for hours_ in (1, 6, 24, 168):
        timed(f"chart of {hours_} h, 6 series", chart(hours_, shown))
    timed("chart of 24 h, 1 series", chart(24, shown[:1]))
    timed("chart of 24 h, 50 series", chart(24, names[:50]))
    timed("sparklines of 2 h, 50 series", lambda: series.sparklines(names[:50], now - timedelta(hours=2), now))
    timed("sparklines of 24 h, 50 series", lambda: series.sparklines(names[:50], now - timedelta(hours=24), now))
    timed("latest of 1,000 series", lambda: series.latest(names[:1000], datetime.now(tz=now.tzinfo) + HOUR))


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["1000", "2"][len(sys.argv) - 1 :])))

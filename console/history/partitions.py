"""Partitions: one table per hour, day or ten days, made ahead of time and dropped when it has expired."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import OperationalError, connection, transaction

from console.history.levels import DAY, LEVELS, MINUTE, RAW, Level, retention
from console.history.models import Rolled
from console.history.rules import floored

log = logging.getLogger(__name__)

LOCK = 0x71D_4157  # of PostgreSQL's advisory locks: one process at a time keeps the history
SETTLE_LIMIT = 200


def alone() -> bool:
    """Take the right to change the history's tables until the transaction ends; False: another process has
    it.

    A lock that a long reader holds is waited for two seconds at most, so that no page queues behind us.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        [free] = cursor.fetchone()
        if free:
            cursor.execute("SET LOCAL lock_timeout = '2s'")
    return bool(free)


def existing(level: Level) -> dict[datetime, str]:
    """The level's partitions by the beginning of their span, oldest first; without the default one."""
    pattern = "%Y%m%d%H" if level.span < DAY else "%Y%m%d"
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
            "WHERE inhparent = %s::regclass AND relname ~ '_[0-9]+$'",
            [level.table],
        )
        names = [name for (name,) in cursor.fetchall()]
    starts = {datetime.strptime(name.rpartition("_")[2], pattern).replace(tzinfo=UTC): name for name in names}
    return dict(sorted(starts.items()))


def ensure(now: datetime) -> None:
    """Make the partitions of now and of the time ahead, and those of rows that had to go to the default one."""
    for level in LEVELS:
        first = floored(now, level.span)
        require(level, {first + step * level.span for step in range(level.ahead + 1)} | _homeless(level))


def require(level: Level, starts: Iterable[datetime]) -> None:
    """Make the partitions of these spans where they are missing."""
    for start in sorted(set(starts) - set(existing(level))):
        _create(level, start)


def expire(now: datetime) -> None:
    """Drop what is older than it is to be kept, but never what has not been rolled up."""
    kept = retention()
    limits = dict(zip(LEVELS, (now - kept.raw, now - kept.minute, now - kept.quarter), strict=True))
    for level, limit in limits.items():
        expired = {start: name for start, name in existing(level).items() if start + level.span <= limit}
        if expired and level in (RAW, MINUTE):
            coarser = "minute" if level is RAW else "quarter"
            rolled = Rolled.objects.filter(level=coarser, starts_at__in=expired)
            done = set(rolled.values_list("starts_at", flat=True))
            expired = {start: name for start, name in expired.items() if start in done}
        for name in expired.values():
            _drop(name)


def _homeless(level: Level) -> set[datetime]:
    """The spans of the rows in the default partition: normally none."""
    span_s = int(level.span.total_seconds())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT DISTINCT floor(extract(epoch FROM {level.key}) / %s)::bigint "  # noqa: S608 - our own names
            f"FROM {level.table}_default LIMIT %s",
            [span_s, SETTLE_LIMIT],
        )
        return {datetime.fromtimestamp(number * span_s, UTC) for (number,) in cursor.fetchall()}


def _create(level: Level, start: datetime) -> None:
    """Make the partition beside its table, move its rows out of the default one, then attach it.

    Attaching lets others read and write on; `CREATE TABLE … PARTITION OF` would lock the whole table. The
    default partition is locked for that moment, else a row that arrives in between would forbid the
    attaching.
    """
    name, default, key = level.partition(start), f"{level.table}_default", level.key
    bounds = [start, start + level.span]
    try:
        with transaction.atomic():
            # Looked at again now that nobody else changes them: another process may just have made it.
            if not alone() or start in existing(level):
                return
            with connection.cursor() as cursor:
                cursor.execute(f"LOCK TABLE ONLY {level.table} IN SHARE ROW EXCLUSIVE MODE")
                cursor.execute(f"LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
                cursor.execute(f"CREATE TABLE IF NOT EXISTS {name} (LIKE {level.table} INCLUDING ALL)")
                if level is RAW:  # what was vacuumed is read from the index alone: every minute, not after a fifth more
                    cursor.execute(f"ALTER TABLE {name} SET (autovacuum_vacuum_insert_scale_factor = 0.02)")
                cursor.execute(
                    f"WITH moved AS (DELETE FROM {default} WHERE {key} >= %s AND {key} < %s RETURNING *) "  # noqa: S608
                    f"INSERT INTO {name} SELECT * FROM moved",
                    bounds,
                )
                late = cursor.rowcount
                cursor.execute(
                    f"ALTER TABLE {level.table} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)", bounds
                )
            if late and level is RAW:
                Rolled.objects.filter(level="minute", starts_at=start).delete()  # it is rolled up again
    except OperationalError as error:
        log.warning("partition %s is made a minute later: %s", name, error)


def _drop(name: str) -> None:
    try:
        with transaction.atomic():
            if alone():
                with connection.cursor() as cursor:
                    cursor.execute(f"DROP TABLE IF EXISTS {name}")
    except OperationalError as error:
        log.warning("partition %s is dropped a minute later: %s", name, error)

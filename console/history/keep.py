"""What beat has done to the history each minute: partitions ahead, roll-ups, and what has expired dropped.

Every step is a transaction of its own and may be repeated, in any order, by any number of processes. After
days without the console the first run catches up.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from console.history import partitions, sql
from console.history.levels import DAY, HOUR, MINUTE, QUARTER, RAW, Level, retention
from console.history.models import Mark, Rolled
from console.history.rules import floored

SETTLED = timedelta(minutes=2)
"""How long after its end an hour is rolled up: the polls that began in it have been saved by then."""


def keep(now: datetime) -> None:
    """Keep the history in order. Roll-ups come before expiry, so that nothing is dropped unread."""
    partitions.ensure(now)
    roll_up(now)
    # What a clock that is ahead believes to be expired may not be: of two clocks the earlier one decides.
    expire(min(now, _database_now()))


def roll_up(now: datetime) -> None:
    """Roll closed hours up to minutes, and closed days, once all their hours are done, to quarters of an
    hour.
    """
    closed = now - SETTLED
    # A clock that was ahead has rolled up hours that are not over: they are done again when they are.
    Rolled.objects.filter(level="minute", starts_at__gt=closed - HOUR).delete()
    Rolled.objects.filter(level="quarter", starts_at__gt=closed - DAY).delete()
    hours = [start for start in partitions.existing(RAW) if start + HOUR <= closed]
    for start in _not_rolled("minute", hours):
        _roll(MINUTE, sql.ROLL_MINUTES, start, start + HOUR)
    open_days = {floored(start, DAY) for start in _not_rolled("minute", hours)}
    days = [start for start in partitions.existing(MINUTE) if start + DAY <= closed and start not in open_days]
    for start in _not_rolled("quarter", days):
        _roll(QUARTER, sql.ROLL_QUARTERS, start, start + DAY)


def expire(now: datetime) -> None:
    """Drop expired partitions, marks, and the names that nothing is left of."""
    partitions.expire(now)
    oldest = now - retention().quarter
    Mark.objects.filter(at__lt=oldest).delete()
    forgotten, _ = Rolled.objects.filter(level="quarter", starts_at__lt=oldest - 20 * DAY).delete()
    Rolled.objects.filter(level="minute", starts_at__lt=oldest - 20 * DAY).delete()
    if forgotten:  # once a day at most: it looks at every series
        with connection.cursor() as cursor:
            cursor.execute(sql.FORGET_EMPTY)


def _not_rolled(level: str, starts: list[datetime]) -> list[datetime]:
    done = set(Rolled.objects.filter(level=level, starts_at__in=starts).values_list("starts_at", flat=True))
    return [start for start in starts if start not in done]


def _roll(level: Level, statement: str, start: datetime, end: datetime) -> None:
    partitions.require(level, [floored(start, level.span)])
    with transaction.atomic():
        if not partitions.alone() or Rolled.objects.filter(level=level.name, starts_at=start).exists():
            return
        with connection.cursor() as cursor:
            cursor.execute(statement, {"start": start, "end": end})
        Rolled.objects.create(level=level.name, starts_at=start)
        if level is MINUTE:  # an hour that came late makes its day's quarters out of date
            Rolled.objects.filter(level="quarter", starts_at=floored(start, DAY)).delete()


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [at] = cursor.fetchone()
    return at.astimezone(UTC) if isinstance(at, datetime) else timezone.now()

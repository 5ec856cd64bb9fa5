"""In which minutes a table was late or unknown: sixty bits an hour, so that days of many tables are soon counted.

A minute is bad for a table when one poll in it found its proven lag over its SLO, or unknown; and for all tables when
there was no poll in it. Only bad minutes are kept: tables that are well cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from django.db import connection

HOUR = 60


def minute_of(at: datetime) -> int:
    """Minutes since 1970, to the one that holds this moment."""
    return int(at.timestamp() // 60)


def masks(first: int, last: int) -> dict[int, int]:
    """The minutes `first` to `last`, both included, as bits by their hour (since 1970); the lowest bit is minute 0."""
    found = {}
    for hour in range(first // HOUR, last // HOUR + 1):
        low, high = max(first - hour * HOUR, 0), min(last - hour * HOUR, HOUR - 1)
        found[hour] = (1 << (high + 1)) - (1 << low)
    return found


@dataclass(frozen=True)
class Watched:
    """Which minutes were polled, up to the newest that counts: the current one, or the last while that has no poll."""

    last: int
    bits: Sequence[int]  # the polled minutes of its hour, then of each hour before
    seen: Sequence[int]  # seen[n]: how many those of the first n hours are

    def gone(self, length: int) -> int:
        """Minutes without a poll among the newest `length`; at most as many as were looked at."""
        if not length:
            return 0
        hour, minute = divmod(self.last - length + 1, HOUR)
        back = self.last // HOUR - hour
        return length - self.seen[back] - (self.bits[back] >> minute).bit_count()


def watched(hours: Mapping[int, int], now: int, length: int) -> Watched:
    """`hours`: the polled minutes as bits by the hour; `length`: how many minutes are looked at."""
    last = now if hours.get(now // HOUR, 0) >> now % HOUR & 1 else now - 1
    newest, oldest = last // HOUR, (last - length + 1) // HOUR
    bits = [hours.get(hour, 0) for hour in range(newest, oldest - 1, -1)]
    if bits:
        bits[0] &= (1 << last % HOUR + 1) - 1  # what is later does not count yet
    return Watched(last, bits, list(accumulate((each.bit_count() for each in bits), initial=0)))


# --- Memory --------------------------------------------------------------------------------------------------------

_WATCHED = """
INSERT INTO freshness_watchedhour AS old (hour, bits) VALUES (%s, %s)
ON CONFLICT (hour) DO UPDATE SET bits = old.bits | excluded.bits WHERE old.bits & excluded.bits = 0"""
# Sorted, like every other writer of many rows: whoever writes the same ones waits instead of dead-locking.
_BAD = """
INSERT INTO freshness_badhour AS old (hour, "table", bits) SELECT %s, name, %s FROM unnest(%s::text[]) AS bad(name)
ORDER BY name ON CONFLICT (hour, "table") DO UPDATE SET bits = old.bits | excluded.bits"""


def note(bad: Sequence[str], now: datetime) -> None:
    """A poll was made at `now`; `bad` are its bad tables, but for those that it had in this minute before.

    Two statements; one without any.
    """
    hour, minute = divmod(minute_of(now), HOUR)
    with connection.cursor() as cursor:
        cursor.execute(_WATCHED, [hour, 1 << minute])
        if bad:
            cursor.execute(_BAD, [hour, 1 << minute, list(bad)])


def look(now: datetime, length: int) -> Watched:
    """Of the last `length` minutes. One query."""
    last = minute_of(now)
    with connection.cursor() as cursor:
        cursor.execute("SELECT hour, bits FROM freshness_watchedhour WHERE hour >= %s", [(last - length) // HOUR])
        return watched(dict(cursor.fetchall()), last, length)


def counted(last: int, lengths: Sequence[int], tables: Sequence[str] | None = None) -> dict[str, tuple[int, ...]]:
    """How many minutes were bad by a poll, in each window of so many minutes up to `last`; only tables that had one.

    `tables`: of these only. One query, whatever their number.
    """
    windows = [masks(last - length + 1, last) for length in lengths]
    hours = sorted(set().union(*windows))
    names = [f"m{number}" for number in range(len(lengths))]
    # A window of minutes is looked at in its own hours only: most hours are those of the longest one.
    sums = ", ".join(
        f"coalesce(sum(bit_count((b.bits & {m})::bit(64))) FILTER (WHERE {m} <> 0), 0)::int" for m in names
    )
    only = "" if tables is None else ' AND b."table" = ANY(%s)'
    query = (
        f'SELECT b."table", {sums} FROM unnest(%s::bigint[]{", %s::bigint[]" * len(names)})'  # noqa: S608 (own names)
        f" AS w(hour, {', '.join(names)}) JOIN freshness_badhour AS b ON b.hour = w.hour"
        f'{only} GROUP BY b."table"'
    )
    bits = [[window.get(hour, 0) for hour in hours] for window in windows]
    with connection.cursor() as cursor:
        cursor.execute(query, [hours, *bits, *([] if tables is None else [list(tables)])])
        return {name: tuple(counts) for name, *counts in cursor.fetchall()}


def forget(before: datetime) -> None:
    """What is older than any window."""
    hour = minute_of(before) // HOUR
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM freshness_badhour WHERE hour < %s", [hour])
        cursor.execute("DELETE FROM freshness_watchedhour WHERE hour < %s", [hour])


def forget_tables(names: Sequence[str]) -> None:
    """They are not declared any more: under the same name another one would begin."""
    if names:
        with connection.cursor() as cursor:
            cursor.execute('DELETE FROM freshness_badhour WHERE "table" = ANY(%s)', [list(names)])

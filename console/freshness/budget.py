"""Error budgets: minutes in which a table's proven lag was over its SLO, or unknown; and cutoffs met in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Count, F, Q, QuerySet

from console.freshness import minutes
from console.freshness.minutes import Watched
from console.freshness.models import TableSnapshot
from console.freshness.outlook import BURNS, Alarm, alarm, burn
from console.freshness.records import Burning, CutoffRow
from console.lib.kept import kept

OBJECTIVE = 0.99
"""The share of minutes, and of cutoffs, that are to be good."""
LONGEST_S = max(long_s for long_s, *_ in BURNS)
CUTOFFS_OVER = timedelta(days=30)
WINDOWS = (3600.0, 6 * 3600.0, LONGEST_S)
ALL_WINDOWS = sorted({length for long_s, short_s, *_ in BURNS for length in (long_s, short_s)})
LENGTHS = [round(window_s / 60) for window_s in ALL_WINDOWS]
STALE = timedelta(minutes=15)
"""Figures that are older say nothing."""
KEPT = timedelta(seconds=LONGEST_S) + timedelta(hours=2)


@dataclass(frozen=True)
class Budget:
    """`burns`: how many times faster than allowed the budget was used, by the window's length in seconds.

    None of them where nothing was proven yet. `met` of `due` cutoffs were met by their deadline.
    """

    burns: tuple[tuple[float, float], ...]
    alarm: Alarm | None
    met: int
    due: int

    @property
    def met_share(self) -> float | None:
        return self.met / self.due if self.due else None


def bad_shares(bad: Sequence[int], watched: Watched, known: int) -> dict[float, float]:
    """The share of bad minutes in the newest of each of `ALL_WINDOWS`, by its seconds.

    `bad`: those that a poll found bad, per window; a minute without any poll is bad too. What lies before the minute
    `known`, in which the table's lag was first proven, does not count. Empty where nothing counts yet.
    """
    age = watched.last - known + 1
    if age < 1:
        return {}
    found = {}
    for window_s, length, number in zip(ALL_WINDOWS, LENGTHS, bad, strict=True):
        counts = min(length, age)
        found[window_s] = min(1.0, (number + watched.gone(counts)) / counts)
    return found


def budget(table: TableSnapshot, now: datetime) -> Budget:
    """Three queries; one where nothing was proven yet."""
    bad: dict[float, float] = {}
    if table.followed and table.known_since is not None:
        watched = minutes.look(now, LENGTHS[-1])
        counts = minutes.counted(watched.last, LENGTHS, [table.name])
        bad = bad_shares(counts.get(table.name, _NONE), watched, minutes.minute_of(table.known_since))
    due, met = _cutoffs.first(table.name, now, now - CUTOFFS_OVER) or (0, 0)
    return Budget(
        burns=tuple((window_s, burn(bad[window_s], OBJECTIVE)) for window_s in WINDOWS) if bad else (),
        alarm=alarm(bad, OBJECTIVE) if bad else None,
        met=met,
        due=due,
    )


@kept
def _cutoffs(table: str, now: datetime, since: datetime) -> QuerySet[CutoffRow, tuple[int, int]]:
    """How many there were, and how many were met in time; no row where there were none."""
    past = CutoffRow.objects.filter(table=table, deadline__lte=now, at__gt=since).order_by().values("table")
    counted = past.annotate(due=Count("pk"), met=Count("pk", filter=Q(met_at__lte=F("deadline"))))
    return counted.values_list("due", "met")


_NONE = (0,) * len(LENGTHS)
_NOTE = """
INSERT INTO freshness_burning ("table", task, source, slo_s, alarm, hour, six_hours, three_days, reckoned_at)
SELECT *, %s FROM unnest(%s::text[], %s::text[], %s::text[], %s::float8[], %s::text[], %s::float8[], %s::float8[],
    %s::float8[]) AS new("table", task, source, slo_s, alarm, hour, six_hours, three_days)
ORDER BY "table" ON CONFLICT ("table") DO UPDATE SET task = excluded.task, source = excluded.source,
    slo_s = excluded.slo_s, alarm = excluded.alarm, hour = excluded.hour, six_hours = excluded.six_hours,
    three_days = excluded.three_days, reckoned_at = excluded.reckoned_at"""


def reckon(now: datetime) -> int:
    """Note which tables raise an alarm, with their figures; how many. Five statements, however many tables.

    The rows of the tables themselves are left alone: polls write them all the time.
    """
    watched = minutes.look(now, LENGTHS[-1])
    counts = minutes.counted(watched.last, LENGTHS)
    tables = TableSnapshot.objects.filter(followed=True, known_since__isnull=False).order_by()
    found: list[tuple[object, ...]] = []
    shares: dict[tuple[object, ...], tuple[Alarm | None, tuple[float, ...]]] = {}
    for name, task, source, slo_s, known_since in tables.values_list("name", "task", "source", "slo_s", "known_since"):
        assert known_since is not None  # by the filter
        bad, known = counts.get(name, _NONE), minutes.minute_of(known_since)
        # Most tables are alike: well, or late since the same minute.
        alike = (max(known, watched.last - LENGTHS[-1]), *bad)
        if alike not in shares:
            shares[alike] = _judged(bad_shares(bad, watched, known))
        raised, burns = shares[alike]
        if raised is not None:
            found.append((name, task, source, slo_s, raised.value, *burns))
    with transaction.atomic(), connection.cursor() as cursor:
        if found:
            cursor.execute(_NOTE, [now, *map(list, zip(*found, strict=True))])
        Burning.objects.filter(reckoned_at__lt=now).delete()
    return len(found)


def _judged(bad: dict[float, float]) -> tuple[Alarm | None, tuple[float, ...]]:
    if not bad:
        return None, ()
    return alarm(bad, OBJECTIVE), tuple(burn(bad[window_s], OBJECTIVE) for window_s in WINDOWS)


def figures(row: Burning) -> dict[float, float]:
    """How many times faster than allowed its budget was used, by the window's length in seconds, as reckoned last."""
    return dict(zip(WINDOWS, (row.hour, row.six_hours, row.three_days), strict=True))

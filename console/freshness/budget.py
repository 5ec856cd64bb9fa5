"""One table's error budget: minutes in which its proven lag was over the SLO, or unknown; and cutoffs met in time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q

from console.freshness.judge import write
from console.freshness.models import CutoffRow, TableSnapshot
from console.freshness.outlook import BURNS, Alarm, alarm, burn
from console.freshness.pages import lag_series
from console.history import series

OBJECTIVE = 0.99
"""The share of minutes, and of cutoffs, that are to be good."""
LONGEST_S = max(long_s for long_s, *_ in BURNS)
CUTOFFS_OVER = timedelta(days=30)
WINDOWS = (3600.0, 6 * 3600.0, LONGEST_S)
ALL_WINDOWS = sorted({length for long_s, short_s, *_ in BURNS for length in (long_s, short_s)})
AT_ONCE = 200
"""So many tables are reckoned in one round: three days of minutes each."""
STALE = timedelta(minutes=15)
"""Figures that are older say nothing."""


@dataclass(frozen=True)
class Budget:
    """`burns`: how many times faster than allowed the budget was used, by the window's length in seconds.

    None of them where nothing was recorded yet. `met` of `due` cutoffs were met by their deadline.
    """

    burns: tuple[tuple[float, float], ...]
    alarm: Alarm | None
    met: int
    due: int

    @property
    def met_share(self) -> float | None:
        return self.met / self.due if self.due else None


def bad_shares(
    lags: Sequence[float | None], step_s: float, slo_s: float, windows: Sequence[float]
) -> dict[float, float]:
    """The share of bad steps in the newest of each window; `lags` oldest first, None: unknown, which is bad.

    What lies before the first figure does not count: nobody was looking yet. Empty without any figure.
    """
    first = next((index for index, lag in enumerate(lags) if lag is not None), None)
    if first is None:
        return {}
    known = lags[first:]
    found = {}
    for window_s in windows:
        some = known[-max(1, round(window_s / step_s)) :]
        found[window_s] = sum(1 for lag in some if lag is None or lag > slo_s) / len(some)
    return found


def budget(table: str, slo_s: float, now: datetime) -> Budget:
    """Two queries, three once something was recorded."""
    bad = _bad({table: slo_s}, now)[table]
    past = CutoffRow.objects.filter(table=table, deadline__lte=now, at__gt=now - CUTOFFS_OVER)
    counts = past.aggregate(due=Count("pk"), met=Count("pk", filter=Q(met_at__lte=F("deadline"))))
    return Budget(
        burns=tuple((window_s, burn(bad[window_s], OBJECTIVE)) for window_s in WINDOWS) if bad else (),
        alarm=alarm(bad, OBJECTIVE) if bad else None,
        met=counts["met"],
        due=counts["due"],
    )


def reckon(now: datetime) -> int:
    """Note the burn of every table that may raise an alarm or has one; how many were looked at. Three queries.

    No alarm without a bad minute in the last six hours, the longest of the short windows: the others are left alone.
    Where there are many, those whose figures are oldest come first; the rest are the next rounds'.
    """
    recent = Q(bad_at__gte=now - timedelta(seconds=max(short_s for _, short_s, *_ in BURNS)))
    rows = list(
        TableSnapshot.objects.filter(recent | ~Q(alarm=""), followed=True)
        .order_by(F("burned_at").asc(nulls_first=True), "name")
        .only("name", "slo_s")[:AT_ONCE]
    )
    found = _bad({row.name: row.slo_s for row in rows}, now)
    for row in rows:
        bad = found[row.name]
        raised = alarm(bad, OBJECTIVE) if bad else None
        row.alarm, row.burned_at = (raised.value if raised else ""), now
        row.burns = json.dumps({str(window_s): burn(bad[window_s], OBJECTIVE) for window_s in WINDOWS} if bad else {})
    write(rows, ("alarm", "burned_at", "burns"), ())
    return len(rows)


def figures(row: TableSnapshot) -> dict[float, float]:
    """How many times faster than allowed its budget was used, by the window's length in seconds, as reckoned last."""
    return {float(window_s): float(times) for window_s, times in json.loads(row.burns or "{}").items()}


def _bad(slos_s: Mapping[str, float], now: datetime) -> dict[str, dict[float, float]]:
    """Each table's shares of bad minutes by the window. One query."""
    if not slos_s:
        return {}
    start = now - timedelta(seconds=LONGEST_S)
    names = {table: lag_series(table) for table in slos_s}
    chart = series.fetch(list(names.values()), start, now, round(LONGEST_S / 60) + 1, now=now, marks=False)
    lines = {line.name: line.y for line in chart.lines}
    return {table: bad_shares(lines[names[table]], chart.step_s, slo_s, ALL_WINDOWS) for table, slo_s in slos_s.items()}

"""One table's error budget: minutes in which its proven lag was over the SLO, or unknown; and cutoffs met in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, F, Q

from console.freshness.models import CutoffRow
from console.freshness.outlook import BURNS, Alarm, alarm, burn
from console.freshness.pages import lag_series
from console.history import series

OBJECTIVE = 0.99
"""The share of minutes, and of cutoffs, that are to be good."""
LONGEST_S = max(long_s for long_s, *_ in BURNS)
CUTOFFS_OVER = timedelta(days=30)
WINDOWS = (3600.0, 6 * 3600.0, LONGEST_S)


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
    chart = series.fetch(
        [lag_series(table)], now - timedelta(seconds=LONGEST_S), now, round(LONGEST_S / 60) + 1, now=now, marks=False
    )
    windows = sorted({length for long_s, short_s, *_ in BURNS for length in (long_s, short_s)})
    bad = bad_shares(chart.line(lag_series(table)).y, chart.step_s, slo_s, windows)
    past = CutoffRow.objects.filter(table=table, deadline__lte=now, at__gt=now - CUTOFFS_OVER)
    counts = past.aggregate(due=Count("pk"), met=Count("pk", filter=Q(met_at__lte=F("deadline"))))
    return Budget(
        burns=tuple((window_s, burn(bad[window_s], OBJECTIVE)) for window_s in WINDOWS) if bad else (),
        alarm=alarm(bad, OBJECTIVE) if bad else None,
        met=counts["met"],
        due=counts["due"],
    )

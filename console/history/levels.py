"""The three resolutions in which points are kept, and where.

Samples lie one a row while they are fresh (appending is cheap); a closed hour is rolled up into one row per
series that holds an array of 60 minutes, a closed day into one of 96 quarters of an hour (a fifth of the
space of rows, and a day of one series is 24 rows side by side instead of 1,440 scattered ones).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from console.history.rules import MINUTE_S, QUARTER_S, RAW_S, Retention

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Level:
    """`span` is the time that one partition holds, `chunk` what one row holds (of arrays: `chunk / step`
    values).
    """

    name: str
    table: str
    key: str  # the column of time
    step_s: int
    chunk: timedelta
    span: timedelta
    ahead: int  # partitions made before they are needed

    def partition(self, start: datetime) -> str:
        return f"{self.table}_{start:%Y%m%d%H}" if self.span < DAY else f"{self.table}_{start:%Y%m%d}"


RAW = Level("raw", "history_point", "at", RAW_S, timedelta(seconds=RAW_S), HOUR, 3)
MINUTE = Level("minute", "history_minute", "starts_at", MINUTE_S, HOUR, DAY, 2)
QUARTER = Level("quarter", "history_quarter", "starts_at", QUARTER_S, DAY, 10 * DAY, 1)
LEVELS = (RAW, MINUTE, QUARTER)


def retention() -> Retention:
    """`settings.HISTORY_RETENTION`: `{"raw": …, "minute": …, "quarter": …}`, each a timedelta; defaults
    otherwise.
    """
    return Retention(**getattr(settings, "HISTORY_RETENTION", {}))

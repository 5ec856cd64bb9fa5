"""How a fleet may follow its work: bounds by the time of day, target, step, cooldown, switches. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

INTERVAL_S = 15.0
"""So often is decided."""
BOOT_S = 180.0
"""What a worker's boot is taken for while nobody declared it and none was measured."""
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True)
class Window:
    """Hours, UTC, with a baseline of their own. One that ends before it begins goes past midnight.

    The days are those on which it begins (0 is Monday); none means every day.
    """

    start_min: int  # minutes after midnight
    end_min: int
    baseline: int
    days: tuple[int, ...] = ()

    def holds(self, now: datetime) -> bool:
        minute, day = now.hour * 60 + now.minute, now.weekday()
        if self.start_min < self.end_min:
            return self._on(day) and self.start_min <= minute < self.end_min
        return (self._on(day) and minute >= self.start_min) or (self._on((day - 1) % 7) and minute < self.end_min)

    def _on(self, day: int) -> bool:
        return not self.days or day in self.days


@dataclass(frozen=True)
class Policy:
    """What is wanted of one fleet. Durations in seconds, sizes in workers."""

    baseline: int
    maximum: int
    slots: int  # tasks that a worker runs at once
    windows: tuple[Window, ...] = ()
    target_wait_s: float = 60.0  # a queued task should start within this
    cooldown_s: float = 180.0  # so long must fewer workers have been enough before one goes
    step: int = 8  # workers added or drained by one decision at most
    boot_s: float | None = None  # declared; None: as measured
    expected_work: bool = True  # no worker for work that ends before it is up
    scheduled_peaks: bool = True  # workers before the runs that are known in advance

    def baseline_at(self, now: datetime) -> int:
        """The highest baseline of the hours that hold now, else the usual one."""
        return max((window.baseline for window in self.windows if window.holds(now)), default=self.baseline)

    def window_at(self, now: datetime) -> Window | None:
        """The hours whose baseline counts now."""
        holding = [window for window in self.windows if window.holds(now)]
        return max(holding, key=lambda window: window.baseline, default=None)


def clock(minutes: int) -> str:
    """`06:30`."""
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}"

"""What a fleet costs: worker-hours by what they were for, and what else would have cost. Pure.

Everything is worked out from what was recorded; time that nobody could see is left out and said (`covered_s`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log2

MONTH_H = 730.0


@dataclass(frozen=True)
class Point:
    """One step of what was recorded. None: it could not be seen."""

    in_service: float | None
    launching: float | None
    draining: float | None
    slots: float | None
    running: float | None


@dataclass(frozen=True)
class Bill:
    """Worker-hours of a span. `covered_s` of its `span_s` were seen.

    `static_hours` are those of a fleet that is always as large as the largest that was seen (`peak` workers), over the
    time that was seen. `machine` is how many times a worker's size the one machine would be that holds the peak of
    running tasks: EC2's sizes, and their prices, double.
    """

    span_s: float
    covered_s: float
    hours: float
    boot_hours: float
    idle_hours: float
    peak: int
    peak_running: int
    static_hours: float
    machine: int

    @property
    def covered(self) -> float:
        return self.covered_s / self.span_s if self.span_s else 0.0

    @property
    def machine_hours(self) -> float:
        """Of the one big machine, in hours of a worker: so many times its price."""
        return self.machine * self.covered_s / 3600

    def saved(self, other_hours: float) -> float | None:
        """The share of the other's cost that was not spent; None without any."""
        return 1 - self.hours / other_hours if other_hours else None

    def monthly(self, hours: float) -> float | None:
        """Hours of a month at this rate; None while too little was seen."""
        return hours / self.covered_s * 3600 * MONTH_H if self.covered_s >= 3600 else None


def bill(points: Sequence[Point], step_s: float, slots: int) -> Bill:
    """The bill of steps `step_s` long, for workers of so many slots."""
    hours = boot = idle = covered_s = 0.0
    peak, peak_running = 0.0, 0.0
    step_h = step_s / 3600
    for point in points:
        if point.in_service is None:
            continue
        covered_s += step_s
        launching = point.launching or 0.0
        workers = point.in_service + launching + (point.draining or 0.0)
        hours += workers * step_h
        boot += launching * step_h
        if point.running is not None:
            used = min(point.running / slots, point.in_service + (point.draining or 0.0))
            idle += (point.in_service + (point.draining or 0.0) - used) * step_h
            peak_running = max(peak_running, point.running)
        peak = max(peak, workers)
    most = ceil(peak - 1e-6)
    needed = max(1, ceil(peak_running / slots - 1e-6))
    return Bill(
        span_s=len(points) * step_s,
        covered_s=covered_s,
        hours=hours,
        boot_hours=boot,
        idle_hours=idle,
        peak=most,
        peak_running=ceil(peak_running),
        static_hours=most * covered_s / 3600,
        machine=2 ** ceil(log2(needed)),
    )

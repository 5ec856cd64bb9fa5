"""A day of one queue in the recorded shape: a night batch, a morning peak, a quiet noon, small things all day."""

from __future__ import annotations

import random
from datetime import UTC, datetime

from console.fleets.scaling.simulate import Job, Load

START = datetime(2026, 3, 4, tzinfo=UTC)  # a Wednesday
HOUR = 3600.0
SLOTS = 8
BOOT_S = 150.0
BASELINE, MAXIMUM = 2, 24

KINDS: dict[str, tuple[float, float]] = {
    # task: (median seconds, how much it varies)
    "night_extract": (420.0, 0.35),
    "night_model": (1500.0, 0.4),
    "hourly_rollup": (240.0, 0.3),
    "partner_check": (18.0, 0.3),
    "adhoc": (200.0, 0.8),
    "heartbeat": (6.0, 0.2),
}


def day(seed: int = 1) -> Load:
    """Some 7,000 tasks. Scheduled: the night's two stages, the rollups, checks and heartbeats; people add the rest."""
    dice = random.Random(seed)
    jobs: list[Job] = []
    peaks: list[tuple[float, str, int]] = []

    def takes(name: str) -> float:
        median_s, spread = KINDS[name]
        return median_s * dice.lognormvariate(0.0, spread)

    def scheduled(at_s: float, name: str, tasks: int) -> None:
        peaks.append((at_s, name, tasks))
        # The scheduler queues them within some seconds, not all in the same instant.
        jobs.extend(Job(at_s + dice.uniform(2, 12), takes(name), name) for _ in range(tasks))

    scheduled(1 * HOUR, "night_extract", 170)
    scheduled(1.5 * HOUR, "night_model", 150)
    for quarter in range(96):
        at_s = quarter * HOUR / 4
        if quarter % 2 == 0:
            scheduled(at_s, "partner_check", 20)
        if 6.5 * HOUR <= at_s <= 10 * HOUR:
            scheduled(at_s + 60, "hourly_rollup", 70 if at_s < 9 * HOUR else 40)
        elif at_s % HOUR == 0:
            scheduled(at_s + 60, "hourly_rollup", 14)
    for five in range(288):
        scheduled(five * 300.0 + 30, "heartbeat", 6)
    for minute in range(1440):
        hour = minute / 60
        rate = 5.0 if 7 <= hour < 10 else 1.6 if 13 <= hour < 18 else 0.2
        for _ in range(_poisson(dice, rate)):
            jobs.append(Job(minute * 60 + dice.uniform(0, 60), takes("adhoc"), "adhoc"))
    past = {name: tuple(takes(name) for _ in range(30)) for name in KINDS}
    jobs.sort(key=lambda job: job.at_s)
    return Load(tuple(jobs), 24 * HOUR, past, tuple(sorted(peaks)))


def _poisson(dice: random.Random, mean: float) -> int:
    total, number = dice.expovariate(1.0), 0
    while total < mean:
        number += 1
        total += dice.expovariate(1.0)
    return number

"""Other settings over what was recorded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from console.fleets.scaling.policy import Policy
from console.fleets.scaling.replay import Recorded, load_of, replay

START = datetime(2026, 3, 4, tzinfo=UTC)


def test_tasks_are_put_together_from_counts() -> None:
    """Three come, two start at once, one waits two minutes; they end at 3, 3 and 5 min."""
    queued = (0, 1, 1, 0, 0, 0, 0)
    running = (0, 2, 2, 1, 1, 0, 0)
    load = load_of(Recorded(START, 60.0, queued, running))
    assert [job.at_s for job in load.jobs] == [60.0, 60.0, 60.0]
    assert [job.takes_s for job in load.jobs] == [120.0, 120.0, 120.0]


def test_a_gap_is_no_end() -> None:
    load = load_of(Recorded(START, 60.0, (0, 0, None, 0, 0), (2, 2, None, 2, 0)))
    assert [job.takes_s for job in load.jobs] == [240.0, 240.0]


def test_a_shorter_cooldown_costs_less_and_a_static_fleet_most() -> None:
    wave = [0.0, 0, 24, 24, 24, 24, 24, 0, 0, 0] * 12
    recorded = Recorded(START, 60.0, tuple([0.0] * len(wave)), tuple(wave))
    usual = Policy(baseline=1, maximum=8, slots=4, cooldown_s=900)
    short = Policy(baseline=1, maximum=8, slots=4, cooldown_s=60)
    one, other, formula, always = replay(recorded, [("now", usual), ("other", short)], boot_s=60.0, interval_s=15.0)
    assert other.outcome.worker_hours < one.outcome.worker_hours < always.outcome.worker_hours
    assert formula.outcome.worker_hours > 0
    assert len(one.outcome.waits_s) == len(load_of(recorded).jobs) == 24 * 12
    assert always.outcome.wait_s(95) == pytest.approx(0.0)

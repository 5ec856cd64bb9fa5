"""A day (the bench has three): cheaper than a static fleet, and better on both than the plain formula."""

from __future__ import annotations

import pytest

from console.fleets.scaling.simulate import Job, Load, Ours, Outcome, Strategy, plain, simulate, smallest_static, static
from tests.bench.autoscaling import EAGER, POLICY
from tests.fleets.scaling.day import BASELINE, BOOT_S, MAXIMUM, SLOTS, START, day


def run(load: Load, strategy: Strategy, first: int = BASELINE) -> Outcome:
    return simulate(load, strategy, slots=SLOTS, boot_s=BOOT_S, first=first, start=START)


@pytest.mark.parametrize("seed", [1])
def test_a_day(seed: int) -> None:
    load = day(seed)
    ours, usual, peak = run(load, Ours(POLICY)), run(load, plain(POLICY)), run(load, static(MAXIMUM), MAXIMUM)
    assert len(ours.waits_s) == len(load.jobs)
    assert ours.worker_hours < usual.worker_hours
    assert ours.wait_s(95) < usual.wait_s(95) / 2
    assert ours.worker_hours <= 0.5 * peak.worker_hours
    _, same = smallest_static(load, ours.wait_s(95), MAXIMUM, slots=SLOTS, boot_s=BOOT_S, start=START)
    assert ours.worker_hours <= 0.5 * same.worker_hours
    eager = run(load, Ours(EAGER))
    assert eager.wait_s(95) == peak.wait_s(95) == 0.0
    assert eager.worker_hours <= 0.5 * peak.worker_hours


def test_what_is_simulated_can_be_worked_out_by_hand() -> None:
    """Two workers of two slots; six tasks of 100 s at once: four start at once, two after 100 s."""
    load = Load(tuple(Job(0.0, 100.0, "a") for _ in range(6)), 3600.0, {})
    found = simulate(load, static(2), slots=2, boot_s=60.0, first=2, start=START)
    assert sorted(found.waits_s) == [0.0] * 4 + [100.0] * 2
    assert found.worker_hours == 2.0
    assert found.launches == 0
    assert found.idle_hours == pytest.approx(2.0 - 6 * 100 / 2 / 3600)


def test_a_launched_worker_serves_after_its_boot_and_goes_when_it_is_empty() -> None:
    load = Load(tuple(Job(1.0, 50.0, "a") for _ in range(2)), 600.0, {})
    found = simulate(load, lambda fleet, now_s: 1 if now_s < 100 else 0 if now_s > 300 else 1, slots=2, boot_s=60.0,
                     first=0, start=START)  # fmt: skip
    assert set(found.waits_s) == {59.0}
    assert found.launches == 1
    assert found.boot_hours == pytest.approx(60 / 3600)

"""Predictions from past runs: conditional on what has run by now, of the last task, of the whole deploy."""

from __future__ import annotations

import random
from statistics import median

import pytest

from console.deploys.predict import AT_WORST, LIKELY, FleetPlan, Running, Spread, foretell, remaining, until_empty

HOURLY = [3600.0 + 60 * n for n in range(30)]


def test_what_ran_shorter_than_this_one_by_now_says_nothing_about_it() -> None:
    left, guessed = remaining(Running(100, [10, 50, 110, 300, 400]))
    assert (left, guessed) == ([10, 200, 300], False)


def test_a_task_that_has_outlasted_every_run_is_a_guess_that_grows_with_it() -> None:
    left, guessed = remaining(Running(1000, [10, 20]), [5000.0])
    assert guessed
    assert median(left) == pytest.approx(1000 * 0.6, rel=0.5)
    assert max(remaining(Running(2000, [10]))[0]) == 2 * max(left)


def test_a_task_without_a_past_borrows_that_of_others() -> None:
    assert remaining(Running(100, []), [150, 90, 200]) == ([50, 100], True)


def test_an_idle_worker_is_empty_at_once() -> None:
    spread = until_empty([])
    assert (spread.at(LIKELY), spread.at(AT_WORST), spread.guessed) == (0, 0, False)


def test_a_worker_is_empty_when_its_last_task_ends() -> None:
    short, long = Running(0, [10.0] * 30), Running(0, HOURLY)
    alone, both = until_empty([long]), until_empty([short, long])
    assert both.points == alone.points
    twice = until_empty([long, long])
    assert twice.at(LIKELY) > alone.at(LIKELY)
    assert twice.at(AT_WORST) <= max(HOURLY)


def test_the_spread_of_a_worker_is_calibrated() -> None:
    """Half of the drawn cases end by the likely time, nine in ten by the worst."""
    dice = random.Random(7)
    pasts = [[dice.lognormvariate(4, 0.6) for _ in range(30)] for _ in range(4)]
    tasks = [Running(dice.uniform(0, 40), past) for past in pasts]
    spread = until_empty(tasks)
    cases = []
    for _ in range(4000):
        lefts = [dice.choice([took - t.ran_s for took in t.past_s if took > t.ran_s]) for t in tasks]
        cases.append(max(lefts))
    assert sum(case <= spread.at(LIKELY) for case in cases) / len(cases) == pytest.approx(0.5, abs=0.07)
    assert sum(case <= spread.at(AT_WORST) for case in cases) / len(cases) == pytest.approx(0.9, abs=0.05)


def plan(draining: int, waiting: int, at_once: int, drain_s: float = 600, boot_s: float = 60) -> FleetPlan:
    spread = Spread((drain_s,))
    return FleetPlan(
        {f"d{n}": spread for n in range(draining)},
        {f"w{n}": spread for n in range(waiting)},
        at_once,
        dropped=at_once,
        boot_s=boot_s,
    )


def test_workers_go_wave_by_wave() -> None:
    whole, each = foretell([plan(1, 3, 1)], seed=1)
    assert whole.likely_s == pytest.approx(4 * (600 + 12) + 3 * 60)
    assert each["d0"].likely_s == pytest.approx(612)
    assert each["w0"].starts_s == pytest.approx(612 + 60)
    twice, _ = foretell([plan(2, 2, 2)], seed=1)
    assert twice.likely_s < whole.likely_s


def test_the_slowest_fleet_ends_the_deploy() -> None:
    slow = FleetPlan({"a": Spread((9000.0,))}, {}, 1, 1, 60)
    quick = FleetPlan({"b": Spread((9.0,))}, {}, 1, 1, 60)
    whole, each = foretell([slow, quick], seed=1)
    assert whole.likely_s == pytest.approx(9012)
    assert each["b"].likely_s == pytest.approx(21)


def test_nothing_to_do_ends_now_and_the_same_question_has_the_same_answer() -> None:
    assert foretell([], seed=1)[0].likely_s == 0
    spread = Spread(tuple(float(n) for n in range(1, 41)))
    fleet = FleetPlan({}, {f"w{n}": spread for n in range(30)}, 3, 3, 30)
    assert foretell([fleet], seed=5) == foretell([fleet], seed=5)
    whole, _ = foretell([fleet], seed=5)
    assert whole.likely_s < whole.at_worst_s


def test_one_guessed_worker_makes_the_whole_a_guess() -> None:
    assert foretell([FleetPlan({"a": Spread((1.0,), True)}, {}, 1, 1, 1)], 1)[0].guessed

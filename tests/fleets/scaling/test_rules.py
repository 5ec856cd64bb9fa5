"""The decision's promises, for whatever is seen."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.fleets.scaling.policy import Policy, Window
from console.fleets.scaling.rules import Action, Demand, Past, Peak, Supply, decide

NOW = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)  # a Wednesday
POLICY = Policy(baseline=2, maximum=10, slots=4)
CALM = Past((), 3600.0)


def fleet(desired: int, **more: object) -> Supply:
    values: dict[str, object] = {"minimum": 0, "maximum": 20, "in_service": desired, "boot_s": 120.0}
    return Supply(desired=desired, **(values | more))  # type: ignore[arg-type]


seconds = st.one_of(st.none(), st.floats(0, 4000, allow_nan=False))
demands = st.builds(
    Demand,
    queued=st.integers(0, 120),
    running=st.integers(0, 120),
    depth=st.one_of(st.none(), st.integers(0, 150)),
    reserved=st.one_of(st.none(), st.integers(0, 20)),
    left_s=st.lists(seconds, max_size=60).map(tuple),
    take_s=st.lists(seconds, max_size=60).map(tuple),
    peaks=st.lists(
        st.builds(
            Peak,
            dag_id=st.just("nightly"),
            at=st.integers(-300, 1200).map(lambda s: NOW + timedelta(seconds=s)),
            tasks=st.integers(0, 60),
            take_s=seconds,
        ),
        max_size=3,
    ).map(tuple),
)
policies = st.builds(
    Policy,
    baseline=st.integers(0, 5),
    maximum=st.integers(5, 20),
    slots=st.integers(1, 16),
    windows=st.lists(
        st.builds(Window, start_min=st.integers(0, 1439), end_min=st.integers(0, 1439), baseline=st.integers(0, 5)),
        max_size=2,
    ).map(tuple),
    target_wait_s=st.floats(0, 600),
    cooldown_s=st.floats(0, 900),
    step=st.integers(1, 20),
    expected_work=st.booleans(),
    scheduled_peaks=st.booleans(),
)
pasts = st.builds(Past, needs=st.lists(st.integers(0, 30), max_size=5).map(tuple), watched_s=st.floats(0, 3600))


@given(policies, demands, st.integers(0, 25), st.integers(0, 5), pasts)
def test_baseline_to_maximum_always(policy: Policy, demand: Demand, desired: int, leaving: int, past: Past) -> None:
    supply = fleet(desired, leaving=leaving)
    found = decide(policy, demand, supply, past, NOW)
    assert found.desired is not None
    assert policy.baseline_at(NOW) <= found.desired <= policy.maximum
    assert found.because.endswith(".")


@given(policies, demands, st.integers(0, 25), pasts, st.sampled_from(["queued", "running", "desired", "in_service"]))
def test_nothing_changes_on_unknown_data(policy: Policy, demand: Demand, desired: int, past: Past, hidden: str) -> None:
    supply = fleet(desired)
    if hidden in ("queued", "running"):
        demand = replace(demand, **{hidden: None})  # type: ignore[arg-type]
    else:
        supply = replace(supply, **{hidden: None})  # type: ignore[arg-type]
    found = decide(policy, demand, supply, past, NOW)
    assert (found.action, found.delta, found.need) == (Action.BLIND, 0, None)
    assert "can't be seen" in found.because


@given(policies, demands, st.integers(0, 20))
def test_a_constant_load_settles_and_stays(policy: Policy, demand: Demand, desired: int) -> None:
    """Only up or only down, then nothing: whatever the load is, as long as it is the same."""
    demand = replace(demand, peaks=())
    needs: list[int] = []
    current, sizes = desired, [desired]
    for _ in range(60):
        found = decide(policy, demand, fleet(current), Past(tuple(needs[-20:]), 3600.0), NOW)
        assert found.desired is not None
        needs.append(found.need or 0)
        current = found.desired
        sizes.append(current)
    changes = [after - before for before, after in itertools.pairwise(sizes) if after != before]
    assert all(change > 0 for change in changes) or all(change < 0 for change in changes), sizes
    assert sizes[-1] == sizes[-20]


@given(demands, st.integers(1, 10))
def test_what_others_hold_is_left_alone(demand: Demand, desired: int) -> None:
    found = decide(POLICY, demand, fleet(desired), CALM, NOW, hold="OP-7 (deploy) works on the whole fleet")
    assert found.delta == 0
    if found.action is Action.HOLD and "would go" in found.because:
        assert "OP-7" in found.because


def test_the_plain_need_is_the_formula_and_the_sentence_says_it() -> None:
    found = decide(replace(POLICY, expected_work=False), Demand(17, 4), fleet(2), CALM, NOW)
    assert found.desired == ceil(21 / 4) == 6
    assert "17 queued and 4 running" in found.because
    assert "2 → 6" in found.because


def test_a_step_and_the_maximum_bound_it() -> None:
    found = decide(replace(POLICY, step=3), Demand(300, 8), fleet(2), CALM, NOW)
    assert found.desired == 5
    assert "at most 3 more at once" in found.because
    assert "at most 10" in found.because.replace("\N{NBSP}", " ")


def test_no_worker_for_work_that_ends_before_it_is_up() -> None:
    short = Demand(24, 8, left_s=(5.0,) * 8, take_s=(10.0,) * 24)
    found = decide(POLICY, short, fleet(2), CALM, NOW)
    assert (found.action, found.desired) == (Action.HOLD, 2)
    assert "before a new one is up" in found.because
    assert decide(replace(POLICY, expected_work=False), short, fleet(2), CALM, NOW).desired == 8


def test_of_long_work_only_as_many_as_shorten_the_wait() -> None:
    found = decide(POLICY, Demand(24, 8, left_s=(600.0,) * 8, take_s=(30.0,) * 24), fleet(2), CALM, NOW)
    assert found.action is Action.OUT
    assert 2 < (found.desired or 0) <= 8


def test_work_without_a_history_is_taken_for_long() -> None:
    assert decide(POLICY, Demand(24, 8), fleet(2), CALM, NOW).desired == 8


def test_a_scheduled_peak_warms_the_fleet_one_boot_ahead() -> None:
    peaks = (Peak("nightly", NOW + timedelta(seconds=125), 20, 900.0),)
    found = decide(POLICY, Demand(0, 0, peaks=peaks), fleet(2), CALM, NOW)
    assert found.desired == 5
    assert "nightly" in found.because
    later = (Peak("nightly", NOW + timedelta(seconds=400), 20, 900.0),)
    assert decide(POLICY, Demand(0, 0, peaks=later), fleet(2), CALM, NOW).desired == 2
    assert decide(replace(POLICY, scheduled_peaks=False), Demand(0, 0, peaks=peaks), fleet(2), CALM, NOW).desired == 2


def test_a_peak_that_comes_within_a_boot_keeps_what_is_there() -> None:
    peaks = (Peak("nightly", NOW + timedelta(seconds=200), 20, 900.0),)
    found = decide(POLICY, Demand(0, 0, peaks=peaks), fleet(5), CALM, NOW)
    assert found.desired == 5


@pytest.mark.parametrize(
    ("past", "words"),
    [
        (Past((1, 5, 1), 3600.0), "5 workers were needed"),
        (Past((1,), 60.0), "of the cooldown to go"),
    ],
)
def test_fewer_only_when_fewer_were_enough_for_the_whole_cooldown(past: Past, words: str) -> None:
    found = decide(POLICY, Demand(0, 1), fleet(5), past, NOW)
    assert found.action is Action.HOLD
    assert words in found.because.replace("\N{NBSP}", " ")


def test_down_to_what_the_cooldown_needed() -> None:
    found = decide(POLICY, Demand(0, 1), fleet(6), Past((2, 4, 3), 3600.0), NOW)
    assert (found.action, found.desired) == (Action.IN, 4)


def test_a_lowered_maximum_waits_for_nothing() -> None:
    assert decide(POLICY, Demand(100, 60), fleet(12), Past((), 0.0), NOW).desired == 10


def test_workers_that_leave_are_not_counted_on() -> None:
    found = decide(replace(POLICY, expected_work=False), Demand(8, 4), fleet(4, leaving=2), CALM, NOW)
    assert (found.current, found.desired) == (2, 3)


@pytest.mark.parametrize(("hour", "baseline"), [(6, 2), (7, 5), (9, 5), (10, 2)])
def test_the_baseline_follows_the_hours(hour: int, baseline: int) -> None:
    policy = replace(POLICY, windows=(Window(7 * 60, 10 * 60, 5),))
    found = decide(policy, Demand(0, 0), fleet(2), CALM, NOW.replace(hour=hour))
    assert found.desired == baseline


def test_hours_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = Window(22 * 60, 4 * 60, 6, days=(1,))  # Tuesdays
    assert night.holds(NOW.replace(hour=3))
    assert not night.holds(NOW.replace(hour=23))
    assert not night.holds(NOW.replace(hour=4))
    assert not night.holds((NOW + timedelta(days=1)).replace(hour=3))


def test_what_the_broker_says_otherwise_is_told_and_changes_nothing() -> None:
    demand = Demand(10, 8, depth=3, reserved=2)
    found = decide(POLICY, demand, fleet(2, active=6), CALM, NOW)
    assert found.desired == decide(POLICY, Demand(10, 8), fleet(2), CALM, NOW).desired
    assert any("ghosts" in remark for remark in found.remarks)
    assert any("leak" in remark for remark in found.remarks)

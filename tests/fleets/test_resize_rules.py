"""The resize of a fleet, on a simulated group: out at once, in only by drains, and the group never ends one itself."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.operations.rules import Orders, State
from tests.deploys.simulated import RESIZE, Console, Fleet


def resize(**changes: Any) -> dict[str, Any]:
    return {
        "queue": "cpu",
        "group": "g",
        "baseline": None,
        "max": None,
        "desired": None,
        "deadline_s": 600.0,
        "on_deadline": "wait",
        "override_last": False,
    } | changes


def ended(console: Console, **run: Any) -> tuple[State, str]:
    decision = console.run(**run)
    assert decision.outcome is not None, decision.progress
    return decision.outcome.state, decision.outcome.text


def test_more_workers_are_asked_for_at_once_and_it_ends_when_they_are_in_service() -> None:
    fleet = Fleet(2, 4)
    state, text = ended(Console(fleet, resize(desired=4), RESIZE))
    assert (state, fleet.desired, len(fleet.live())) == (State.SUCCEEDED, 4, 4)
    assert text == "The group wants 4\N{NO-BREAK SPACE}workers, between 0 and 4."


def test_more_than_the_maximum_raises_the_maximum_first() -> None:
    fleet = Fleet(2, 4)
    assert ended(Console(fleet, resize(desired=6, max=8), RESIZE))[0] is State.SUCCEEDED
    assert (fleet.minimum, fleet.maximum, fleet.desired) == (0, 8, 6)


def test_a_higher_baseline_brings_the_fleet_up_to_it() -> None:
    fleet = Fleet(2, 4)
    assert ended(Console(fleet, resize(baseline=3), RESIZE))[0] is State.SUCCEEDED
    assert (fleet.minimum, fleet.desired) == (3, 3)


def test_fewer_workers_are_drained_the_idle_ones_first_and_nothing_is_lost() -> None:
    fleet = Fleet(4, 6, busy=False)
    for name in ("i-1", "i-3"):
        fleet.hosts[name].tasks = [300.0]
    state, text = ended(Console(fleet, resize(desired=2), RESIZE))
    assert (state, fleet.desired) == (State.SUCCEEDED, 2)
    assert {host.id for host in fleet.live()} == {"i-1", "i-3"}
    assert "2 drained, no task lost" in text


def test_a_lower_maximum_drains_first_and_is_set_at_the_end() -> None:
    fleet = Fleet(4, 6)
    console = Console(fleet, resize(max=2), RESIZE)
    assert ended(console)[0] is State.SUCCEEDED
    assert (fleet.maximum, fleet.desired, len(fleet.live())) == (2, 2, 2)
    assert (fleet.lost_tasks, fleet.ended_by_group, fleet.wrongly_ended) == (0, [], [])


def test_workers_that_others_hold_are_left_to_them() -> None:
    fleet = Fleet(4, 4, busy=False)
    others = {f"worker:i-{n}": "OP-5 drain" for n in (1, 2)}
    assert ended(Console(fleet, resize(desired=3), RESIZE, others=others))[0] is State.SUCCEEDED
    assert {host.id for host in fleet.live()} == {"i-1", "i-2", "i-4"}


def test_the_last_one_that_nobody_else_takes_away_stays() -> None:
    fleet = Fleet(3, 4, busy=False)
    others = {f"worker:i-{n}": "OP-5 drain" for n in (1, 2)}
    decision = Console(fleet, resize(desired=2), RESIZE, others=others).run(limit_s=200)
    assert decision.progress.text == "no other worker would serve cpu"


def test_the_last_consumer_goes_only_with_an_override() -> None:
    fleet = Fleet(2, 4, busy=False)
    decision = Console(fleet, resize(desired=0), RESIZE).run(limit_s=300)
    assert decision.outcome is None
    assert decision.progress.text == "no other worker would serve cpu"
    assert ended(Console(Fleet(2, 4), resize(desired=0, override_last=True), RESIZE))[0] is State.SUCCEEDED


def test_a_worker_that_a_person_puts_back_is_kept() -> None:
    fleet = Fleet(3, 4, busy=False)
    for host in fleet.live():
        host.tasks = [5000.0]
    console = Console(fleet, resize(desired=2), RESIZE)
    console.run(limit_s=30)
    console.tell("undrain")
    assert ended(console)[0] is State.SUCCEEDED
    assert (fleet.desired, len(fleet.ready())) == (3, 3)


def test_abort_puts_back_what_can_be_put_back() -> None:
    fleet = Fleet(4, 4, busy=False)
    for host in fleet.live():
        host.tasks = [5000.0]
    console = Console(fleet, resize(desired=1), RESIZE)
    console.run(limit_s=30)
    assert len(fleet.ready()) == 1
    console.orders = Orders(aborting=True)
    assert ended(console)[0] is State.ABORTED
    assert (len(fleet.ready()), fleet.terminated) == (4, [])


def test_paused_it_begins_nothing() -> None:
    fleet = Fleet(2, 4)
    console = Console(fleet, resize(desired=4), RESIZE, orders=Orders(paused=True))
    console.run(limit_s=100)
    assert (console.calls, fleet.desired) == (0, 2)


def test_a_group_that_refuses_ends_it_with_the_reason() -> None:
    fleet = Fleet(2, 4, refuses=frozenset({"set_desired"}))
    state, text = ended(Console(fleet, resize(desired=4), RESIZE))
    assert state is State.FAILED
    assert text.startswith("The group refuses: ")


def test_workers_that_can_not_be_launched_are_told() -> None:
    fleet = Fleet(2, 4)
    fleet.refuses = frozenset()
    console = Console(fleet, resize(desired=4), RESIZE)
    real = fleet.pass_time

    def no_capacity(seconds: float) -> None:
        wanted, fleet.desired = fleet.desired, min(fleet.desired, 2)
        real(seconds)
        fleet.desired = wanted

    fleet.pass_time = no_capacity  # type: ignore[method-assign]
    state, text = ended(console)
    assert (state, text[:6]) == (State.FAILED, "2 of 4")


@given(data=st.data())
@settings(max_examples=int(os.environ.get("QD_EXAMPLES", "15")), deadline=None)
def test_whatever_is_asked_and_wherever_it_is_killed_no_work_is_lost(data: st.DataObject) -> None:
    dice = random.Random(data.draw(st.integers(0, 2**32)))
    desired = data.draw(st.integers(1, 5))
    low = data.draw(st.one_of(st.none(), st.integers(0, 4)))
    high = data.draw(st.one_of(st.none(), st.integers(max(1, low or 0), 7)))
    wanted = data.draw(st.one_of(st.none(), st.integers(max(1, low or 0), min(5, high or 5) if high else 5)))
    chance = data.draw(st.sampled_from([0.0, 0.2]))
    if (low or 0) > (high or 5):
        return
    fleet = Fleet(desired, 5, seed=dice.randrange(999), boot_s=dice.uniform(2, 30))
    console = Console(fleet, resize(baseline=low, max=high, desired=wanted), RESIZE)
    console.die = lambda: fleet.now_s < 200 and dice.random() < chance
    console.lost = lambda: dice.choice(["there", "back", ""]) if fleet.now_s < 200 and dice.random() < chance else ""
    console.twice = lambda: fleet.now_s < 200 and dice.random() < chance

    def watch() -> None:
        fleet.blind = fleet.now_s < 200 and dice.random() < chance
        assert (fleet.lost_tasks, fleet.wrongly_ended, fleet.ended_by_group) == (0, [], [])
        assert fleet.ready(), "the queue's last consumer was taken"

    decision = console.run(watch=watch, every_s=4)
    assert decision.outcome is not None, decision.progress
    assert decision.outcome.state is State.SUCCEEDED
    least, most = (low or 0), (high or 5)
    assert fleet.desired == min(max(desired if wanted is None else wanted, least), most)
    assert (fleet.minimum, fleet.maximum) == (least, most)


@pytest.mark.parametrize("field", ["baseline", "max", "desired"])
def test_a_fleet_that_is_like_that_already_is_left_alone(field: str) -> None:
    fleet = Fleet(3, 4, minimum=1)
    value = {"baseline": 1, "max": 4, "desired": 3}[field]
    console = Console(fleet, resize(**{field: value}), RESIZE)
    assert ended(console)[0] is State.SUCCEEDED
    assert console.calls == 0

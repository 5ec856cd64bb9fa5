"""The rolling replacement on a simulated fleet: all replaced, nothing lost, never fewer ready than promised."""

from __future__ import annotations

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.operations.rules import Orders, State
from tests.deploys.simulated import Console, Fleet, parameters


def promises(console: Console, surge: int, unavailable: int) -> None:
    """What must hold at every moment of a deploy that nothing from outside disturbs."""
    fleet = console.fleet
    floor = fleet.started - unavailable
    assert len(fleet.ready()) >= floor, f"{len(fleet.ready())} ready at {fleet.now_s} s, {floor} promised"
    assert len(fleet.live()) <= fleet.started + surge
    assert not fleet.wrongly_ended
    assert fleet.ready(), "the queue's last consumer was taken"


@pytest.mark.parametrize(("desired", "surge", "unavailable"), [(2, 1, 0), (4, 2, 0), (4, 0, 1), (6, 2, 2), (3, 5, 0)])
def test_every_worker_is_replaced_and_no_task_is_lost(desired: int, surge: int, unavailable: int) -> None:
    fleet = Fleet(desired, desired + surge)
    console = Console(fleet, parameters(max_surge=surge, max_unavailable=unavailable))
    decision = console.run(watch=lambda: promises(console, surge, unavailable))
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED, decision.outcome
    assert {host.version for host in fleet.live()} == {"2"}
    assert (len(fleet.live()), fleet.desired, fleet.lost_tasks) == (desired, desired, 0)


def test_a_fleet_that_is_new_already_is_left_alone() -> None:
    fleet = Fleet(3, 4, version="2")
    console = Console(fleet, parameters())
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED
    assert console.calls == 0


def test_two_new_workers_that_are_never_ready_abort_it_before_anything_old_is_touched() -> None:
    fleet = Fleet(3, 5, boot_s=5)
    fleet.never_ready = True
    console = Console(fleet, parameters(max_surge=2))
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "never ready" in decision.outcome.text
    assert sum(1 for host in fleet.ready() if host.version == "1") == 3
    assert fleet.terminated == []


def test_a_new_worker_runs_a_canary_task_before_it_counts_where_that_is_asked_for() -> None:
    fleet = Fleet(2, 3, boot_s=5)
    console = Console(fleet, parameters(canary=True))
    decision = console.run(watch=lambda: promises(console, 1, 0))
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED, decision.outcome
    assert all(host.canaries == 1 for host in fleet.live())
    steps = {key for key in console.steps if ":canary:" in key}
    assert steps == {f"cpu:canary:{number}{end}" for number in (1, 2) for end in ("", ":end")}


def test_workers_that_consume_and_run_nothing_abort_it_by_their_canaries() -> None:
    fleet = Fleet(3, 5, boot_s=5, runs_nothing=True)
    for host in fleet.live():
        host.runs_nothing = False
    console = Console(fleet, parameters(max_surge=2, canary=True))
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "never ready" in decision.outcome.text
    assert sum(1 for host in fleet.ready() if host.version == "1") == 3
    assert fleet.terminated == []
    sent = [key for key in console.steps if ":canary:" in key and not key.endswith(":end")]
    assert 2 <= len(sent) <= 8, "a canary that was not run is sent again, now and then"


def test_without_being_asked_for_no_canary_is_sent() -> None:
    fleet = Fleet(2, 3, boot_s=5)
    console = Console(fleet, parameters())
    console.run()
    assert not [key for key in console.steps if ":canary:" in key]


def test_a_task_that_never_ends_pauses_it_with_a_choice_and_nothing_is_killed() -> None:
    fleet = Fleet(2, 3, busy=False)
    for host in fleet.live():
        host.tasks = [float("inf")]
    console = Console(fleet, parameters(drain_deadline_s=60))
    decision = console.run(limit_s=400)
    assert decision.outcome is None
    assert decision.question is not None
    assert [name for name, _ in decision.question.choices] == ["wait", "undrain", "force"]
    assert "A force would lose dag.task" in decision.question.text
    assert fleet.terminated == []
    console.tell("force")
    decision = console.run(limit_s=30)
    assert fleet.wrongly_ended == ["i-1"] or fleet.wrongly_ended == ["i-2"]
    assert any("takes along dag.task" in line.text for line in decision.notes) or fleet.wrongly_ended


def test_on_deadline_stop_forces_only_because_it_was_asked_for() -> None:
    fleet = Fleet(2, 3, busy=False)
    fleet.live()[0].tasks = [float("inf")]
    console = Console(fleet, parameters(drain_deadline_s=60, on_deadline="stop"))
    decision = console.run(limit_s=900)
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "lost work: dag.task (i-1)" in decision.outcome.text


def test_a_worker_killed_in_mid_task_is_reported_lost() -> None:
    fleet = Fleet(3, 4, busy=False)
    for host in fleet.live():
        host.tasks = [200.0]
    console = Console(fleet, parameters())
    console.run(limit_s=60)
    victim = next(host for host in fleet.live() if not host.consuming)
    fleet.kill(victim)
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert f"lost work: dag.task ({victim.id})" in decision.outcome.text


def test_an_instance_that_the_cloud_takes_away_is_noticed_and_counted() -> None:
    fleet = Fleet(3, 4)
    console = Console(fleet, parameters())
    console.run(limit_s=8)
    fleet.vanish(next(host for host in fleet.live() if host.version == "1" and host.consuming))
    decision = console.run()
    assert decision.outcome is not None
    assert (len(fleet.live()), fleet.desired) == (3, 3)
    assert {host.version for host in fleet.live()} == {"2"}


def test_abort_leaves_a_working_fleet() -> None:
    fleet = Fleet(3, 4, busy=False)
    for host in fleet.live():
        host.tasks = [500.0]
    console = Console(fleet, parameters())
    console.run(limit_s=60)
    assert len([host for host in fleet.live() if not host.consuming]) == 1
    console.orders = Orders(aborting=True)
    decision = console.run(limit_s=200)
    assert decision.outcome is not None
    assert decision.outcome.state is State.ABORTED
    assert all(host.consuming for host in fleet.live())
    assert fleet.terminated == []


def test_a_pause_begins_nothing_new() -> None:
    fleet = Fleet(3, 4)
    console = Console(fleet, parameters())
    console.orders = Orders(paused=True)
    console.run(limit_s=60)
    assert console.calls == 0
    console.orders = Orders()
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED


@given(data=st.data())
@settings(max_examples=int(os.environ.get("QD_EXAMPLES", "15")), deadline=None)
def test_killed_at_any_line_blind_at_any_time_it_still_loses_nothing(data: st.DataObject) -> None:
    """Crashes at each boundary, a broker and a group that can't be seen for a while: the promises hold, and it ends."""
    desired = data.draw(st.integers(1, 5))
    surge = data.draw(st.integers(0, 2))
    unavailable = data.draw(st.integers(0 if surge else 1, 2))
    seed = data.draw(st.integers(0, 2**32))
    chance = data.draw(st.sampled_from([0.0, 0.1, 0.3]))
    dice = random.Random(seed)
    fleet = Fleet(desired, desired + surge, seed=seed, boot_s=dice.uniform(2, 30))
    trouble_until = 300.0
    console = Console(fleet, parameters(max_surge=surge, max_unavailable=unavailable))
    console.die = lambda: fleet.now_s < trouble_until and dice.random() < chance

    def watch() -> None:
        promises(console, surge, unavailable)
        fleet.blind = fleet.now_s < trouble_until and dice.random() < chance
        fleet.group_blind = fleet.now_s < trouble_until and dice.random() < chance

    decision = console.run(limit_s=2_500, every_s=4, watch=watch)
    if desired == 1 and surge == 0:
        assert decision.outcome is None  # the only worker is never taken out of service: it says what it waits for
        assert "must stay" in decision.progress.text
        return
    assert decision.outcome is not None, decision.progress
    assert decision.outcome.state is State.SUCCEEDED, decision.outcome
    assert {host.version for host in fleet.live()} == {"2"}
    assert (len(fleet.live()), fleet.desired, fleet.lost_tasks) == (desired, desired, 0)


def test_several_fleets_end_together_whichever_is_done_first() -> None:
    slow = Fleet(3, 4, seed=3, queue="io", boot_s=45)
    quick = Fleet(1, 2, seed=4, boot_s=2, busy=False)
    fleets = [{"queue": "cpu", "group": "g-cpu"}, {"queue": "io", "group": "g-io"}]
    console = Console(quick, parameters(fleets=fleets), more=(slow,))
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED
    assert {host.version for fleet in (quick, slow) for host in fleet.live()} == {"2"}


def test_a_worker_that_another_operation_holds_is_not_counted_and_not_begun() -> None:
    fleet = Fleet(3, 4, busy=False)
    console = Console(fleet, parameters(), others={"worker:i-1": "OP-7 drain worker:i-1"})
    decision = console.run(limit_s=300)
    assert decision.outcome is None
    assert "OP-7 drain worker:i-1 holds celery@i-1" in decision.progress.text
    assert fleet.hosts["i-1"].consuming
    console.others.clear()
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED


def test_two_deploys_floor_is_kept_while_another_operation_takes_a_worker() -> None:
    """With one worker held elsewhere, the surge makes up for it, and no serving one is drained below the floor."""
    fleet = Fleet(2, 3, busy=False)
    console = Console(fleet, parameters(), others={"worker:i-1": "OP-7 drain worker:i-1"})
    console.run(limit_s=200)
    assert fleet.hosts["i-2"].consuming


def test_a_dead_old_worker_is_a_persons_choice_and_then_replaced() -> None:
    fleet = Fleet(3, 4, busy=False)
    fleet.kill(fleet.hosts["i-2"])
    console = Console(fleet, parameters())
    decision = console.run(limit_s=400)
    assert decision.question is not None
    assert "celery@i-2 has not answered" in decision.question.text
    assert fleet.terminated == []
    console.tell("force")
    decision = console.run()
    assert decision.outcome is not None
    assert {host.version for host in fleet.live()} == {"2"}
    assert (fleet.desired, fleet.lost_tasks) == (3, 0)


def test_an_answer_that_comes_after_the_worker_has_recovered_forces_nothing() -> None:
    fleet = Fleet(3, 4, busy=False)
    host = fleet.hosts["i-2"]
    host.up_at, host.tasks = float("inf"), [10_000.0]
    console = Console(fleet, parameters())
    assert console.run(limit_s=400).question is not None
    host.up_at = 0.0
    console.tell("force")
    console.run(limit_s=30)
    assert fleet.wrongly_ended == []


def test_what_the_cloud_takes_away_at_the_last_moment_leaves_the_fleet_at_its_size() -> None:
    fleet = Fleet(2, 3, busy=False)
    console = Console(fleet, parameters())

    def watch() -> None:
        last = [host for host in fleet.live() if host.version == "1"]
        if len(last) == 1 and not last[0].consuming:
            fleet.vanish(last[0])  # it was to go together with its place; now the group launches another

    decision = console.run(watch=watch)
    assert decision.outcome is not None
    assert (len(fleet.live()), fleet.desired) == (2, 2)
    assert fleet.ended_by_group == []


def test_an_old_version_that_the_group_launched_meanwhile_is_replaced_too() -> None:
    fleet = Fleet(2, 3, busy=False)
    console = Console(fleet, parameters())
    console.tick()
    fleet.vanish(fleet.hosts["i-1"])
    fleet.pass_time(0)
    decision = console.run()
    assert decision.outcome is not None
    assert {host.version for host in fleet.live()} == {"2"}
    assert len(fleet.live()) == 2


def test_one_new_worker_that_is_never_ready_twice_over_aborts_a_deploy_with_a_surge_of_one() -> None:
    fleet = Fleet(2, 3)
    fleet.never_ready = True
    console = Console(fleet, parameters())
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert fleet.version == "1", "the group launches what it launched before"
    assert fleet.terminated == []
    assert "resize when it suits" in decision.outcome.text


def test_a_version_that_the_group_refuses_ends_it_with_the_reason() -> None:
    fleet = Fleet(2, 3, refuses=frozenset({"set_version"}))
    decision = Console(fleet, parameters()).run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "g refused its version" in decision.outcome.text
    assert fleet.desired == 2


def test_the_time_in_which_nothing_can_be_seen_is_not_held_against_new_workers() -> None:
    fleet = Fleet(2, 4, boot_s=30)
    console = Console(fleet, parameters(max_surge=2))
    console.run(limit_s=10)
    fleet.blind = True
    console.run(limit_s=600)
    fleet.blind, fleet.now_s = False, fleet.now_s
    for host in fleet.live():
        host.up_at = max(host.up_at, fleet.now_s + 20) if host.version == "2" else host.up_at
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.SUCCEEDED

"""The drain of chosen workers, on a simulated fleet: what it waits for, asks, and reports."""

from __future__ import annotations

from typing import Any

import pytest

from console.fleets.drain_rules import DrainSeen, decide, start
from console.fleets.draining import Phase, Seen
from console.operations.rules import Ledger, Orders, State
from tests.deploys.simulated import DRAIN, START, Console, Fleet


def drain(*instances: str, **changes: Any) -> dict[str, Any]:
    workers = [{"node": f"celery@{each}", "instance_id": each} for each in instances]
    return {
        "queue": "cpu",
        "group": "g",
        "workers": workers,
        "deadline_s": 600.0,
        "on_deadline": "wait",
        "replace": False,
        "override_last": False,
    } | changes


def test_a_drained_worker_goes_with_its_place_in_the_group() -> None:
    fleet = Fleet(3, 4)
    decision = Console(fleet, drain("i-2"), DRAIN).run()
    assert decision.outcome is not None
    assert (decision.outcome.state, decision.outcome.text) == (
        State.SUCCEEDED,
        "1\N{NO-BREAK SPACE}worker drained, no task lost.",
    )
    assert (fleet.desired, fleet.terminated, fleet.lost_tasks) == (2, [("i-2", True)], 0)


def test_with_replace_the_group_launches_another() -> None:
    fleet = Fleet(3, 4)
    Console(fleet, drain("i-2", replace=True), DRAIN).run()
    fleet.pass_time(1)
    assert (fleet.desired, len(fleet.live()), fleet.terminated) == (3, 3, [("i-2", False)])


def test_a_queues_last_consumer_is_left_alone_without_an_override() -> None:
    fleet = Fleet(1, 2, busy=False)
    console = Console(fleet, drain("i-1"), DRAIN)
    decision = console.run(limit_s=120)
    assert decision.outcome is None
    assert decision.progress.text == "no other worker would serve the queue"
    assert console.calls == 0
    console = Console(fleet, drain("i-1", override_last=True), DRAIN)
    assert console.run().outcome is not None
    assert fleet.live() == []


def test_it_waits_for_the_operation_that_works_on_the_whole_fleet() -> None:
    seen = DrainSeen({"i-1": Seen(True, 1, ("cpu",), (), 0, (), "InService")}, 2, "OP-9")
    parameters = drain("i-1")
    decision = decide(parameters, start(parameters), seen, Ledger(), Orders(), START)
    assert (decision.calls, decision.progress.text) == ((), "OP-9 works on the whole fleet")


def test_a_worker_killed_in_mid_task_is_lost_by_name_never_drained() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [500.0]
    console = Console(fleet, drain("i-1"), DRAIN)
    console.run(limit_s=30)
    fleet.kill(fleet.hosts["i-1"])
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert "lost work: dag.task (i-1)" in decision.outcome.text


def test_a_task_that_never_ends_is_overdue_and_nothing_is_killed() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [float("inf")]
    console = Console(fleet, drain("i-1", deadline_s=60.0), DRAIN)
    decision = console.run(limit_s=300)
    assert decision.question is not None
    assert "A force would lose dag.task (i-1)" in decision.question.text
    assert fleet.terminated == []
    console.tell("wait")
    assert console.run(limit_s=20).question is None
    assert console.run(limit_s=120).question is not None
    console.tell("undrain")
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.ABORTED
    assert fleet.hosts["i-1"].consuming


def test_stop_at_the_deadline_only_because_it_was_asked_for() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [float("inf")]
    decision = Console(fleet, drain("i-1", deadline_s=60.0, on_deadline="stop"), DRAIN).run()
    assert decision.outcome is not None
    assert "lost work: dag.task (i-1)" in decision.outcome.text


def test_a_silent_worker_is_asked_about_and_can_be_ended_by_force() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].up_at = float("inf")
    console = Console(fleet, drain("i-1"), DRAIN)
    decision = console.run(limit_s=200)
    assert decision.question is not None
    assert "celery@i-1 has not answered" in decision.question.text
    console.tell("force", instance_id="i-1")
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.FAILED
    assert [host.id for host in fleet.live()] == ["i-2"]


def test_undrain_while_it_drains_puts_it_back() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [500.0]
    console = Console(fleet, drain("i-1"), DRAIN)
    console.run(limit_s=20)
    assert not fleet.hosts["i-1"].consuming
    console.tell("undrain", instance_id="i-1")
    decision = console.run()
    assert decision.outcome is not None
    assert decision.outcome.state is State.ABORTED
    assert fleet.hosts["i-1"].consuming


def test_a_worker_that_does_not_come_back_after_an_undrain_is_asked_about() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [5000.0]
    console = Console(fleet, drain("i-1"), DRAIN)
    console.run(limit_s=20)
    fleet.hosts["i-1"].forgets = True
    console.orders = Orders(aborting=True)
    decision = console.run(limit_s=400)
    assert decision.question is not None
    assert "does not take up its queues again" in decision.question.text


def test_a_worker_that_came_back_while_the_others_died_serves_on() -> None:
    fleet = Fleet(2, 4, busy=False)
    fleet.hosts["i-1"].tasks = [5000.0]
    console = Console(fleet, drain("i-1"), DRAIN)
    console.run(limit_s=20)
    fleet.kill(fleet.hosts["i-2"])
    fleet.hosts["i-1"].consuming = True  # its connection broke off
    decision = console.run(limit_s=60)
    assert fleet.hosts["i-1"].consuming
    assert "it serves on" in decision.state.drains["i-1"].why


@pytest.mark.parametrize("blind", ["blind", "group_blind"])
def test_what_can_not_be_seen_begins_nothing(blind: str) -> None:
    fleet = Fleet(3, 4)
    setattr(fleet, blind, True)
    console = Console(fleet, drain("i-1"), DRAIN)
    console.run(limit_s=120)
    assert console.calls == 0


def test_each_phase_is_dated() -> None:
    fleet = Fleet(2, 4, busy=False)
    console = Console(fleet, drain("i-1"), DRAIN)
    decision = console.run()
    moments = [decision.state.drains["i-1"].at(phase) for phase in (Phase.QUIESCING, Phase.DRAINING, Phase.GONE)]
    assert None not in moments
    assert moments == sorted(moments)  # type: ignore[type-var]

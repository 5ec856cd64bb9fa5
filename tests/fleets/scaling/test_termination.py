"""A group ends an instance by itself: drained, told to wait meanwhile, told to go on after; nothing lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from console.fleets.crew import Crew
from console.fleets.drain_rules import DrainSeen
from console.fleets.draining import Receipt, Seen
from console.fleets.scaling import termination_rules
from console.fleets.scaling.termination import take_up
from console.fleets.scaling.termination_rules import LET_GO, WAITS, TerminationSeen
from console.operations.models import Operation
from console.operations.rules import Decision, Ledger, Orders, State, StepSeen, StepState
from console.platform.readings import TerminationNotice

NOW = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)
P: dict[str, Any] = {
    "queue": "io", "group": "tests-io", "hook": "drain", "instance_id": "i-1", "token": "t", "node": "celery@i-1",
    "at": NOW.isoformat(), "heartbeat_s": 300.0, "limit_s": 3000.0,
}  # fmt: skip
BUSY = Seen(True, 7, ("io",), ("etl.load (r1)",), 0, ("etl.load (r1)",), WAITS)
DRAINING = replace(BUSY, queues=())
EMPTY = Seen(True, 7, (), (), 0, (), WAITS)
STOPPED = Seen(False, running=(), lifecycle=WAITS, receipt=Receipt(7, 0, None, NOW))
GONE = Seen(None, lifecycle="absent")


class Play:
    """The operation, tick by tick, with every call taken."""

    def __init__(self) -> None:
        self.crew: Crew = termination_rules.start(P)
        self.steps: dict[str, StepSeen] = {}
        self.now = NOW
        self.calls: list[str] = []
        self.last: Decision[Crew] | None = None

    def see(self, look: Seen, *, after_s: float = 2.0, left_s: float | None = 60.0) -> Decision[Crew]:
        self.now += timedelta(seconds=after_s)
        seen = TerminationSeen(DrainSeen({"i-1": look}, 1), left_s)
        made = termination_rules.decide(P, self.crew, seen, Ledger(steps=self.steps), Orders(), self.now)
        self.crew, self.last = made.state, made
        for call in made.calls:
            self.calls.append(call.action)
            self.steps[call.key] = StepSeen(call.key, StepState.CALLED, self.now, "")
        for key in made.verified:
            self.steps[key] = replace(self.steps[key], state=StepState.VERIFIED)
        return made


def test_it_is_drained_and_then_the_group_goes_on() -> None:
    play = Play()
    play.see(BUSY)
    assert play.calls == ["cancel"]
    for _ in range(5):
        play.see(DRAINING)
    assert play.calls == ["cancel"]
    for _ in range(4):
        play.see(EMPTY)
    assert play.calls == ["cancel", "stop"]
    play.see(STOPPED)
    play.see(STOPPED)
    assert play.calls == ["cancel", "stop", "let_go"]
    done = play.see(GONE)
    assert done.outcome is not None
    assert done.outcome.state is State.SUCCEEDED
    assert "no task lost" in done.outcome.text
    assert "terminate" not in play.calls


def test_the_group_is_told_to_wait_on_each_half_of_its_patience() -> None:
    play = Play()
    play.see(BUSY)
    for _ in range(100):
        play.see(DRAINING, after_s=10)
    assert play.calls.count("keep_waiting") == 6  # of 1000 s, each 150 s
    assert "let_go" not in play.calls


def test_what_can_not_end_in_time_is_said_at_once() -> None:
    play = Play()
    first = play.see(BUSY, left_s=7200.0)
    assert any("can't finish in time" in note.text for note in first.notes)
    assert "can't finish in time" in first.progress.text
    assert not any("can't finish" in note.text for note in play.see(DRAINING, left_s=7200.0).notes)
    again = play.see(DRAINING, after_s=150, left_s=7200.0)
    assert any("can't finish in time" in note.text for note in again.notes)
    assert "can't finish" not in Play().see(BUSY, left_s=None).progress.text


def test_one_that_was_drained_before_goes_on_at_once() -> None:
    play = Play()
    play.see(Seen(False, running=(), lifecycle=WAITS))
    assert play.calls == ["let_go"]
    done = play.see(GONE)
    assert done.outcome is not None
    assert done.outcome.state is State.SUCCEEDED
    assert play.steps[LET_GO].state is StepState.VERIFIED


def test_a_silent_one_whose_tasks_run_on_is_waited_for() -> None:
    play = Play()
    play.see(Seen(False, running=("etl.load (r1)",), lifecycle=WAITS))
    play.see(Seen(False, running=None, lifecycle=WAITS))
    assert play.calls == []


def test_a_worker_that_dies_meanwhile_is_told_as_lost() -> None:
    play = Play()
    play.see(BUSY)
    done = play.see(replace(GONE, running=("etl.load (r1)",)), after_s=120)
    done = play.see(replace(GONE, running=("etl.load (r1)",)), after_s=120)
    assert done.outcome is not None
    assert done.outcome.state is State.FAILED


@pytest.mark.django_db
def test_a_notice_is_one_operation_however_often_it_is_told() -> None:
    notice = TerminationNotice("m1", "tests-io", "drain", "i-0abc", "t", 300.0, 3000.0)
    other = replace(notice, receipt="m2", group="somebody-elses")
    now = timezone.now()
    assert take_up([notice, replace(notice, receipt="m3"), other], now) == ["m1", "m3", "m2"]
    operation = Operation.objects.get()
    assert (operation.kind, operation.target) == ("termination", "termination:i-0abc")
    assert (operation.parameters["queue"], operation.parameters["node"]) == ("io", "celery@i-0abc")

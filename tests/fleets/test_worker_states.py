"""Each state of a worker from its evidence, one row a rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.fleets.rules import Evidence, InstanceSeen, State, View, Waiting, judge_worker, to_archive

NOW = datetime.fromisoformat("2026-11-22T03:07:00+00:00")


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


STANDS = InstanceSeen("InService", False, ago(3600))
GONE = InstanceSeen("Terminated", True, ago(3600))
LEAVING = InstanceSeen("Terminating:Wait", False, ago(3600))
ALIVE = Evidence(
    seen_at=ago(1),
    goodbye_at=None,
    answered_at=ago(3),
    unanswered=0,
    consumes=("cpu",),
    active=1,
    slots=2,
    progress_at=ago(20),
    tasks_on_host=1,
    instance=STANDS,
    waiting=None,
    first_seen_at=ago(3600),
)
CLEAR = View(
    now=NOW,
    heartbeats_as_of=NOW,
    listening_since=ago(7200),
    answers_as_of=ago(2),
    compute_as_of=ago(2),
    tasks_seen=True,
)
SILENT = replace(ALIVE, seen_at=ago(400), answered_at=ago(400))
NEW = replace(ALIVE, seen_at=None, answered_at=None, consumes=None, active=None, slots=None, progress_at=None)
WAITS = Waiting("cpu", 12, ago(120))


@pytest.mark.parametrize(
    ("because", "evidence", "view", "state", "words"),
    [
        ("its heartbeats are young", ALIVE, CLEAR, State.IN_SERVICE, "consumes cpu"),
        (
            "it answers though it sends no heartbeats",
            replace(ALIVE, seen_at=None),
            replace(CLEAR, heartbeats_as_of=None),
            State.IN_SERVICE,
            "consumes",
        ),
        (
            "it has an instance by no convention",
            replace(ALIVE, instance=None),
            CLEAR,
            State.IN_SERVICE,
            "consumes",
        ),
        # silence
        ("silent, and no evidence", SILENT, CLEAR, State.UNKNOWN, "no evidence"),
        ("silent, and its instance is gone", replace(SILENT, instance=GONE), CLEAR, State.LOST, "instance is gone"),
        (
            "silent while nobody listened for most of it",
            replace(SILENT, seen_at=ago(9000), instance=GONE),
            replace(CLEAR, listening_since=ago(660)),
            State.LOST,
            "not heard for 2 h 30 min, of which somebody listened for 11 min, and its instance is gone",
        ),
        (
            "silent for too short a time",
            replace(SILENT, seen_at=ago(60), answered_at=ago(60), instance=GONE),
            CLEAR,
            State.UNKNOWN,
            "counts as lost after",
        ),
        (
            "it answers nobody while others do",
            replace(SILENT, unanswered=3),
            CLEAR,
            State.LOST,
            "did not answer 3 times",
        ),
        ("it was only asked twice", replace(SILENT, unanswered=2), CLEAR, State.UNKNOWN, "no evidence"),
        (
            "the watcher has only just begun to listen",
            replace(SILENT, instance=GONE, unanswered=9),
            replace(CLEAR, listening_since=ago(30)),
            State.UNKNOWN,
            "",
        ),
        (
            "the watcher is behind: at the point it has read, the worker was alive",
            replace(ALIVE, seen_at=ago(300), answered_at=None),
            replace(CLEAR, heartbeats_as_of=ago(295)),
            State.IN_SERVICE,
            "",
        ),
        (
            "the broker is out of reach",
            replace(SILENT, instance=STANDS, unanswered=9),
            replace(CLEAR, heartbeats_as_of=None, answers_as_of=None, blind_because="the broker can't be seen"),
            State.UNKNOWN,
            "the broker can't be seen",
        ),
        (
            "AWS is out of reach: an old word about its instance counts for nothing",
            replace(SILENT, instance=GONE),
            replace(CLEAR, compute_as_of=None),
            State.UNKNOWN,
            "no evidence",
        ),
        ("it left its group and works on", replace(ALIVE, instance=GONE), CLEAR, State.IN_SERVICE, "left the group"),
        # goodbyes
        (
            "it said goodbye and still works",
            replace(ALIVE, goodbye_at=ago(1), tasks_on_host=2),
            CLEAR,
            State.DRAINING,
            "finishes 2",
        ),
        (
            "it said goodbye and has no task",
            replace(ALIVE, goodbye_at=ago(1), tasks_on_host=0),
            CLEAR,
            State.STOPPED,
            "has no task",
        ),
        (
            "whether it still works can't be seen",
            replace(ALIVE, goodbye_at=ago(1), tasks_on_host=0),
            replace(CLEAR, tasks_seen=False),
            State.DRAINING,
            "can't be seen",
        ),
        (
            "it stopped and its instance is gone",
            replace(ALIVE, goodbye_at=ago(1), instance=GONE),
            CLEAR,
            State.TERMINATED,
            "",
        ),
        ("it came back after its goodbye", replace(ALIVE, goodbye_at=ago(60)), CLEAR, State.IN_SERVICE, ""),
        # launches
        (
            "no worker yet from a young instance",
            replace(NEW, instance=InstanceSeen("Pending", False, ago(90))),
            CLEAR,
            State.LAUNCHING,
            "launched 1",
        ),
        (
            "no worker after ten minutes",
            replace(NEW, instance=InstanceSeen("InService", False, ago(700))),
            CLEAR,
            State.LAUNCHING,
            "overdue",
        ),
        (
            "its instance went before it reported",
            replace(NEW, instance=GONE),
            CLEAR,
            State.TERMINATED,
            "before a worker",
        ),
        ("AWS is blind to a launch", NEW, replace(CLEAR, compute_as_of=None), State.UNKNOWN, "can't be seen"),
        # stuck
        (
            "it answers and consumes nothing while its queue waits",
            replace(ALIVE, consumes=(), active=0, waiting=WAITS),
            CLEAR,
            State.STUCK,
            "consumes no queue",
        ),
        (
            "it has free slots and starts nothing while its queue waits",
            replace(ALIVE, active=1, progress_at=ago(200), waiting=WAITS),
            CLEAR,
            State.STUCK,
            "started nothing",
        ),
        (
            "its slots are all taken",
            replace(ALIVE, active=2, progress_at=ago(200), waiting=WAITS),
            CLEAR,
            State.IN_SERVICE,
            "",
        ),
        ("it has just started one", replace(ALIVE, progress_at=ago(5), waiting=WAITS), CLEAR, State.IN_SERVICE, ""),
        (
            "the backlog is young",
            replace(ALIVE, consumes=(), active=0, waiting=Waiting("cpu", 3, ago(5))),
            CLEAR,
            State.QUIESCED,
            "",
        ),
        (
            "its instance is on the way out",
            replace(ALIVE, consumes=(), active=0, waiting=WAITS, instance=LEAVING),
            CLEAR,
            State.DRAINING,
            "Terminating:Wait",
        ),
        # quiet
        ("it consumes nothing and works", replace(ALIVE, consumes=()), CLEAR, State.DRAINING, "finishes 1"),
        ("it consumes nothing and is idle", replace(ALIVE, consumes=(), active=0), CLEAR, State.QUIESCED, "no task"),
        ("its instance is terminating", replace(ALIVE, instance=LEAVING), CLEAR, State.DRAINING, "Terminating:Wait"),
        (
            "answers can't be seen: what it consumed then counts for nothing",
            replace(ALIVE, consumes=()),
            replace(CLEAR, answers_as_of=None),
            State.IN_SERVICE,
            "not been seen",
        ),
    ],
)
def test_state(because: str, evidence: Evidence, view: View, state: State, words: str) -> None:
    judged = judge_worker(evidence, view)
    assert judged.state is state, because
    assert words in judged.reason.replace("\N{NO-BREAK SPACE}", " ")


def test_only_a_launch_that_takes_too_long_is_overdue() -> None:
    young = replace(NEW, instance=InstanceSeen("InService", False, ago(599)))
    assert not judge_worker(young, replace(CLEAR, compute_as_of=NOW)).overdue
    assert judge_worker(
        replace(NEW, instance=InstanceSeen("InService", False, ago(601))), replace(CLEAR, compute_as_of=NOW)
    ).overdue


@pytest.mark.parametrize(
    ("state", "since_s", "instance_stands", "leaves"),
    [
        (State.TERMINATED, 901, False, True),
        (State.TERMINATED, 899, False, False),
        (State.LOST, 901, False, True),
        (State.LOST, 901, True, False),  # its instance still costs money: it stays on the list
        (State.STOPPED, 901, True, False),
        (State.UNKNOWN, 901, False, False),
        (State.UNKNOWN, 86401, False, True),
        (State.IN_SERVICE, 10**6, False, False),
        (State.STUCK, 10**6, False, False),
    ],
)
def test_who_leaves_the_list(state: State, since_s: float, instance_stands: bool, leaves: bool) -> None:
    assert to_archive(state, ago(since_s), instance_stands, NOW) is leaves

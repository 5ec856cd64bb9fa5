"""Whatever the evidence looks like: silence that the console could not hear never makes a worker dead."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from console.fleets.rules import SILENT_S, Evidence, InstanceSeen, State, View, Waiting, judge_worker

NOW = datetime(2026, 11, 22, 3, 7, tzinfo=UTC)
DEAD = {State.LOST, State.TERMINATED, State.STOPPED}
moments = st.floats(-5, 10**5).map(lambda seconds: NOW - timedelta(seconds=seconds))
maybe = st.none() | moments
numbers = st.none() | st.integers(0, 50)
instances = st.none() | st.builds(
    InstanceSeen,
    lifecycle=st.sampled_from(["Pending", "InService", "Terminating:Wait", "Terminated", "Standby", ""]),
    gone=st.booleans(),
    since=moments,
)
evidence = st.builds(
    Evidence,
    seen_at=maybe,
    goodbye_at=maybe,
    answered_at=maybe,
    unanswered=st.integers(0, 20),
    consumes=st.none() | st.lists(st.sampled_from(["cpu", "io"]), max_size=2).map(tuple),
    active=numbers,
    slots=numbers,
    progress_at=maybe,
    tasks_on_host=st.integers(0, 5),
    instance=instances,
    waiting=st.none() | st.builds(Waiting, queue=st.just("cpu"), messages=st.integers(1, 99), since=moments),
    first_seen_at=moments,
)
views = st.builds(
    View,
    now=st.just(NOW),
    heartbeats_as_of=maybe,
    listening_since=maybe,
    answers_as_of=maybe,
    compute_as_of=maybe,
    tasks_seen=st.booleans(),
)


@given(evidence, views)
def test_every_worker_has_a_state_and_a_reason(it: Evidence, view: View) -> None:
    assert judge_worker(it, view).reason


@given(evidence, views)
def test_one_that_reported_and_said_no_goodbye_is_only_lost_by_heard_silence(it: Evidence, view: View) -> None:
    it = replace(it, goodbye_at=None)
    if it.seen_at is None and it.answered_at is None:
        return
    judged = judge_worker(it, view)
    assert judged.state not in (State.TERMINATED, State.STOPPED)
    if judged.state is State.LOST:
        assert view.heartbeats_as_of is not None
        assert view.listening_since is not None
        assert it.seen_at is not None
        heard_s = (view.heartbeats_as_of - max(it.seen_at, view.listening_since)).total_seconds()
        assert heard_s > SILENT_S
        assert (it.instance is not None and it.instance.gone and view.compute_as_of is not None) or it.unanswered >= 3


@given(evidence, views)
def test_while_the_broker_is_out_of_reach_nobody_who_stayed_is_dead(it: Evidence, view: View) -> None:
    blind = replace(view, heartbeats_as_of=None, answers_as_of=None)
    it = replace(it, goodbye_at=None)
    if it.seen_at is not None or it.answered_at is not None:
        assert judge_worker(it, blind).state not in DEAD


@given(evidence, views, st.floats(0, 10**5))
def test_a_watcher_that_is_behind_changes_no_verdict_for_the_worse(it: Evidence, view: View, behind_s: float) -> None:
    """Seen from an earlier point of the stream a worker is at most as dead as from a later one."""
    if view.heartbeats_as_of is None:
        return
    late = replace(view, heartbeats_as_of=view.heartbeats_as_of - timedelta(seconds=behind_s))
    if judge_worker(it, late).state is State.LOST:
        assert judge_worker(it, view).state is State.LOST

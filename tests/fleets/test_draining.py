"""One worker's drain, look by look: what counts as empty, what doesn't, and what is reported as lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.fleets.drain_memory import dump, load
from console.fleets.draining import Act, Drain, Next, Phase, Receipt, Seen, begin, force, step, undrain

WORKER = Drain("celery@i-1", "i-1", ("cpu",))
BUSY = Seen(True, 42, ("cpu",), ("etl.load (r1)",), 0, ("etl.load (r1)",), "InService")
QUIET = replace(BUSY, queues=())
EMPTY = Seen(True, 42, (), (), 0, (), "InService")


class Clock:
    def __init__(self, now: datetime) -> None:
        self.now = now

    def after(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


def begun(clock: Clock, seen: Seen = BUSY) -> Drain:
    return begin(WORKER, seen, clock.now, 3600).drain


def look(drain: Drain, seen: Seen, clock: Clock, times: int = 1, every_s: float = 2) -> Next:
    for _ in range(times):
        result = step(drain, seen, clock.after(every_s))
        drain = result.drain
    return result


def wants(result: Next) -> list[Act]:
    return [want.act for want in result.wants]


def test_a_worker_goes_from_serving_to_gone(clock: Clock) -> None:
    first = begin(WORKER, BUSY, clock.now, 3600)
    assert wants(first) == [Act.CANCEL]
    drain = look(first.drain, QUIET, clock).drain
    assert drain.phase is Phase.DRAINING
    assert drain.remaining == ("etl.load (r1)",)
    stopping = look(drain, EMPTY, clock, times=3)
    assert (stopping.drain.phase, wants(stopping)) == (Phase.STOPPING, [Act.STOP])
    exited = look(stopping.drain, Seen(False, receipt=Receipt(42, 0, None, clock.now)), clock)
    assert exited.drain.phase is Phase.EXITED
    terminating = look(exited.drain, Seen(False), clock)
    assert wants(terminating) == [Act.TERMINATE]
    assert look(terminating.drain, Seen(False, lifecycle="absent"), clock).drain.phase is Phase.GONE


@pytest.mark.parametrize(
    "spoilt",
    [
        Seen(None, lifecycle="InService"),
        Seen(False, lifecycle="InService"),
        replace(EMPTY, active=None),
        replace(EMPTY, reserved=None),
        replace(EMPTY, running=None),
        replace(EMPTY, queues=None),
        replace(EMPTY, reserved=1),
        replace(EMPTY, running=("etl.load (r1)",)),
        replace(EMPTY, active=("etl.load (r1)",)),
        replace(EMPTY, queues=("cpu",)),
    ],
)
def test_what_is_not_seen_empty_starts_the_count_anew(clock: Clock, spoilt: Seen) -> None:
    drain = look(begun(clock), EMPTY, clock, times=1, every_s=4).drain
    drain = look(drain, EMPTY, clock).drain
    assert drain.looks == 2
    drain = look(drain, spoilt, clock).drain
    assert (drain.looks, drain.phase in (Phase.DRAINING, Phase.QUIESCING)) == (0, True)


def test_empty_within_three_seconds_of_the_cancel_does_not_count(clock: Clock) -> None:
    assert look(begun(clock), EMPTY, clock, times=2, every_s=1).drain.looks == 0


def test_a_consumer_that_comes_back_is_cancelled_again(clock: Clock) -> None:
    drain = look(begun(clock), EMPTY, clock, times=2, every_s=4).drain
    again = look(drain, BUSY, clock, every_s=6)
    assert wants(again) == [Act.CANCEL]
    assert again.drain.phase is Phase.QUIESCING


def test_a_worker_that_was_restarted_under_its_name_is_quiesced_again(clock: Clock) -> None:
    drain = look(begun(clock), EMPTY, clock, times=2, every_s=4).drain
    restarted = look(drain, replace(BUSY, pid=77), clock)
    assert wants(restarted) == [Act.CANCEL]
    assert restarted.drain.pid == 77


def test_a_worker_killed_in_mid_task_is_lost_by_name_and_its_instance_still_goes(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    dead = look(drain, Seen(False, lifecycle="InService", receipt=Receipt(42, None, 9, clock.now)), clock)
    assert dead.drain.lost == ("etl.load (r1)",)
    assert "signal 9" in dead.notes[0]
    drain = look(dead.drain, Seen(False, lifecycle="InService"), clock).drain
    assert look(drain, Seen(False, lifecycle="absent"), clock).drain.phase is Phase.LOST


def test_a_host_that_the_cloud_took_away_is_lost_not_drained(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    assert look(drain, Seen(False, lifecycle="absent"), clock).drain.phase is Phase.LOST


def test_a_worker_stopped_warm_by_somebody_else_has_exited(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    assert look(drain, Seen(False, receipt=Receipt(42, 0, None, clock.now)), clock).drain.phase is Phase.EXITED


def test_it_is_overdue_at_its_deadline_and_nothing_is_killed(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    result = look(drain, QUIET, clock, every_s=3600)
    assert result.drain.overdue(clock.now)
    assert result.wants == ()


def test_force_names_what_it_takes_along(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    forced = force(drain, QUIET, clock.now, "mira")
    assert (wants(forced), forced.drain.lost) == ([Act.TERMINATE], ("etl.load (r1)",))
    assert look(forced.drain, Seen(False, lifecycle="absent"), clock).drain.phase is Phase.LOST


def test_undrain_is_proven_not_believed(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    back = undrain(drain, clock.now, "mira")
    assert wants(back) == [Act.CONSUME]
    assert wants(look(back.drain, QUIET, clock, every_s=6)) == [Act.CONSUME]  # it did not stick
    settled = look(back.drain, BUSY, clock, times=3, every_s=5)
    assert settled.drain.phase is Phase.UNDRAINED


def test_a_stopped_worker_can_not_be_undrained(clock: Clock) -> None:
    stopping = look(look(begun(clock), EMPTY, clock, every_s=4).drain, EMPTY, clock, times=3).drain
    assert stopping.phase is Phase.STOPPING
    assert undrain(stopping, clock.now, "mira").drain.phase is Phase.STOPPING


def test_a_stop_that_was_not_heard_is_repeated_only_while_the_worker_still_answers(clock: Clock) -> None:
    stopping = look(look(begun(clock), EMPTY, clock, every_s=4).drain, EMPTY, clock, times=3).drain
    assert wants(look(stopping, Seen(False, lifecycle="InService"), clock, every_s=60)) == []
    assert wants(look(stopping, EMPTY, clock, every_s=60)) == [Act.STOP]


def test_its_memory_survives_json_and_an_upgrade(clock: Clock) -> None:
    drain = look(begun(clock), QUIET, clock).drain
    assert load(dump(drain)) == drain
    assert load({**dump(drain), "of_a_later_version": 1}) == drain

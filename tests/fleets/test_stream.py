"""The watcher's memory: what it takes, what it notices."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.fleets.heartbeats import Failure, Stream, columns
from tests.fleets.making import heartbeat

AWAY = Failure("nothing answers", "refused", "Start it.")


def after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def test_each_worker_is_taken_once_with_its_newest_heartbeat(now: datetime) -> None:
    stream = Stream()
    for second in range(6):
        stream.heard(heartbeat("celery@a", after(now, second), active=second))
    stream.heard(heartbeat("celery@b", now))
    beats, _, health = stream.take()
    assert {(beat.node, beat.active) for beat in beats} == {("celery@a", 5), ("celery@b", 0)}
    assert (health.events, health.nodes) == (7, 2)
    assert stream.take()[0] == []


def test_what_could_not_be_written_is_taken_again_unless_something_newer_came(now: datetime) -> None:
    stream = Stream()
    stream.heard(heartbeat("celery@a", now, active=1))
    stream.heard(heartbeat("celery@b", now, active=1, kind="offline"))
    beats, goodbyes, _ = stream.take()
    stream.heard(heartbeat("celery@a", after(now, 2), active=2))
    stream.put_back(beats, goodbyes)
    again, goodbyes, _ = stream.take()
    assert {(beat.node, beat.active) for beat in again} == {("celery@a", 2), ("celery@b", 1)}
    assert goodbyes == {"celery@b": now}


def test_a_goodbye_is_kept_though_the_worker_is_back_within_the_second(now: datetime) -> None:
    stream = Stream()
    stream.heard(heartbeat("celery@a", now, kind="offline"))
    stream.heard(heartbeat("celery@a", after(now, 0.5), kind="online", pid=8))
    beats, goodbyes, _ = stream.take()
    (row,) = zip(*columns(beats, goodbyes), strict=True)
    assert row[3] == after(now, 0.5)  # seen after it said goodbye: alive
    assert row[4] == now


def test_lag_is_measured_against_each_workers_own_clock(now: datetime) -> None:
    """One worker's clock is an hour off; a second's delay of all is seen all the same."""
    stream = Stream()
    for second in range(0, 10, 2):
        stream.heard(heartbeat("celery@a", after(now, second), sent_at=after(now, second - 3600)))
        stream.heard(heartbeat("celery@b", after(now, second), sent_at=after(now, second)))
    assert stream.take()[2].lag_s < 0.01
    for second in range(10, 20, 2):
        stream.heard(heartbeat("celery@a", after(now, second + 7), sent_at=after(now, second - 3600)))
        stream.heard(heartbeat("celery@b", after(now, second + 7), sent_at=after(now, second)))
    assert 6.5 < stream.take()[2].lag_s < 7.1


def test_an_idle_stream_is_read_to_its_end(now: datetime) -> None:
    stream = Stream()
    stream.idle(now)
    stream.idle(after(now, 5))
    health = stream.take()[2]
    assert (health.alive_at, health.listening_since, health.lag_s) == (after(now, 5), now, 0.0)


def test_heartbeats_that_were_due_and_did_not_come_are_counted(now: datetime) -> None:
    stream = Stream()
    for second in (0, 2, 4, 12, 14):  # 6, 8 and 10 are missing
        stream.heard(heartbeat("celery@a", after(now, second)))
    assert stream.take()[2].missed == 3


def test_a_restart_of_a_worker_is_no_loss(now: datetime) -> None:
    stream = Stream()
    stream.heard(heartbeat("celery@a", now, pid=7))
    stream.heard(heartbeat("celery@a", after(now, 30), pid=8, kind="online"))
    stream.heard(heartbeat("celery@a", after(now, 32), pid=8))
    assert stream.take()[2].missed == 0


def test_over_a_break_nobody_was_silent(now: datetime) -> None:
    stream = Stream()
    stream.heard(heartbeat("celery@a", now))
    stream.broke(AWAY)
    broken = stream.take()[2]
    assert (broken.listening_since, broken.gaps, broken.failure) == (None, 1, AWAY)
    stream.broke(AWAY)  # still away: the same gap
    stream.heard(heartbeat("celery@a", after(now, 60)))
    health = stream.take()[2]
    assert (health.listening_since, health.gaps, health.missed, health.failure) == (after(now, 60), 1, 0, None)


def test_odd_numbers_and_names_are_made_safe_to_write(now: datetime) -> None:
    odd = heartbeat("celery@\x00" + "x" * 900, now, active=-3, processed=2**70, pid=2**40)
    (row,) = zip(*columns([odd], {}), strict=True)
    assert len(row[0]) <= 500
    assert row[5:8] == (None, None, None)


def test_only_what_can_be_seen_is_news(now: datetime) -> None:
    stream = Stream()
    stream.heard(heartbeat("celery@a", now, active=1))
    assert stream.take()[2].news  # it is there
    stream.heard(heartbeat("celery@a", after(now, 2), active=1, processed=9))
    assert not stream.take()[2].news
    stream.heard(heartbeat("celery@a", after(now, 4), active=2))
    assert stream.take()[2].news
    stream.heard(heartbeat("celery@a", after(now, 6), active=2, kind="offline"))
    assert stream.take()[2].news


def test_nothing_to_write_has_no_rows() -> None:
    assert columns([], {}) == [[]] * 9

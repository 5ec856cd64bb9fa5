"""Rows that mean no process any more, and clocks that are off."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.lib.status import Status
from console.scheduler.heartbeats import GHOST_S
from console.scheduler.rules import Memory, Verdict, judge, remember
from tests.scheduler.made import TWO, airflow, helpers, job, seen, verdict


def hosts(found: Verdict, kind: str) -> list[str]:
    return [one.host for one in found.processes if one.kind == kind]


def test_the_row_of_a_killed_process_goes_when_a_fresher_one_lives(now: datetime) -> None:
    ghost = job(1, "triggerer-old", now - timedelta(seconds=GHOST_S + 1), kind="triggerer")
    lost = job(2, "triggerer-lost", now - timedelta(seconds=60), kind="triggerer")
    found = verdict(now, job(9, "scheduler-a", now), ghost, lost, *helpers(now))
    assert hosts(found, "triggerer") == ["triggerer-1", "triggerer-lost"]
    assert found.status == Status.HEALTHY


def test_the_row_of_a_restarted_process_goes_at_once(now: datetime) -> None:
    old = job(1, "scheduler-a", now - timedelta(seconds=40))
    found = verdict(now, old, job(2, "scheduler-a", now), *helpers(now))
    assert hosts(found, "scheduler") == ["scheduler-a"]
    assert found.status == Status.HEALTHY


def test_a_killed_scheduler_that_was_restarted_is_not_counted_as_a_second_one(now: datetime) -> None:
    killed = job(1, "scheduler-a", now - timedelta(seconds=9))
    found = verdict(now, killed, job(2, "scheduler-a", now, started_at=now - timedelta(seconds=2)), *helpers(now))
    assert (found.status, hosts(found, "scheduler")) == (Status.HEALTHY, ["scheduler-a"])


def test_the_only_one_of_its_kind_stays_however_old(now: datetime) -> None:
    old = job(1, "triggerer-1", now - timedelta(days=2), kind="triggerer")
    found = verdict(now, job(9, "scheduler-a", now), old)
    assert hosts(found, "triggerer") == ["triggerer-1"]
    assert found.status == Status.DEGRADED


def test_of_ended_ones_the_last_stays(now: datetime) -> None:
    rows = [job(n, f"dp-{n}", now - timedelta(hours=9 - n), kind="dag-processor", state="success") for n in range(3)]
    found = verdict(now, job(9, "scheduler-a", now), *rows)
    assert hosts(found, "dag-processor") == ["dp-2"]
    assert found.title == "The dag-processor on dp-2 is not well"


def test_a_thousand_ghosts_don_t_hide_the_living(now: datetime) -> None:
    ghosts = [job(n, f"pod-{n}", now - timedelta(hours=1, seconds=n)) for n in range(1000)]
    found = verdict(now, *ghosts, job(2000, "scheduler-a", now), *helpers(now))
    assert hosts(found, "scheduler") == ["scheduler-a"]


def beaten(now: datetime, clock_s: float, *, for_s: int = 30, gap_at: int | None = None) -> tuple[Verdict, datetime]:
    """A scheduler that beats every 5 s by a clock that is off by `clock_s`, read every 3 s."""
    memory = Memory()
    for passed in range(0, for_s + 1, 3):
        if gap_at is not None and gap_at <= passed < gap_at + 60:
            continue
        at = now + timedelta(seconds=passed)
        beat = now + timedelta(seconds=passed // 5 * 5 + clock_s)
        reading = airflow(job(1, "scheduler-a", beat), *helpers(at))
        memory, _ = remember(memory, reading, at, TWO)
    return judge(reading, memory, TWO, seen(at), at), at


def test_a_clock_that_is_behind_makes_nobody_dead(now: datetime) -> None:
    found, _ = beaten(now, -90)
    assert found.status == Status.DEGRADED
    assert found.title.startswith("The clock of scheduler-a is off by 1\N{NO-BREAK SPACE}min")
    assert found.heartbeat_age_s is not None
    assert found.heartbeat_age_s < 15


def test_a_clock_that_is_behind_is_remembered_over_a_gap(now: datetime) -> None:
    found, _ = beaten(now, -90, for_s=90, gap_at=30)
    assert found.status == Status.DEGRADED


@pytest.mark.parametrize(("late_s", "status"), [(24, Status.DEGRADED), (27, Status.HEALTHY), (60, Status.HEALTHY)])
def test_a_heartbeat_that_came_late_once_is_no_clock_that_is_behind(now: datetime, late_s: int, status: Status) -> None:
    """On a machine with too much to do Airflow commits a heartbeat long after it was stamped: seen in the sandbox."""
    memory = Memory()
    for at_s in range(0, late_s + 1, 3):
        at = now + timedelta(seconds=at_s)
        beat_s = 0 if at_s < 24 else 4 if at_s == 24 else at_s - at_s % 5
        reading = airflow(job(1, "scheduler-a", now + timedelta(seconds=beat_s)), *helpers(at))
        memory, _ = remember(memory, reading, at, TWO)
    assert judge(reading, memory, TWO, seen(at), at).status == status


def test_a_clock_that_is_ahead_makes_nobody_alive(now: datetime) -> None:
    found, at = beaten(now, 3600)
    assert found.status == Status.DEGRADED
    reading = airflow(job(1, "scheduler-a", now + timedelta(seconds=3630)), *helpers(at + timedelta(seconds=60)))
    memory, _ = remember(Memory(), reading, at, TWO)
    dead = at + timedelta(seconds=60)
    memory, _ = remember(memory, reading, dead, TWO)
    assert judge(reading, memory, TWO, seen(dead), dead).status == Status.FAILING


def test_a_few_seconds_are_nothing(now: datetime) -> None:
    assert beaten(now, -4)[0].status == Status.HEALTHY
    assert beaten(now, 8)[0].status == Status.HEALTHY


def test_dead_while_the_console_was_blind_is_dead_and_not_skewed(now: datetime) -> None:
    memory, _ = remember(Memory(), airflow(job(1, "scheduler-a", now)), now, TWO)
    back = now + timedelta(hours=1)
    reading = airflow(job(1, "scheduler-a", now + timedelta(minutes=20)), *helpers(back))
    memory, _ = remember(memory, reading, back, TWO)
    assert judge(reading, memory, TWO, seen(back), back).status == Status.FAILING

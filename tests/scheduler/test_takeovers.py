"""When another scheduler leads: seen by comparing readings."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.platform.readings import SchedulerReading
from console.scheduler.rules import Change, Memory, remember
from console.scheduler.verdicts import Declared
from tests.scheduler.made import BOTH, TWO, airflow, job


def changes(*readings: tuple[datetime, SchedulerReading], declared: Declared = TWO) -> list[Change]:
    memory, found = Memory(), []
    for at, reading in readings:
        memory, change = remember(memory, reading, at, declared)
        found += [change] if change else []
    return found


def after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def test_the_first_leader_is_no_takeover(now: datetime) -> None:
    assert changes((now, airflow(job(1, "scheduler-a", now)))) == []


def test_a_takeover_after_a_kill_has_its_gap(now: datetime) -> None:
    killed = job(1, "scheduler-a", now)
    new = job(2, "scheduler-b", after(now, 17), started_at=after(now, 16))
    found = changes((now, airflow(killed)), (after(now, 15), airflow(killed)), (after(now, 33), airflow(killed, new)))
    assert found == [Change(after(now, 16), "observed", "scheduler-a", "scheduler-b", 16)]


def test_a_planned_switch_counts_from_the_clean_end(now: datetime) -> None:
    stopped = job(1, "scheduler-a", now, state="success", ended_at=after(now, 4))
    new = job(2, "scheduler-b", after(now, 7), started_at=after(now, 6.5))
    found = changes((now, airflow(job(1, "scheduler-a", now))), (after(now, 9), airflow(stopped, new)))
    assert [(one.kind, one.gap_s) for one in found] == [("observed", 2.5)]


def test_that_another_one_marked_it_as_failed_is_not_its_end(now: datetime) -> None:
    marked = job(1, "scheduler-a", now, state="failed", ended_at=after(now, 40))
    new = job(2, "scheduler-b", after(now, 41), started_at=after(now, 20))
    found = changes((now, airflow(job(1, "scheduler-a", now))), (after(now, 42), airflow(marked, new)))
    assert [one.gap_s for one in found] == [20]


def test_a_restart_on_the_same_host_is_called_one(now: datetime) -> None:
    killed = job(1, "scheduler-a", now)
    new = job(2, "scheduler-a", after(now, 9), started_at=after(now, 8))
    [found] = changes((now, airflow(killed)), (after(now, 10), airflow(killed, new)))
    assert (found.kind, found.from_host, found.to_host, found.gap_s) == ("restart", "scheduler-a", "scheduler-a", 8)


def test_where_both_run_it_has_no_gap(now: datetime) -> None:
    other = [job(2, "scheduler-b", after(now, at)) for at in (0, 36)]
    first = airflow(job(1, "scheduler-a", now), other[0])
    second = airflow(job(1, "scheduler-a", now), other[1])
    [found] = changes((now, first), (after(now, 36), second), declared=BOTH)
    assert (found.from_host, found.to_host, found.gap_s) == ("scheduler-a", "scheduler-b", 0)


def test_nothing_is_a_takeover_while_nobody_leads(now: datetime) -> None:
    ended = job(1, "scheduler-a", now, state="success", ended_at=now)
    assert changes((now, airflow(job(1, "scheduler-a", now))), (after(now, 9), airflow(ended))) == []


def test_the_gap_is_known_even_when_nobody_led_for_long(now: datetime) -> None:
    ended = job(1, "scheduler-a", now, state="success", ended_at=now)
    new = job(2, "scheduler-b", after(now, 900), started_at=after(now, 899))
    found = changes(
        (now, airflow(job(1, "scheduler-a", now))),
        (after(now, 9), airflow(ended)),
        (after(now, 300), airflow()),
        (after(now, 901), airflow(ended, new)),
    )
    assert [one.gap_s for one in found] == [899]

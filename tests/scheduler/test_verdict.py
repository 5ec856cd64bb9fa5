"""The verdict on the scheduler: from heartbeats, not from Airflow's own word."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.lib.status import Status
from console.platform.readings import ComponentHealth, SchedulerReading
from console.platform.rules import SourceState, sight
from console.platform.sources import SCHEDULER
from console.scheduler.rules import Memory, judge, remember
from console.scheduler.verdicts import Declared
from tests.scheduler.made import BOTH, TWO, airflow, helpers, job, seen, verdict


def ago(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("age_s", "status", "title"),
    [
        (1.2, Status.HEALTHY, "scheduler-a leads, scheduler-b is absent"),
        (14.9, Status.HEALTHY, "scheduler-a leads, scheduler-b is absent"),
        (15, Status.DEGRADED, "scheduler-a is late: no heartbeat for 15\N{NO-BREAK SPACE}s"),
        (29.9, Status.DEGRADED, "scheduler-a is late: no heartbeat for 30\N{NO-BREAK SPACE}s"),
        (30, Status.FAILING, "scheduler-a has been silent for 30\N{NO-BREAK SPACE}s"),
        (
            4000,
            Status.FAILING,
            "scheduler-a has been silent for 1\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}6\N{NO-BREAK SPACE}min",
        ),
    ],
)
def test_the_age_of_the_heartbeat_decides(now: datetime, age_s: float, status: Status, title: str) -> None:
    found = verdict(now, job(1, "scheduler-a", ago(now, age_s)), *helpers(now))
    assert (found.status, found.title) == (status, title)
    assert found.heartbeat_age_s == age_s
    assert found.leader is not None
    assert found.leader.host == "scheduler-a"


def test_airflows_word_alone_makes_nobody_alive(now: datetime) -> None:
    """The row of a scheduler that was killed says running for ever."""
    found = verdict(now, job(1, "scheduler-a", ago(now, 40), state="running"))
    assert found.status == Status.FAILING
    assert found.remedy.startswith("Look at scheduler-a")


def test_a_killed_scheduler_is_noticed_within_45_s(now: datetime) -> None:
    """Polled every 3 s after a last heartbeat: not healthy from the first poll at which three are missing."""
    killed, memory = job(1, "scheduler-a", now), Memory()
    statuses = {}
    for passed in range(0, 46, 3):
        at = now + timedelta(seconds=passed)
        reading = airflow(killed, *helpers(at))
        memory, change = remember(memory, reading, at, TWO)
        assert change is None
        statuses[passed] = judge(reading, memory, TWO, seen(at), at).status
    assert statuses[12] == Status.HEALTHY
    assert statuses[15] == Status.DEGRADED
    assert statuses[30] == Status.FAILING
    assert statuses[45] == Status.FAILING


def test_when_none_runs_the_last_one_is_named(now: datetime) -> None:
    ended = job(1, "scheduler-a", ago(now, 200), state="failed", ended_at=ago(now, 180))
    found = verdict(now, ended)
    assert (found.status, found.title) == (Status.FAILING, "No scheduler runs")
    assert found.reason == "The last one, on scheduler-a: it ended as failed 3\N{NO-BREAK SPACE}min ago."
    assert "scheduler-a and scheduler-b" in found.remedy
    assert found.leader is None
    assert found.heartbeat_age_s is None
    assert [(one.host, one.word, one.ready) for one in found.candidates] == [
        ("scheduler-a", "absent", False),
        ("scheduler-b", "absent", False),
    ]


def test_without_any_job_none_runs(now: datetime) -> None:
    found = verdict(now)
    assert (found.status, found.reason) == (Status.FAILING, "Airflow knows of none.")


def test_a_job_without_heartbeat_is_no_leader_to_trust(now: datetime) -> None:
    assert verdict(now, job(1, "scheduler-a", None)).status == Status.FAILING


def test_an_absent_standby_is_shown_but_is_no_fault(now: datetime) -> None:
    """What is on a host without a scheduler can't be seen until agents run there."""
    found = verdict(now, job(1, "scheduler-a", now), *helpers(now))
    [standby] = found.candidates
    assert (standby.host, standby.word, standby.ready, standby.seen_age_s) == ("scheduler-b", "absent", False, None)
    assert "has to be started there" in found.reason


def test_an_absent_host_tells_when_it_was_last_seen(now: datetime) -> None:
    old = job(1, "scheduler-b", ago(now, 3600), state="success", ended_at=ago(now, 3598))
    [standby] = verdict(now, job(2, "scheduler-a", now), old).candidates
    assert (standby.word, standby.seen_age_s) == ("absent", 3600)


def test_two_that_run_where_one_is_meant_to_are_a_fault(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-a", ago(now, 3)), job(2, "scheduler-b", now), *helpers(now))
    assert found.status == Status.DEGRADED
    assert found.title == "2\N{NO-BREAK SPACE}schedulers run, one is meant to: scheduler-b and scheduler-a"


def test_two_on_one_host_are_a_fault_too(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-a", ago(now, 3)), job(2, "scheduler-a", now))
    assert found.title.endswith("all on scheduler-a")


def test_two_that_are_meant_to_run_are_well(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-a", ago(now, 3)), job(2, "scheduler-b", now), *helpers(now), declared=BOTH)
    assert (found.status, found.title) == (Status.HEALTHY, "2 schedulers run, scheduler-b leads")
    assert [(one.host, one.word, one.ready) for one in found.candidates] == [("scheduler-a", "running", True)]


def test_where_both_are_meant_to_run_one_is_too_few(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-a", now), *helpers(now), declared=BOTH)
    assert (found.status, found.title) == (Status.DEGRADED, "1 of 2 schedulers run: none on scheduler-b")


def test_a_scheduler_on_an_undeclared_host_is_named(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-x", now), *helpers(now))
    assert found.status == Status.DEGRADED
    assert found.title == "A scheduler runs on scheduler-x, which is not declared"
    assert found.leader is not None
    assert found.leader.host == "scheduler-x"


def test_a_declared_host_leads_before_an_undeclared_one(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-x", now), job(2, "scheduler-a", ago(now, 4)))
    assert found.leader is not None
    assert found.leader.host == "scheduler-a"
    [stranger] = [one for one in found.candidates if not one.declared]
    assert (stranger.host, stranger.word) == ("scheduler-x", "running")


def test_without_declared_hosts_whoever_runs_is_well(now: datetime) -> None:
    found = verdict(now, job(1, "ip-10-0-0-7", now), job(2, "ip-10-0-0-8", now), *helpers(now), declared=Declared())
    assert found.status == Status.HEALTHY
    assert found.candidates[0].ready is True


def test_the_leader_stays_while_it_lives(now: datetime) -> None:
    memory, reading = Memory(), airflow(job(1, "scheduler-a", now), job(2, "scheduler-b", ago(now, 3)))
    memory, _ = remember(memory, reading, now, BOTH)
    later = now + timedelta(seconds=3)
    memory, change = remember(memory, airflow(job(1, "scheduler-a", now), job(2, "scheduler-b", later)), later, BOTH)
    assert change is None
    assert memory.leading is not None
    assert memory.leading.host == "scheduler-a"


def test_an_unhealthy_metadata_database_comes_first(now: datetime) -> None:
    found = verdict(now, job(1, "scheduler-a", ago(now, 20)), database="unhealthy")
    assert (found.status, found.title) == (Status.FAILING, "Airflow calls its metadata database unhealthy")


@pytest.mark.parametrize(("kind", "cost"), [("dag-processor", "Changes of DAGs"), ("triggerer", "Deferred tasks")])
def test_a_helper_that_is_gone_degrades(now: datetime, kind: str, cost: str) -> None:
    rest = [one for one in helpers(now) if kind.replace("-", "") not in one.kind.lower()]
    found = verdict(now, job(1, "scheduler-a", now), *rest, job(92, "host-7", ago(now, 40), kind=kind))
    assert (found.status, found.title) == (Status.DEGRADED, f"The {kind} on host-7 is not well")
    assert cost in found.reason


def test_airflow_without_a_triggerer_is_well(now: datetime) -> None:
    assert verdict(now, job(1, "scheduler-a", now), helpers(now)[1]).status == Status.HEALTHY


def test_what_cannot_be_seen_is_unknown(now: datetime) -> None:
    reading = airflow(job(1, "scheduler-a", now))
    memory, _ = remember(Memory(), reading, now, TWO)
    late = now + timedelta(seconds=SCHEDULER.limit_s + 1)
    blind = sight(SCHEDULER, SourceState(as_of=now, error="it does not answer", remedy="Start it."), late)
    found = judge(reading, memory, TWO, blind, late)
    assert found.status == Status.UNKNOWN
    assert found.reason == "Airflow's scheduler can't be seen: it does not answer."
    assert found.remedy == "Start it."
    assert (found.leader, found.heartbeat_age_s, found.processes) == (None, None, ())
    assert {(one.word, one.ready, one.seen_age_s) for one in found.candidates} == {("unknown", None, None)}


def test_an_old_reading_is_not_held_against_the_scheduler(now: datetime) -> None:
    """Its heartbeat was 10 s old when it was read; that the console has not looked since is the console's fault."""
    reading = airflow(job(1, "scheduler-a", ago(now, 10)), *helpers(now))
    memory, _ = remember(Memory(), reading, now, TWO)
    later = now + timedelta(seconds=12)
    found = judge(reading, memory, TWO, seen(later, as_of=now), later)
    assert found.status == Status.HEALTHY
    assert found.heartbeat_age_s == 22


def test_airflow_2_tells_no_host(now: datetime) -> None:
    health = (ComponentHealth("metadatabase", "healthy", None), ComponentHealth("scheduler", "healthy", ago(now, 4)))
    reading = SchedulerReading("2.9.3", health, (), None, None)
    memory, _ = remember(Memory(), reading, now, Declared())
    found = judge(reading, memory, Declared(), seen(now), now)
    assert (found.status, found.title, found.heartbeat_age_s) == (Status.HEALTHY, "The scheduler runs", 4)

"""The running tasks are Airflow's, and what ended tells how long the next one takes."""

from __future__ import annotations

from datetime import datetime

import pytest

from console.fleets.models import PastRuns, RunningTask
from console.fleets.running import save_instances
from tests.fleets.making import ago, task, tasks

pytestmark = pytest.mark.django_db
TOKEN = "eyJhbGciOiJIUzUxMiJ9.e30.recognisable"


def test_the_table_holds_exactly_what_was_read(now: datetime) -> None:
    save_instances(tasks(task(name="a"), task(name="b")), ago(now, 2))
    save_instances(tasks(task(name="b", host="Worker-7.internal", started_at=ago(now, 1)), task(name="c")), now)
    assert set(RunningTask.objects.values_list("task_id", "host_key")) == {("b", "worker-7"), ("c", "")}


def test_a_task_that_ended_adds_to_its_past_runs_at_most_thirty(now: datetime) -> None:
    for number in range(35):
        save_instances(tasks(task(run=str(number), started_at=ago(now, 100 + number))), ago(now, 1))
        save_instances(tasks(), now)
    past = PastRuns.objects.get()
    assert (past.dag_id, past.task_id, len(past.durations_s)) == ("pricing", "elasticity_model", PastRuns.KEEP)
    assert past.durations_s[-1] == pytest.approx(134)


def test_one_that_slipped_below_the_limit_has_not_ended(now: datetime) -> None:
    save_instances(tasks(task(started_at=ago(now, 100))), ago(now, 1))
    save_instances(tasks(complete=False), now)
    assert not PastRuns.objects.exists()


def test_one_that_only_waited_has_no_duration(now: datetime) -> None:
    save_instances(tasks(task(state="queued", queued_at=ago(now, 100))), ago(now, 1))
    save_instances(tasks(), now)
    assert not PastRuns.objects.exists()


def test_nothing_is_written_when_nothing_changed(now: datetime, django_assert_num_queries: object) -> None:
    reading = tasks(*(task(name=f"t{i}", started_at=ago(now, i)) for i in range(50)))
    save_instances(reading, ago(now, 2))
    with django_assert_num_queries(1):  # type: ignore[operator]
        save_instances(reading, now)


def test_no_column_could_hold_a_tasks_arguments() -> None:
    names = {field.name for model in (RunningTask, PastRuns) for field in model._meta.get_fields()}
    assert not names & {"args", "kwargs", "arguments", "argsrepr", "payload", "body", "workload", "token"}

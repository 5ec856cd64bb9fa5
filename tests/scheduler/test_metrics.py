"""What Prometheus scrapes of the scheduler."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.scheduler.metrics import collect
from tests.scheduler.made import airflow, helpers, job, polled

pytestmark = pytest.mark.django_db


def samples(now: datetime) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("quarterdeck_"), *sample.labels.values()): sample.value
        for metric in collect(now)
        for sample in metric.samples
    }


def test_it_tells_the_status_the_leader_and_each_process(now: datetime) -> None:
    lost = job(92, "triggerer-2", now - timedelta(seconds=80), kind="triggerer")
    polled(now, airflow(job(1, "scheduler-a", now - timedelta(seconds=2)), *helpers(now), lost, import_errors=3))
    found = samples(now)
    assert found[("scheduler_status", "healthy")] == 1
    assert found[("scheduler_status", "failing")] == 0
    assert found[("scheduler_heartbeat_age_seconds",)] == 2
    assert found[("scheduler_leader", "scheduler-a")] == 1
    assert found[("airflow_process_up", "triggerer", "triggerer-1")] == 1
    assert found[("airflow_process_up", "triggerer", "triggerer-2")] == 0
    assert found[("airflow_import_errors",)] == 3


def test_what_can_t_be_seen_has_no_sample(now: datetime) -> None:
    found = samples(now)
    assert found[("scheduler_status", "unknown")] == 1
    assert ("scheduler_heartbeat_age_seconds",) not in found
    assert not [key for key in found if key[0] == "airflow_process_up"]


def test_two_of_a_kind_on_one_host_are_one_sample(now: datetime) -> None:
    polled(now, airflow(job(1, "scheduler-a", now), job(2, "scheduler-a", now)))
    up = [s for metric in collect(now) if metric.name.endswith("process_up") for s in metric.samples]
    assert [s.labels["host"] for s in up if s.labels["kind"] == "scheduler"] == ["scheduler-a"]


def test_it_takes_four_queries(now: datetime, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    polled(now, airflow(*[job(n, f"host-{n}", now) for n in range(60)]))
    with django_assert_num_queries(4):
        found = samples(now)
    assert len([key for key in found if key[0] == "airflow_process_up"]) <= 50

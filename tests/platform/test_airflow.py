"""Airflow's API as readings, against a server that behaves like it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from console.platform.airflow import Airflow
from tests.platform.contracts import AirflowContract
from tests.platform.fake_airflow import SECRET, FakeAirflow, instance, job, pool


class TestTheContract(AirflowContract):
    @pytest.fixture(autouse=True)
    def _work(self, fake: FakeAirflow) -> None:
        fake.instances = [instance(1), instance(2, "queued", "cpu")]

    def test_leaves_out_what_is_planted_everywhere_in_its_answers(self, airflow: Airflow) -> None:
        assert SECRET not in repr((airflow.scheduler(), airflow.tasks(["default"], limit=100), airflow.pools()))


class TestTasks:
    def test_are_counted_from_one_answer_where_one_page_holds_them_all(
        self, fake: FakeAirflow, airflow: Airflow
    ) -> None:
        fake.instances = [instance(1), instance(2), instance(3, "queued", "cpu"), instance(4, "success")]
        reading = airflow.tasks(["default", "cpu"], limit=100)
        assert [(each.queue, each.queued, each.running) for each in reading.counts] == [
            ("default", 0, 2),
            ("cpu", 1, 0),
        ]
        assert reading.complete
        assert fake.calls["/api/v2/dags/~/dagRuns/~/taskInstances"] == 1

    def test_say_where_each_runs_and_since_when(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.instances = [instance(1, map_index=4, try_number=2), instance(2, "queued")]
        running, queued = airflow.tasks([], limit=100).instances
        assert running.identity.dag_id == "etl"
        assert (running.identity.map_index, running.identity.try_number) == (4, 2)
        assert running.hostname == "i-0abc"
        assert running.started_at == datetime(2026, 11, 22, 3, 0, 1, tzinfo=UTC)
        assert queued.hostname is None
        assert queued.started_at is None
        assert queued.queued_at == datetime(2026, 11, 22, 3, 0, 2, tzinfo=UTC)

    def test_of_a_queue_that_nobody_declared_are_counted_too(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.instances = [instance(1, queue="gpu")]
        assert [(each.queue, each.running) for each in airflow.tasks(["default"], limit=100).counts] == [
            ("default", 0),
            ("gpu", 1),
        ]

    def test_more_than_a_page_are_counted_exactly_and_the_oldest_are_read(
        self, fake: FakeAirflow, airflow: Airflow
    ) -> None:
        fake.instances = [instance(n) for n in range(150)] + [instance(n, "queued", "cpu") for n in range(150, 900)]
        fake.instances.reverse()
        reading = airflow.tasks(["default", "cpu"], limit=300)
        assert [(each.queue, each.queued, each.running) for each in reading.counts] == [
            ("default", 0, 150),
            ("cpu", 750, 0),
        ]
        assert (reading.total_queued, reading.total_running) == (750, 150)
        assert not reading.complete
        assert len(reading.instances) == 300
        names = [each.identity.task_id for each in reading.instances]
        assert names == [f"task_{n}" for n in range(300)]

    def test_more_than_a_page_are_read_wholly_where_the_limit_allows_it(
        self, fake: FakeAirflow, airflow: Airflow
    ) -> None:
        fake.instances = [instance(n) for n in range(250)]
        reading = airflow.tasks(["default"], limit=1000)
        assert len(reading.instances) == 250
        assert reading.complete


class TestJobs:
    def test_of_a_crashing_process_do_not_crowd_out_the_schedulers(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.jobs = [job(1, host="scheduler-b")] + [job(n, "DagProcessorJob", "p") for n in range(2, 200)]
        jobs = airflow.scheduler().jobs
        assert [each.host for each in jobs if each.kind == "SchedulerJob"] == ["scheduler-b"]
        assert len(jobs) < 50
        assert jobs[0].heartbeat_at == datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(minutes=199)

    def test_counts_that_change_seldom_are_asked_seldom(self, fake: FakeAirflow, airflow: Airflow) -> None:
        for _ in range(3):
            reading = airflow.scheduler()
        assert (reading.dags, reading.import_errors) == (7, 2)
        assert fake.calls["/api/v2/dags"] == fake.calls["/api/v2/importErrors"] == 1
        assert fake.calls["/api/v2/version"] == 1
        assert fake.calls["/api/v2/monitor/health"] == 3


class TestPools:
    def test_are_read_over_all_pages(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.pools = [pool(f"pool_{n:03d}") for n in range(250)]
        assert len(airflow.pools()) == 250

    def test_without_a_limit_have_minus_one_slots(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.pools = [pool("unlimited", -1, open_slots=float("inf"))]
        assert (airflow.pools()[0].slots, airflow.pools()[0].open) == (-1, -1)


class TestSchedules:
    def test_tell_the_next_run_of_each_dag_over_all_pages(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.dags = [
            {
                "dag_id": f"d{i:03}",
                "is_paused": i == 5,
                "next_dagrun_run_after": None if i == 7 else "2026-11-22T03:00:00Z",
            }
            for i in range(120)
        ]
        found = airflow.upcoming(limit=2000)
        assert len(found) == 118
        assert (found[0].dag_id, found[0].at) == ("d000", datetime(2026, 11, 22, 3, tzinfo=UTC))
        assert not {"d005", "d007"} & {each.dag_id for each in found}
        assert len(airflow.upcoming(limit=100)) == 99

    def test_what_started_lately_is_read_in_its_order(self, fake: FakeAirflow, airflow: Airflow) -> None:
        fake.instances = [instance(number) for number in range(150)] + [instance(200, "queued")]
        since = datetime(2026, 11, 22, 3, 0, 20, tzinfo=UTC)
        found = airflow.started(since, limit=1000)
        assert len(found) == 130
        assert found[0].started_at == since
        assert len(airflow.started(since, limit=30)) == 30

"""What every adapter of a port must do, whatever stands behind it.

Each contract is a class of tests over fixtures. tests/platform runs it on a server of the tests' own, tests/journeys on
the sandbox's real one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from console.platform.ports import (
    AirflowPort,
    BrokerPort,
    ComputePort,
    DatastoresPort,
    FilesPort,
    ReplicationPort,
    WarehousePort,
)

Put = Callable[[str, bytes], object]


def holds_no_token(readings: object) -> bool:
    return "eyJ" not in repr(readings)


class AirflowContract:
    """Fixture `airflow`: an Airflow 3."""

    def test_tells_its_version_its_health_and_its_schedulers(self, airflow: AirflowPort) -> None:
        reading = airflow.scheduler()
        assert reading.version is not None
        assert reading.version.startswith("3.")
        assert {each.kind for each in reading.components} >= {"scheduler", "metadatabase", "triggerer"}
        newest = next(each for each in reading.jobs if each.kind == "SchedulerJob")
        assert newest.host
        assert newest.heartbeat_at is not None
        assert newest.heartbeat_at.tzinfo is UTC
        assert reading.dags is not None
        assert reading.import_errors is not None

    def test_orders_jobs_by_their_heartbeat_the_newest_first(self, airflow: AirflowPort) -> None:
        beats = [each.heartbeat_at for each in airflow.scheduler().jobs if each.heartbeat_at]
        assert beats == sorted(beats, reverse=True)

    def test_counts_every_queue_that_was_asked_for_and_agrees_with_its_instances(self, airflow: AirflowPort) -> None:
        reading = airflow.tasks(["default", "cpu", "io", "nobody-uses-this"], limit=500)
        counts = {each.queue: each for each in reading.counts}
        assert {"default", "cpu", "io", "nobody-uses-this"} <= set(counts)
        assert counts["nobody-uses-this"].queued == counts["nobody-uses-this"].running == 0
        if reading.complete:
            assert reading.total_running == sum(each.state == "running" for each in reading.instances)
            assert reading.total_running == sum(each.running for each in reading.counts)
            assert reading.total_queued == sum(each.queued for each in reading.counts)

    def test_has_the_default_pool(self, airflow: AirflowPort) -> None:
        default = {each.name: each for each in airflow.pools()}["default_pool"]
        assert default.slots == 128
        assert default.open + default.occupied == 128

    def test_gives_nothing_that_could_hold_a_secret(self, airflow: AirflowPort) -> None:
        assert holds_no_token((airflow.scheduler(), airflow.tasks(["default"], limit=100), airflow.pools()))


class BrokerContract:
    """Fixtures `broker`, and `nodes`: workers that are up."""

    def test_each_named_worker_tells_what_it_is_and_what_it_runs(self, broker: BrokerPort, nodes: list[str]) -> None:
        found = broker.workers(nodes, timeout_s=15)
        assert [each.node for each in found] == nodes
        for worker in found:
            assert worker.pid
            assert worker.concurrency
            assert worker.queues
            assert worker.reserved is not None
            assert worker.active is not None
            assert all(task.task_id for task in worker.active)

    def test_only_the_named_are_asked_and_nobody_when_nobody_is_named(
        self, broker: BrokerPort, nodes: list[str]
    ) -> None:
        assert [each.node for each in broker.workers([nodes[-1], "celery@nobody"], timeout_s=2)] == [nodes[-1]]
        assert broker.workers([], timeout_s=2) == ()

    def test_each_worker_beats(self, broker: BrokerPort, nodes: list[str]) -> None:
        silent, end = set(nodes), time.monotonic() + 30
        for beat in broker.heartbeats(idle_s=1):
            if beat:
                silent.discard(beat.node)
                assert abs((datetime.now(UTC) - beat.received_at).total_seconds()) < 10
            if not silent or time.monotonic() > end:
                break
        assert not silent

    def test_a_queue_that_nobody_uses_is_empty(self, broker: BrokerPort) -> None:
        reading = broker.queues(["default", "nobody-uses-this"])
        assert [each.queue for each in reading.depths] == ["default", "nobody-uses-this"]
        assert reading.depths[1].waiting == 0
        assert reading.unacknowledged is not None

    def test_gives_nothing_that_could_hold_a_token(self, broker: BrokerPort, nodes: list[str]) -> None:
        assert holds_no_token((broker.workers(nodes, timeout_s=15), broker.queues(["default"])))


class ComputeContract:
    """Fixtures `compute`, and `groups`: names of groups with an instance each at least."""

    def test_groups_come_in_the_order_asked_and_absent_ones_are_left_out(
        self, compute: ComputePort, groups: list[str]
    ) -> None:
        found = compute.groups([*reversed(groups), "there-is-none", groups[0]])
        assert [group.name for group in found] == [*reversed(groups)]
        assert compute.groups([]) == ()

    def test_each_instance_is_known_to_ec2(self, compute: ComputePort, groups: list[str]) -> None:
        for group in compute.groups(groups):
            assert group.minimum <= group.desired <= group.maximum
            assert group.version
            assert group.instances
            for instance in group.instances:
                assert instance.instance_id.startswith("i-")
                assert instance.zone
                assert instance.version
                assert instance.instance_type
                assert instance.private_ip
                assert instance.launched_at is not None
                assert instance.launched_at.tzinfo is UTC


class ReplicationContract:
    """Fixtures `replication`, and `tasks`: identifiers of tasks that run."""

    def test_tasks_come_in_the_order_asked_and_absent_ones_are_left_out(
        self, replication: ReplicationPort, tasks: list[str]
    ) -> None:
        found = replication.tasks(["there-is-none", *tasks], now=datetime.now(UTC))
        assert [task.identifier for task in found] == tasks
        assert all(task.arn.startswith("arn:") and task.status for task in found)
        assert replication.tasks([], now=datetime.now(UTC)) == ()

    def test_a_running_task_has_been_measured(self, replication: ReplicationPort, tasks: list[str]) -> None:
        now = datetime.now(UTC)
        for task in replication.tasks(tasks, now=now):
            assert task.source_latency_s is not None
            assert task.target_latency_s is not None
            assert task.measured_at is not None
            assert timedelta(seconds=-90) < now - task.measured_at <= timedelta(minutes=10)


class DatastoresContract:
    """Fixtures `datastores`, and `stores`: `(id, kind, identifier)`, one of each kind at least."""

    def test_each_has_a_state_and_a_primary_and_absent_ones_are_left_out(
        self, datastores: DatastoresPort, stores: list[tuple[str, str, str]]
    ) -> None:
        found = datastores.datastores([("no", "rds", "there-is-none"), *stores, ("no", "elasticache", "there-is-none")])
        assert [(each.id, each.kind, each.identifier) for each in found] == stores
        assert all(each.status and each.engine and each.endpoint for each in found)
        assert all(each.primary for each in found if each.kind == "rds")


class WarehouseContract:
    """Fixtures `warehouse`, and `tables`: `(declared name, schema.table, column)` of tables that are there."""

    def test_tells_the_newest_stamps_and_what_is_missing(
        self, warehouse: WarehousePort, tables: Sequence[tuple[str, str, str]]
    ) -> None:
        gone = ("gone", "public.there_is_none", "updated_at")
        reading = warehouse.evidence([*tables, gone])
        assert {each.table for each in reading.tables} == {table[0] for table in tables}
        assert reading.missing == ("gone",)
        assert all(each.newest_at is None or each.newest_at.tzinfo is UTC for each in reading.tables)
        assert abs((datetime.now(UTC) - reading.server_now).total_seconds()) < 10


class FilesContract:
    """Fixture `files`: a storage in which `put(key, bytes)` writes as Airflow's workers do."""

    def test_lists_keys_sizes_and_times_below_its_own_prefix(self, files: FilesPort, put: Put) -> None:
        put("handoff/b", b"12345")
        put("handoff/a/1", b"1")
        put("other", b"")
        found = files.files()
        assert found.complete
        assert [(each.key, each.size) for each in found.files] == [("handoff/a/1", 1), ("handoff/b", 5), ("other", 0)]
        assert all(abs((datetime.now(UTC) - each.modified_at).total_seconds()) < 60 for each in found.files)
        assert [each.key for each in files.files("handoff/a").files] == ["handoff/a/1"]
        assert files.files("nobody/").files == ()

    def test_removes_files_and_takes_gone_ones_for_removed(self, files: FilesPort, put: Put) -> None:
        put("handoff/a b/ü[1]", b"1")
        put("handoff/c", b"1")
        files.delete(["handoff/a b/ü[1]", "handoff/gone/too"])
        assert [each.key for each in files.files().files] == ["handoff/c"]
        files.delete([])

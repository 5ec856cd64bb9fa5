"""DMS' replication tasks, their newest CloudWatch metrics, and their tables' statistics."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from console.platform.aws import POLL_S, Clients, chunks, reported, rows, utc
from console.platform.budget import Budget
from console.platform.ports import PlatformError
from console.platform.readings import ReplicationTaskReading, TableStatistics, run_of

SYSTEM = "AWS DMS"
TASKS_PER_CALL = 100
METRICS = ("CDCLatencySource", "CDCLatencyTarget", "CDCIncomingChanges")
IN_THE_WRONG_STATE = "InvalidResourceStateFault"
QUERIES_PER_CALL = 500  # CloudWatch's limit
LOOK_BACK = timedelta(minutes=10)
"""DMS publishes once a minute, CloudWatch shows it a minute or two later."""
INSTANCES_KNOWN_S = 600.0

Points = dict[str, tuple[datetime, float]]  # metric → its newest point


class Replication:
    """The DMS tasks of one region. Safe for threads. Raises PlatformError."""

    def __init__(self, clients: Clients, *, poll_s: float = POLL_S) -> None:
        self._clients = clients
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._instances: dict[str, tuple[float, str]] = {}  # ARN → (known until, identifier)

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        """The tasks that exist of those named, in that order. `now` ends the window in which metrics are looked for."""
        if not identifiers:
            return ()
        budget = Budget(SYSTEM, self._poll_s)
        tasks = self._described(identifiers, budget)
        found = [tasks[name] for name in dict.fromkeys(identifiers) if name in tasks]
        points = self._metrics(found, now, budget)
        return tuple(_task(row, points.get(row["ReplicationTaskArn"], {})) for row in found)

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        """In which run each of those tasks is, by its identifier; only those that run."""
        if not identifiers:
            return {}
        tasks = self._described(identifiers, Budget(SYSTEM, self._poll_s))
        found = {
            name: run_of(str(row.get("Status") or ""), utc(row.get("ReplicationTaskStartDate")))
            for name, row in tasks.items()
        }
        return {name: run for name, run in found.items() if run}

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        """DMS' counters for every table of one task."""
        budget = Budget(SYSTEM, self._poll_s)
        return tuple(
            _table(arn, row)
            for row in rows(
                self._clients,
                "dms",
                "describe_table_statistics",
                "dms:DescribeTableStatistics",
                "TableStatistics",
                budget,
                ReplicationTaskArn=arn,
                PaginationConfig={"PageSize": 500},
            )
        )

    # --- changes -----------------------------------------------------------------------------------------------------

    def resume(self, arn: str) -> None:
        """Start a task where it stopped. One that starts or runs already is left alone."""
        try:
            with reported("dms", "dms:StartReplicationTask", leave=frozenset({IN_THE_WRONG_STATE})):
                self._clients("dms", change=True).start_replication_task(
                    ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing"
                )
        except ClientError as error:
            with reported("dms", "dms:DescribeReplicationTasks"):
                filters = [{"Name": "replication-task-arn", "Values": [arn]}]
                found = self._clients("dms").describe_replication_tasks(Filters=filters)["ReplicationTasks"]
            if not found or found[0].get("Status") not in ("starting", "running"):
                raise _wrong_state(error) from None

    def reload_table(self, arn: str, schema: str, table: str) -> None:
        """Load a table anew: it is emptied first. Not idempotent. The task has to be running."""
        try:
            with reported("dms", "dms:ReloadTables", leave=frozenset({IN_THE_WRONG_STATE})):
                self._clients("dms", change=True).reload_tables(
                    ReplicationTaskArn=arn, TablesToReload=[{"SchemaName": schema, "TableName": table}]
                )
        except ClientError as error:
            raise _wrong_state(error) from None

    def _described(self, identifiers: Sequence[str], budget: Budget) -> dict[str, dict[str, Any]]:
        tasks: dict[str, dict[str, Any]] = {}
        for some in chunks(list(dict.fromkeys(identifiers)), TASKS_PER_CALL):
            for row in rows(
                self._clients,
                "dms",
                "describe_replication_tasks",
                "dms:DescribeReplicationTasks",
                "ReplicationTasks",
                budget,
                Filters=[{"Name": "replication-task-id", "Values": some}],
                WithoutSettings=True,
            ):
                tasks[row["ReplicationTaskIdentifier"]] = row
        return tasks

    def _metrics(self, tasks: Sequence[dict[str, Any]], now: datetime, budget: Budget) -> dict[str, Points]:
        """The newest points of each task, by its ARN, in as few calls as CloudWatch allows."""
        names = self._instance_names({task["ReplicationInstanceArn"] for task in tasks}, budget)
        asked: dict[str, tuple[str, str]] = {}  # query id → (task's ARN, metric)
        queries = []
        for number, task in enumerate(tasks):
            instance = names.get(task["ReplicationInstanceArn"])
            if instance is None:
                continue
            for metric in METRICS:
                key = f"t{number}_{metric.lower()}"
                asked[key] = (task["ReplicationTaskArn"], metric)
                queries.append(_query(key, metric, instance, task["ReplicationTaskArn"].rsplit(":", 1)[-1]))
        points: dict[str, Points] = {}
        for start in range(0, len(queries), QUERIES_PER_CALL):
            for result in rows(
                self._clients,
                "cloudwatch",
                "get_metric_data",
                "cloudwatch:GetMetricData",
                "MetricDataResults",
                budget,
                MetricDataQueries=queries[start : start + QUERIES_PER_CALL],
                StartTime=now - LOOK_BACK,
                EndTime=now + timedelta(minutes=1),  # the minute that has begun
                ScanBy="TimestampDescending",
            ):
                arn, metric = asked[result["Id"]]
                newest = _newest(result)
                known = points.setdefault(arn, {}).get(metric)
                if newest and (known is None or newest[0] > known[0]):
                    points[arn][metric] = newest
        return points

    def _instance_names(self, arns: set[str], budget: Budget) -> dict[str, str]:
        """The identifiers of replication instances, by ARN: CloudWatch's dimension wants them. Kept for a while."""
        moment = time.monotonic()
        with self._lock:
            known = {arn: name for arn, (until, name) in self._instances.items() if until > moment}
        absent = sorted(arns - set(known))
        for some in chunks(absent, TASKS_PER_CALL):
            for row in rows(
                self._clients,
                "dms",
                "describe_replication_instances",
                "dms:DescribeReplicationInstances",
                "ReplicationInstances",
                budget,
                Filters=[{"Name": "replication-instance-arn", "Values": some}],
            ):
                known[row["ReplicationInstanceArn"]] = row["ReplicationInstanceIdentifier"]
        with self._lock:
            for arn in absent:
                if arn in known:
                    self._instances[arn] = (moment + INSTANCES_KNOWN_S, known[arn])
        return known


def _wrong_state(error: ClientError) -> PlatformError:
    return PlatformError(
        SYSTEM,
        "rejected",
        f"AWS DMS refused: {error.response.get('Error', {}).get('Message', 'its task is in another state')}",
        remedy="Look at the task's state in the console of DMS.",
        permanent=True,
    )


def _query(key: str, metric: str, instance: str, task: str) -> dict[str, Any]:
    return {
        "Id": key,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/DMS",
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "ReplicationInstanceIdentifier", "Value": instance},
                    # The last part of the task's ARN, not its name.
                    {"Name": "ReplicationTaskIdentifier", "Value": task},
                ],
            },
            "Period": 60,
            "Stat": "Maximum",
        },
    }


def _newest(result: dict[str, Any]) -> tuple[datetime, float] | None:
    points = zip(result.get("Timestamps", []), result.get("Values", []), strict=False)
    return max(((utc(at) or at, float(value)) for at, value in points), default=None)


def _task(row: dict[str, Any], points: Points) -> ReplicationTaskReading:
    def newest(metric: str) -> float | None:
        return points[metric][1] if metric in points else None

    return ReplicationTaskReading(
        identifier=row["ReplicationTaskIdentifier"],
        arn=row["ReplicationTaskArn"],
        status=str(row.get("Status") or ""),
        stop_reason=row.get("StopReason") or None,
        failure=row.get("LastFailureMessage") or None,
        source_latency_s=newest("CDCLatencySource"),
        target_latency_s=newest("CDCLatencyTarget"),
        incoming_changes=newest("CDCIncomingChanges"),
        measured_at=max((at for at, _ in points.values()), default=None),
        started_at=utc(row.get("ReplicationTaskStartDate")),
    )


def _table(arn: str, row: dict[str, Any]) -> TableStatistics:
    return TableStatistics(
        task=arn,
        schema=str(row.get("SchemaName") or ""),
        table=str(row.get("TableName") or ""),
        state=str(row.get("TableState") or ""),
        inserts=int(row.get("Inserts") or 0),
        updates=int(row.get("Updates") or 0),
        deletes=int(row.get("Deletes") or 0),
        applied_inserts=row.get("AppliedInserts"),
        applied_updates=row.get("AppliedUpdates"),
        applied_deletes=row.get("AppliedDeletes"),
        full_load_rows=int(row.get("FullLoadRows") or 0),
        full_load_started_at=utc(row.get("FullLoadStartTime")),
        full_load_ended_at=utc(row.get("FullLoadEndTime")),
        updated_at=utc(row.get("LastUpdateTime")),
    )

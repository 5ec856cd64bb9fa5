"""DMS, ElastiCache, RDS and CloudWatch: what moto leaves out and the console's calls need (moto is pinned exactly).

The DMS task's state, its table statistics and its metrics are what the replication process says (replication.py):
it reports them to `REPORT_PATH`, which no AWS client ever calls.
"""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend
from moto.core.responses import ActionResult
from moto.dms.exceptions import InvalidResourceStateFault, ResourceNotFoundFault
from moto.dms.models import FakeReplicationTask, dms_backends
from moto.dms.responses import DatabaseMigrationServiceResponse
from moto.elasticache.models import ElastiCacheBackend
from moto.elasticache.responses import ElastiCacheResponse
from moto.rds.models import RDSBackend

from console.sandbox.aws.replace import replace

ACCOUNT = "123456789012"
REPORT_PATH = "/sandbox/replication"
METRICS_KEPT = timedelta(hours=3)


def resource_id(task: str) -> str:
    """The last part of a task's ARN. AWS makes one up; the metrics' dimension is this, not the task's name."""
    return base64.b32encode(hashlib.sha256(task.encode()).digest())[:26].decode()


def _epoch(at: datetime | None) -> float | None:
    """A time as DMS sends it. Moto keeps naive UTC times."""
    return None if at is None else at.replace(tzinfo=at.tzinfo or UTC).timestamp()


def page(rows: list[dict[str, Any]], filters: list[dict[str, Any]], limit: int, marker: str) -> dict[str, Any]:
    """One page of table statistics, as DescribeTableStatistics gives them."""
    keys = {"schema-name": "SchemaName", "table-name": "TableName", "table-state": "TableState"}
    for wanted in filters:
        key = keys.get(wanted["Name"], "")
        rows = [row for row in rows if str(row.get(key)) in wanted["Values"]]
    start = int(marker or 0)
    answer: dict[str, Any] = {"TableStatistics": rows[start : start + limit]}
    if start + limit < len(rows):
        answer["Marker"] = str(start + limit)
    return answer


def report(region: str, body: dict[str, Any]) -> dict[str, Any]:
    """Take the replication's own account of itself: `{task, status?, stop_reason?, tables?}`; told `reload` in return.

    A `status` of `failed` is the replication's to say; starting and stopping stay with DMS' own calls.
    """
    task: Any
    for task in dms_backends[ACCOUNT][region].replication_tasks.values():
        if task.id != body["task"]:
            continue
        if body.get("status"):
            task.status = body["status"]
            task.stop_reason = body.get("stop_reason", "")
        if "tables" in body:
            task.table_statistics = body["tables"]
        reload, task.reload = getattr(task, "reload", []), []
        return {"task": task.id, "status": task.status, "reload": reload}
    return {"error": f"no task {body['task']}"}


def _install_dms() -> None:
    as_moto_says, create = FakeReplicationTask.to_dict, FakeReplicationTask.__init__

    def with_resource_id(self: Any, *args: Any, **kwargs: Any) -> None:
        create(self, *args, **kwargs)
        # AWS ends a task's ARN in a resource id, moto in the task's name: the console must not rely on the name.
        self.arn = self.arn.rpartition(":")[0] + f":{resource_id(self.id)}"

    start, stop = FakeReplicationTask.start, FakeReplicationTask.stop

    def to_dict(self: Any) -> dict[str, Any]:
        answer: dict[str, Any] = as_moto_says(self)
        tables = getattr(self, "table_statistics", [])
        states = [table["TableState"] for table in tables]
        answer["ReplicationTaskCreationDate"] = _epoch(self.creation_date)
        answer["ReplicationTaskStartDate"] = _epoch(self.start_date)
        answer["StopReason"] = getattr(self, "stop_reason", "")
        stats = answer["ReplicationTaskStats"]
        stats.update(
            TablesLoaded=states.count("Table completed"),
            TablesLoading=states.count("Full load"),
            TablesQueued=states.count("Before load"),
            TablesErrored=states.count("Table error"),
        )
        for name in ("FreshStartDate", "StartDate", "FullLoadStartDate"):
            stats[name] = _epoch(self.start_date)
        for name in ("StopDate", "FullLoadFinishDate"):
            stats[name] = _epoch(self.stop_date)
        return {name: value for name, value in answer.items() if value is not None and value != ""}

    def start_task(self: Any) -> Any:
        if self.status not in {"ready", "stopped", "failed", "creating"}:
            raise InvalidResourceStateFault(f"Replication Task cannot be started, its current state is {self.status}.")
        self.stop_reason = ""
        return start(self)

    def stop_task(self: Any) -> Any:
        stopped = stop(self)
        self.stop_reason = "Stop Reason NORMAL"
        return stopped

    def describe_table_statistics(self: Any) -> str:
        params = json.loads(self.body)
        arn = params["ReplicationTaskArn"]
        task = self.dms_backend.replication_tasks.get(arn)
        if task is None:
            raise ResourceNotFoundFault(f"Replication Task not found: {arn}")
        rows = getattr(task, "table_statistics", [])
        answer = page(rows, params.get("Filters", []), int(params.get("MaxRecords", 100)), params.get("Marker", ""))
        return json.dumps({"ReplicationTaskArn": arn, **answer})

    def reload_tables(self: Any) -> str:
        params = json.loads(self.body)
        arn = params["ReplicationTaskArn"]
        task = self.dms_backend.replication_tasks.get(arn)
        if task is None:
            raise ResourceNotFoundFault(f"Replication Task not found: {arn}")
        if task.status != "running":
            raise InvalidResourceStateFault(f"Replication Task cannot reload tables, its state is {task.status}.")
        wanted = [f"{table['SchemaName']}.{table['TableName']}" for table in params["TablesToReload"]]
        task.reload = [*getattr(task, "reload", []), *wanted]
        for row in getattr(task, "table_statistics", []):
            if f"{row['SchemaName']}.{row['TableName']}" in wanted:
                row["TableState"] = "Table is being reloaded"
        return json.dumps({"ReplicationTaskArn": arn})

    response: Any = DatabaseMigrationServiceResponse
    response.reload_tables = reload_tables
    replace(FakeReplicationTask, __init__=with_resource_id, to_dict=to_dict, start=start_task, stop=stop_task)
    replace(DatabaseMigrationServiceResponse, describe_table_statistics=describe_table_statistics)


def _install_elasticache() -> None:
    create = ElastiCacheBackend.create_replication_group

    def create_replication_group(self: Any, *args: Any, **kwargs: Any) -> Any:
        group = create(self, *args, **kwargs)
        self.__dict__.setdefault("events", []).append(
            {
                "SourceIdentifier": group.replication_group_id,
                "SourceType": "replication-group",
                "Message": f"Replication group {group.replication_group_id} created",
                "Date": datetime.now(UTC),
            }
        )
        return group

    def describe_events(self: Any) -> ActionResult:
        events = list(getattr(self.elasticache_backend, "events", []))
        for param, key in (("SourceIdentifier", "SourceIdentifier"), ("SourceType", "SourceType")):
            wanted = self._get_param(param)
            if wanted:
                events = [event for event in events if event[key] == wanted]
        return ActionResult({"Events": events})

    replace(ElastiCacheBackend, create_replication_group=create_replication_group)
    replace(ElastiCacheResponse, describe_events=describe_events)


def _install_cloudwatch() -> None:
    put = CloudWatchBackend.put_metric_data

    def put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
        put(self, namespace, metric_data)
        # Moto keeps every point for ever and reads all of them for each query.
        oldest = datetime.now(UTC) - METRICS_KEPT
        data = self.metric_data
        if data and data[0].timestamp.replace(tzinfo=data[0].timestamp.tzinfo or UTC) < oldest - METRICS_KEPT / 4:
            self.metric_data = [
                point for point in data if point.timestamp.replace(tzinfo=point.timestamp.tzinfo or UTC) >= oldest
            ]

    replace(CloudWatchBackend, put_metric_data=put_metric_data)


def _install_rds() -> None:
    create = RDSBackend.create_db_instance

    def create_db_instance(self: Any, db_kwargs: dict[str, Any]) -> Any:
        instance: Any = create(self, db_kwargs)
        if instance.multi_az:
            zone = str(instance.availability_zone)
            instance.secondary_availability_zone = zone[:-1] + ("b" if zone.endswith("a") else "a")
        return instance

    replace(RDSBackend, create_db_instance=create_db_instance)


def install() -> None:
    """Put the replacements into moto's classes."""
    _install_dms()
    _install_elasticache()
    _install_cloudwatch()
    _install_rds()

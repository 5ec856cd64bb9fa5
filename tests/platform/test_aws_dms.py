"""DMS and its CloudWatch metrics against moto's HTTP server; table statistics, which moto lacks, by a stub of AWS."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.stub import Stubber

from console.platform.aws import Clients
from console.platform.dms import Replication
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.contracts import ReplicationContract


@pytest.fixture
def replication(aws: AwsServer) -> Replication:
    return Replication(Clients(REGION))


def make_task(aws: AwsServer, name: str, instance_arn: str = "") -> str:
    dms = aws.client("dms")
    if not instance_arn:
        instance_arn = make_instance(aws, "quarterdeck-dms")
    task = dms.create_replication_task(
        ReplicationTaskIdentifier=name,
        SourceEndpointArn="arn:aws:dms:eu-north-1:1:endpoint:s",
        TargetEndpointArn="arn:aws:dms:eu-north-1:1:endpoint:t",
        ReplicationInstanceArn=instance_arn,
        MigrationType="cdc",
        TableMappings="{}",
    )
    return str(task["ReplicationTask"]["ReplicationTaskArn"])


def make_instance(aws: AwsServer, name: str) -> str:
    dms = aws.client("dms")
    made = dms.create_replication_instance(ReplicationInstanceIdentifier=name, ReplicationInstanceClass="dms.t3.medium")
    return str(made["ReplicationInstance"]["ReplicationInstanceArn"])


def measure(aws: AwsServer, arn: str, metric: str, at: datetime, value: float) -> None:
    aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/DMS",
        MetricData=[
            {
                "MetricName": metric,
                "Dimensions": [
                    {"Name": "ReplicationInstanceIdentifier", "Value": "quarterdeck-dms"},
                    {"Name": "ReplicationTaskIdentifier", "Value": arn.rsplit(":", 1)[-1]},
                ],
                "Timestamp": at,
                "Value": value,
            }
        ],
    )


class TestTheContract(ReplicationContract):
    @pytest.fixture
    def tasks(self, aws: AwsServer) -> list[str]:
        instance = make_instance(aws, "quarterdeck-dms")
        for name in ("two", "one", "not-ours"):
            arn = make_task(aws, name, instance)
            for metric in ("CDCLatencySource", "CDCLatencyTarget"):
                measure(aws, arn, metric, datetime.now(UTC) - timedelta(minutes=2), 3)
        return ["two", "one"]


def test_a_task_has_its_state_and_the_newest_points_of_its_metrics(aws: AwsServer, replication: Replication) -> None:
    now = datetime.now(UTC)
    arn = make_task(aws, "shop-cdc")
    aws.client("dms").start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="start-replication")
    measure(aws, arn, "CDCLatencySource", now - timedelta(minutes=5), 90)
    measure(aws, arn, "CDCLatencySource", now - timedelta(minutes=2), 3)
    measure(aws, arn, "CDCLatencyTarget", now - timedelta(minutes=3), 7)
    (task,) = replication.tasks(["shop-cdc"], now=now)
    assert (task.identifier, task.arn) == ("shop-cdc", arn)
    assert task.status in {"running", "starting"}
    assert (task.source_latency_s, task.target_latency_s, task.incoming_changes) == (3, 7, None)
    assert task.measured_at is not None
    assert timedelta(0) <= now - task.measured_at < timedelta(minutes=4)


def test_points_older_than_the_window_are_no_points(aws: AwsServer, replication: Replication) -> None:
    now = datetime.now(UTC)
    arn = make_task(aws, "shop-cdc")
    measure(aws, arn, "CDCLatencySource", now - timedelta(hours=1), 3)
    (task,) = replication.tasks(["shop-cdc"], now=now)
    assert (task.source_latency_s, task.measured_at) == (None, None)


def test_no_names_ask_nothing(aws: AwsServer, replication: Replication) -> None:
    before = aws.requests()
    assert replication.tasks([], now=datetime.now(UTC)) == ()
    assert aws.requests() == before


def test_the_replication_instances_name_is_asked_for_once(aws: AwsServer, replication: Replication) -> None:
    make_task(aws, "shop-cdc")
    replication.tasks(["shop-cdc"], now=datetime.now(UTC))
    before = aws.requests()
    replication.tasks(["shop-cdc"], now=datetime.now(UTC))
    assert aws.requests() - before == 2  # the tasks and their metrics


def test_table_statistics_are_read_over_all_pages(aws: AwsServer) -> None:
    clients = Clients(REGION)
    row = {
        "SchemaName": "public",
        "TableName": "orders",
        "Inserts": 10,
        "Updates": 4,
        "Deletes": 1,
        "AppliedInserts": 9,
        "FullLoadRows": 1000,
        "FullLoadEndTime": datetime(2026, 11, 22, 1),  # noqa: DTZ001 - as some stand-ins give it
        "TableState": "Table completed",
    }
    asked = {"ReplicationTaskArn": "arn:task", "MaxRecords": 500}
    with Stubber(clients("dms")) as stub:
        first = {"TableStatistics": [row], "Marker": "more"}
        stub.add_response("describe_table_statistics", first, asked)
        stub.add_response(
            "describe_table_statistics", {"TableStatistics": [row | {"TableName": "lines"}]}, asked | {"Marker": "more"}
        )
        orders, lines = Replication(clients).table_statistics("arn:task")
    assert (orders.schema, orders.table, orders.state) == ("public", "orders", "Table completed")
    assert (orders.inserts, orders.updates, orders.deletes, orders.full_load_rows) == (10, 4, 1, 1000)
    assert (orders.applied_inserts, orders.applied_updates) == (9, None)
    assert orders.full_load_ended_at == datetime(2026, 11, 22, 1, tzinfo=UTC)
    assert lines.table == "lines"

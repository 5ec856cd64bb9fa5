"""The AWS endpoint by boto3: what moto leaves out is there, and wrong calls are refused in AWS' words."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from console.platform.dms import Replication
from console.platform.ports import PlatformError
from console.sandbox.home import REPOSITORY
from tests.services import free_port

DECLARATION = str(REPOSITORY / "console" / "sandbox" / "platform.yaml")
Client = Any


class Aws:
    def __init__(self, port: int, process: subprocess.Popen[bytes]) -> None:
        self.url, self.process = f"http://127.0.0.1:{port}", process

    def client(self, service: str) -> Client:
        config = Config(retries={"max_attempts": 0}, connect_timeout=2, max_pool_connections=32)
        return boto3.client(
            service, region_name="eu-north-1", endpoint_url=self.url, aws_access_key_id="x",
            aws_secret_access_key="y", config=config,
        )  # fmt: skip

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + "/sandbox/replication", timeout=2):
                return True
        except OSError:
            return False

    def report(self, **said: object) -> dict[str, Any]:
        request = urllib.request.Request(
            self.url + "/sandbox/replication", json.dumps({"task": "shop-cdc", **said}).encode()
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            return dict(json.loads(answer.read()))


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    port = free_port()
    env = {
        **os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "eu-north-1",
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "console.sandbox.aws", str(port), DECLARATION, '{"postgres": 1, "warehouse": 2}'],
        env=env, cwd=REPOSITORY, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    made = Aws(port, process)
    for _ in range(600):
        if made.answers():
            break
        time.sleep(0.1)
    yield made
    process.terminate()
    process.wait(10)


def group(aws: Aws, name: str) -> dict[str, Any]:
    found = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[name])
    return dict(found["AutoScalingGroups"][0])


def test_the_groups_are_those_of_the_declaration(aws: Aws) -> None:
    groups = aws.client("autoscaling").describe_auto_scaling_groups()["AutoScalingGroups"]
    sizes = {g["AutoScalingGroupName"]: (g["DesiredCapacity"], g["MaxSize"]) for g in groups}
    assert sizes == {"sandbox-default": (2, 4), "sandbox-cpu": (2, 4), "sandbox-io": (2, 4)}


def test_instances_spread_over_the_zones(aws: Aws) -> None:
    aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName="sandbox-cpu", DesiredCapacity=4)
    zones = Counter(instance["AvailabilityZone"] for instance in group(aws, "sandbox-cpu")["Instances"])
    assert len(zones) == 3
    assert max(zones.values()) == 2


def test_an_instance_keeps_the_template_version_it_was_launched_with(aws: Aws) -> None:
    ec2, autoscaling = aws.client("ec2"), aws.client("autoscaling")
    template = group(aws, "sandbox-io")["LaunchTemplate"]["LaunchTemplateName"]
    ec2.create_launch_template_version(
        LaunchTemplateName=template, SourceVersion="1",
        LaunchTemplateData={"ImageId": "ami-0abcdef1234567891", "InstanceType": "t4g.medium"},
    )  # fmt: skip
    autoscaling.set_desired_capacity(AutoScalingGroupName="sandbox-io", DesiredCapacity=3)
    versions = Counter(instance["LaunchTemplate"]["Version"] for instance in group(aws, "sandbox-io")["Instances"])
    assert versions == {"1": 2, "2": 1}


def test_launches_and_terminations_leave_activities(aws: Aws) -> None:
    autoscaling = aws.client("autoscaling")
    victim = group(aws, "sandbox-default")["Instances"][0]["InstanceId"]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=victim, ShouldDecrementDesiredCapacity=False)
    activities = autoscaling.describe_scaling_activities(AutoScalingGroupName="sandbox-default")["Activities"]
    assert [activity["Description"].split(":")[0] for activity in activities[:2]] == [
        "Terminating EC2 instance",
        "Launching a new EC2 instance",
    ]
    assert victim in activities[0]["Description"]
    assert activities[0]["StatusCode"] == "Successful"
    now = group(aws, "sandbox-default")["Instances"]
    assert len(now) == 2
    assert victim not in {instance["InstanceId"] for instance in now}


@pytest.mark.parametrize(
    ("name", "wanted", "words"),
    [
        ("sandbox-default", 9, "value 9 is above max value 4 for the AutoScalingGroup"),
        ("nowhere", 1, "AutoScalingGroup name not found"),
    ],
)
def test_a_wrong_capacity_is_refused_in_aws_words(aws: Aws, name: str, wanted: int, words: str) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        aws.client("autoscaling").set_desired_capacity(AutoScalingGroupName=name, DesiredCapacity=wanted)
    assert refusal.value.response["Error"]["Code"] == "ValidationError"


def test_an_unknown_instance_is_refused_in_aws_words(aws: Aws) -> None:
    with pytest.raises(ClientError, match="No managed instance found"):
        aws.client("autoscaling").terminate_instance_in_auto_scaling_group(
            InstanceId="i-0", ShouldDecrementDesiredCapacity=False
        )


def test_many_threads_at_once_all_get_an_answer(aws: Aws) -> None:
    autoscaling = aws.client("autoscaling")

    def change(number: int) -> None:
        wanted = 2 + number % 2
        autoscaling.set_desired_capacity(AutoScalingGroupName="sandbox-default", DesiredCapacity=wanted)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(change, range(64)))
    autoscaling.set_desired_capacity(AutoScalingGroupName="sandbox-default", DesiredCapacity=2)
    assert len(group(aws, "sandbox-default")["Instances"]) == 2


def test_the_tasks_arn_does_not_end_in_its_name(aws: Aws) -> None:
    task = aws.client("dms").describe_replication_tasks()["ReplicationTasks"][0]
    assert task["ReplicationTaskIdentifier"] == "shop-cdc"
    assert not task["ReplicationTaskArn"].endswith("shop-cdc")
    assert task["Status"] == "running"
    assert task["ReplicationTaskStartDate"].tzinfo is not None


def test_a_reload_is_told_to_the_replication_once_and_refused_while_the_task_stands_still(aws: Aws) -> None:
    dms = aws.client("dms")
    arn = dms.describe_replication_tasks()["ReplicationTasks"][0]["ReplicationTaskArn"]
    port = Replication(lambda service, change=False: aws.client(service))  # type: ignore[arg-type]
    port.reload_table(arn, "public", "orders")
    assert aws.report()["reload"] == ["public.orders"]
    assert aws.report()["reload"] == []
    port.resume(arn)  # it runs already: that is what was wanted
    dms.stop_replication_task(ReplicationTaskArn=arn)
    with pytest.raises(PlatformError) as raised:
        port.reload_table(arn, "public", "orders")
    assert (raised.value.code, raised.value.permanent) == ("rejected", True)
    port.resume(arn)
    assert dms.describe_replication_tasks()["ReplicationTasks"][0]["Status"] == "running"


def test_table_statistics_are_what_the_replication_reported(aws: Aws) -> None:
    dms = aws.client("dms")
    arn = dms.describe_replication_tasks()["ReplicationTasks"][0]["ReplicationTaskArn"]
    now = datetime.now(UTC)
    aws.report(
        tables=[
            {
                "SchemaName": "public", "TableName": "orders", "Inserts": 7, "AppliedInserts": 6,
                "TableState": "Table completed", "LastUpdateTime": now.timestamp(),
            }
        ]
    )  # fmt: skip
    row = dms.describe_table_statistics(ReplicationTaskArn=arn)["TableStatistics"][0]
    assert (row["Inserts"], row["AppliedInserts"], row["TableState"]) == (7, 6, "Table completed")
    assert abs(row["LastUpdateTime"] - now) < timedelta(seconds=1)
    with pytest.raises(ClientError) as refusal:
        dms.describe_table_statistics(ReplicationTaskArn=arn + "X")
    assert refusal.value.response["Error"]["Code"] == "ResourceNotFoundFault"


def test_a_task_stops_fails_and_starts_with_its_reason(aws: Aws) -> None:
    dms = aws.client("dms")

    def task() -> dict[str, Any]:
        return dict(dms.describe_replication_tasks()["ReplicationTasks"][0])

    arn = task()["ReplicationTaskArn"]
    with pytest.raises(ClientError, match="current state is running"):
        dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    dms.stop_replication_task(ReplicationTaskArn=arn)
    assert (task()["Status"], task()["StopReason"]) == ("stopped", "Stop Reason NORMAL")
    dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    assert task()["Status"] == "running"
    assert "StopReason" not in task()
    aws.report(status="failed", stop_reason="Stop Reason FATAL_ERROR Error Level FATAL")
    assert (task()["Status"], task()["StopReason"][:23]) == ("failed", "Stop Reason FATAL_ERROR")
    dms.start_replication_task(ReplicationTaskArn=arn, StartReplicationTaskType="resume-processing")
    assert task()["Status"] == "running"


def test_the_datastores_show_their_standbys_and_their_events(aws: Aws) -> None:
    database = aws.client("rds").describe_db_instances(DBInstanceIdentifier="airflow-metadata")["DBInstances"][0]
    assert database["MultiAZ"]
    assert database["SecondaryAvailabilityZone"] != database["AvailabilityZone"]
    elasticache = aws.client("elasticache")
    queue = elasticache.describe_replication_groups(ReplicationGroupId="airflow-queue")["ReplicationGroups"][0]
    members = queue["NodeGroups"][0]["NodeGroupMembers"]
    assert [member["CurrentRole"] for member in members] == ["primary", "replica", "replica"]
    assert len({member["PreferredAvailabilityZone"] for member in members}) == 3
    events = elasticache.describe_events(SourceIdentifier="airflow-queue", SourceType="replication-group")["Events"]
    assert "created" in events[0]["Message"]
    assert elasticache.describe_events(SourceIdentifier="other", SourceType="replication-group")["Events"] == []


def test_old_metrics_are_forgotten_and_new_ones_kept(aws: Aws) -> None:
    cloudwatch, now = aws.client("cloudwatch"), datetime.now(UTC)
    dimensions = [{"Name": "ReplicationInstanceIdentifier", "Value": "test"}]
    for age in (timedelta(hours=9), timedelta(0)):
        cloudwatch.put_metric_data(
            Namespace="AWS/DMS",
            MetricData=[{"MetricName": "Old", "Dimensions": dimensions, "Timestamp": now - age, "Value": 1.0}],
        )
    statistics = cloudwatch.get_metric_statistics(
        Namespace="AWS/DMS", MetricName="Old", Dimensions=dimensions, StartTime=now - timedelta(hours=12),
        EndTime=now + timedelta(minutes=1), Period=3600, Statistics=["SampleCount"],
    )  # fmt: skip
    assert sum(point["SampleCount"] for point in statistics["Datapoints"]) == 1


def test_an_outage_of_the_api_changes_nothing_in_the_account(aws: Aws) -> None:
    before = {i["InstanceId"] for i in group(aws, "sandbox-cpu")["Instances"]}
    aws.process.send_signal(signal.SIGUSR1)
    for _ in range(50):
        if not aws.answers():
            break
        time.sleep(0.1)
    with pytest.raises(BotoCoreError):
        group(aws, "sandbox-cpu")
    aws.process.send_signal(signal.SIGUSR2)
    for _ in range(50):
        if aws.answers():
            break
        time.sleep(0.1)
    assert {i["InstanceId"] for i in group(aws, "sandbox-cpu")["Instances"]} == before

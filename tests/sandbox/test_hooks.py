"""A group's termination hook in the sandbox's AWS: the instance waits, a message tells, and it goes on when told so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.test_aws import Aws, aws  # noqa: F401 - the endpoint

GROUP, HOOK = "sandbox-io", "drain"


@pytest.fixture
def queue(aws: Aws) -> Iterator[str]:  # noqa: F811
    sqs, autoscaling = aws.client("sqs"), aws.client("autoscaling")
    url = sqs.create_queue(QueueName="told")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    autoscaling.put_lifecycle_hook(
        LifecycleHookName=HOOK, AutoScalingGroupName=GROUP, NotificationTargetARN=arn, HeartbeatTimeout=300,
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )  # fmt: skip
    yield url
    autoscaling.delete_lifecycle_hook(LifecycleHookName=HOOK, AutoScalingGroupName=GROUP)
    sqs.delete_queue(QueueUrl=url)


def members(aws: Aws) -> dict[str, str]:  # noqa: F811
    group = aws.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"][
        0
    ]
    return {each["InstanceId"]: each["LifecycleState"] for each in group["Instances"]}


def told(aws: Aws, queue: str) -> list[dict[str, Any]]:  # noqa: F811
    found = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(each["Body"]) for each in found]


def test_it_waits_tells_and_goes_on(aws: Aws, queue: str) -> None:  # noqa: F811
    autoscaling, ec2 = aws.client("autoscaling"), aws.client("ec2")
    assert [each["Event"] for each in told(aws, queue)] == ["autoscaling:TEST_NOTIFICATION"]
    victim = sorted(members(aws))[0]
    autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=victim, ShouldDecrementDesiredCapacity=False)
    assert members(aws)[victim] == "Terminating:Wait"
    state = ec2.describe_instances(InstanceIds=[victim])["Reservations"][0]["Instances"][0]["State"]["Name"]
    assert state == "running"
    body = told(aws, queue)[0]
    assert (body["EC2InstanceId"], body["LifecycleHookName"]) == (victim, HOOK)
    names = {"LifecycleHookName": HOOK, "AutoScalingGroupName": GROUP, "InstanceId": victim}
    autoscaling.record_lifecycle_action_heartbeat(**names)
    autoscaling.complete_lifecycle_action(LifecycleActionResult="CONTINUE", **names)
    assert victim not in members(aws)
    assert len(members(aws)) == 2
    with pytest.raises(ClientError, match="No active Lifecycle Action found with instance ID"):
        autoscaling.complete_lifecycle_action(LifecycleActionResult="CONTINUE", **names)


def test_the_console_reads_and_answers_it(aws: Aws, queue: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    from console.platform.aws import Clients
    from console.platform.compute import Compute

    for name, value in (
        ("AWS_ENDPOINT_URL", aws.url), ("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "y"),
    ):  # fmt: skip
        monkeypatch.setenv(name, value)
    compute = Compute(Clients("eu-north-1"))
    assert compute.notices(queue) == ()  # the test notification is none, and is forgotten
    victim = sorted(members(aws))[0]
    compute.terminate(GROUP, victim, decrement=False)
    (notice,) = compute.notices(queue)
    assert (notice.group, notice.hook, notice.instance_id) == (GROUP, HOOK, victim)
    assert (notice.heartbeat_s, notice.limit_s) == (300.0, 30_000.0)
    compute.keep_waiting(GROUP, HOOK, victim, notice.token)
    assert members(aws)[victim] == "Terminating:Wait"
    compute.let_go(GROUP, HOOK, victim, notice.token)
    compute.let_go(GROUP, HOOK, victim, notice.token)  # once more harms nothing
    assert victim not in members(aws)
    compute.forget_notices(queue, [notice.receipt])
    assert compute.notices(queue) == ()

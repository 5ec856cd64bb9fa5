"""A group ends an instance whose worker is busy (a rebalance, a health check): its hook waits for the work to end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.journeys.conftest import Sandbox
from tests.journeys.test_console_changes_it import all_succeeded_at_once, sleepers, workers

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("fixed_sizes")]
GROUP, HOOK, QUEUE = "sandbox-io", "drain", "io"


def client(sandbox: Sandbox, service: str) -> Any:
    env = sandbox.env
    return boto3.client(
        service, endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
        aws_access_key_id="journey", aws_secret_access_key="journey",
    )  # fmt: skip


@pytest.fixture
def hook(sandbox: Sandbox) -> Iterator[None]:
    queue = sandbox.env["TERMINATIONS_QUEUE"]
    arn = client(sandbox, "sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    autoscaling = client(sandbox, "autoscaling")
    autoscaling.put_lifecycle_hook(
        LifecycleHookName=HOOK, AutoScalingGroupName=GROUP, HeartbeatTimeout=60,
        NotificationTargetARN=arn["Attributes"]["QueueArn"],
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
    )  # fmt: skip
    yield
    autoscaling.delete_lifecycle_hook(LifecycleHookName=HOOK, AutoScalingGroupName=GROUP)


def test_a_busy_worker_that_its_group_ends_is_drained_first(sandbox: Sandbox, hook: None) -> None:
    sandbox.wait(lambda: len(workers(sandbox, QUEUE)) == 2, 120, "two workers")
    run = sleepers(sandbox, 30, 75, QUEUE)  # longer than the hook waits without a heartbeat
    busy = sandbox.wait(
        lambda: next((name for name, each in workers(sandbox, QUEUE).items() if (each["active"] or 0) >= 8), None),
        120,
        "a busy worker",
    )
    client(sandbox, "autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=busy, ShouldDecrementDesiredCapacity=False
    )
    told = sandbox.wait(
        lambda: [each for each in sandbox.get("operations?kind=termination&limit=10") if busy in each["title"]],
        60,
        "the console to hear of it",
    )
    done = sandbox.wait(lambda: (o := sandbox.get(f"operations/{told[0]['id']}"))["finished_at"] and o, 400, "its end")
    assert done["state"] == "succeeded", done["outcome"]
    assert "no task lost" in done["outcome"], done["outcome"]
    titles = [step["title"] for step in done["steps"]]
    assert "Ask the group to wait on" in titles, titles  # the work outlasts the hook's 60 s
    assert "Tell the group to go on" in titles, titles
    all_succeeded_at_once(sandbox, run)
    sandbox.wait(lambda: len(found := workers(sandbox, QUEUE)) == 2 and busy not in found, 180, "its successor")
    assert busy not in {each["InstanceId"] for group in client(sandbox, "autoscaling").describe_auto_scaling_groups(
        AutoScalingGroupNames=[GROUP])["AutoScalingGroups"] for each in group["Instances"]}  # fmt: skip

"""Changes of Auto Scaling Groups against moto: what they do, what they refuse, and that none is sent twice."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from console.platform.aws import Clients
from console.platform.compute import Compute
from console.platform.ports import PlatformError
from console.platform.readings import FleetMetric, GroupReading
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.test_aws_compute import make_group


@pytest.fixture
def compute(aws: AwsServer) -> Compute:
    make_group(aws, "cpu")
    made = Compute(Clients(REGION))
    made.set_limits("cpu", 0, 4)
    return made


def group(compute: Compute) -> GroupReading:
    return compute.groups(["cpu"])[0]


def test_the_desired_size_and_the_limits_change(compute: Compute) -> None:
    compute.set_desired("cpu", 3)
    assert (group(compute).desired, len(group(compute).instances)) == (3, 3)
    compute.set_limits("cpu", 1, 6)
    assert (group(compute).minimum, group(compute).maximum) == (1, 6)


@pytest.mark.parametrize("size", [-1, 5])
def test_a_size_outside_the_limits_is_refused(compute: Compute, size: int) -> None:
    with pytest.raises(PlatformError, match=f"takes 0 to 4 instances, not {size}") as raised:
        compute.set_desired("cpu", size)
    assert raised.value.code == "rejected"
    assert group(compute).desired == 2


def test_an_instance_is_replaced_or_taken_away(compute: Compute) -> None:
    first, second = (each.instance_id for each in group(compute).instances)
    compute.terminate("cpu", first, decrement=False)
    assert group(compute).desired == len(group(compute).instances) == 2
    assert first not in {each.instance_id for each in group(compute).instances}
    compute.terminate("cpu", second, decrement=True)
    assert group(compute).desired == len(group(compute).instances) == 1


def test_an_instance_that_has_left_its_group_is_taken_as_done(compute: Compute) -> None:
    first = group(compute).instances[0].instance_id
    compute.terminate("cpu", first, decrement=True)
    compute.terminate("cpu", first, decrement=True)
    assert group(compute).desired == 1


def test_new_instances_get_the_version_that_was_set(aws: AwsServer, compute: Compute) -> None:
    aws.client("ec2").create_launch_template_version(
        LaunchTemplateName="cpu", SourceVersion="1", LaunchTemplateData={"InstanceType": "m7g.xlarge"}
    )
    compute.set_version("cpu", "1")
    assert group(compute).version == "1"
    compute.set_version("cpu", "2")
    assert group(compute).version == "2"


@pytest.mark.parametrize(
    "change",
    [
        lambda compute: compute.set_desired("gone", 1),
        lambda compute: compute.set_version("gone", "1"),
        lambda compute: compute.terminate("gone", "i-1", decrement=True),
    ],
)
def test_a_group_that_is_not_there_is_told(compute: Compute, change: Callable[[Compute], None]) -> None:
    with pytest.raises(PlatformError) as raised:
        change(compute)
    assert raised.value.code == "not_found"


@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("TerminateInstanceInAutoScalingGroup", lambda compute, id: compute.terminate("cpu", id, decrement=True)),
        ("SetDesiredCapacity", lambda compute, id: compute.set_desired("cpu", 3)),
        ("UpdateAutoScalingGroup", lambda compute, id: compute.set_limits("cpu", 0, 5)),
    ],
)
def test_a_change_whose_answer_is_lost_is_not_sent_again(
    aws: AwsServer, compute: Compute, action: str, change: Callable[[Compute, str], None]
) -> None:
    sent: list[str] = []
    moto: Callable[..., Iterable[bytes]] = aws._application

    def lossy(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if parse_qs(body.decode()).get("Action") == [action]:
            sent.append(action)
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return []
        return moto(environ | {"wsgi.input": io.BytesIO(body)}, start_response)

    instance = group(compute).instances[0].instance_id
    aws.instead = lossy
    with pytest.raises(PlatformError):
        change(compute, instance)
    assert sent == [action]


def test_protected_instances_are_told_and_released_again(compute: Compute) -> None:
    first, second = (each.instance_id for each in group(compute).instances)
    compute.protect("cpu", [first, "i-0gone"], protected=True)
    assert {each.instance_id: each.protected for each in group(compute).instances} == {first: True, second: False}
    compute.protect("cpu", [first], protected=False)
    assert not any(each.protected for each in group(compute).instances)


def test_metrics_are_put_by_group_and_queue(aws: AwsServer, compute: Compute) -> None:
    points = (("OutstandingTasks", 12.0), ("BacklogPerWorker", 6.0))
    compute.publish([FleetMetric(name, "cpu", "cpu", value) for name, value in points])
    compute.publish([])
    now = datetime.now(UTC)
    for name, value in points:
        found = aws.client("cloudwatch").get_metric_statistics(
            Namespace="Quarterdeck",
            MetricName=name,
            Dimensions=[{"Name": "AutoScalingGroupName", "Value": "cpu"}, {"Name": "Queue", "Value": "cpu"}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=5),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        assert [point["Maximum"] for point in found] == [value]

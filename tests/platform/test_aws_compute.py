"""Auto Scaling Groups and EC2 against moto's HTTP server."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from console.platform import compute as compute_module
from console.platform.aws import Clients
from console.platform.compute import Compute
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.contracts import ComputeContract


@pytest.fixture
def compute(aws: AwsServer) -> Compute:
    return Compute(Clients(REGION))


def make_group(aws: AwsServer, name: str, size: int = 2, version: str = "$Latest") -> None:
    ec2 = aws.client("ec2")
    data = {"ImageId": "ami-12c6146b", "InstanceType": "m7g.large"}
    ec2.create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)
    aws.client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=name,
        LaunchTemplate={"LaunchTemplateName": name, "Version": version},
        MinSize=0,
        MaxSize=200,
        DesiredCapacity=size,
        AvailabilityZones=[f"{REGION}a"],
    )


class TestTheContract(ComputeContract):
    @pytest.fixture
    def groups(self, aws: AwsServer) -> list[str]:
        for name in ("one", "two", "not-ours"):
            make_group(aws, name, size=1)
        return ["one", "two"]


def test_a_group_has_its_sizes_and_its_instances_with_their_addresses(aws: AwsServer, compute: Compute) -> None:
    make_group(aws, "cpu")
    (group,) = compute.groups(["cpu"])
    assert (group.name, group.minimum, group.maximum, group.desired) == ("cpu", 0, 200, 2)
    assert len(group.instances) == 2
    for instance in group.instances:
        assert instance.instance_id.startswith("i-")
        assert (instance.lifecycle, instance.health) == ("InService", "Healthy")
        assert instance.zone == f"{REGION}a"
        assert instance.instance_type == "m7g.large"
        assert instance.launched_at is not None
        assert instance.launched_at.tzinfo is UTC
        assert instance.private_ip is not None
        assert not instance.protected


def test_symbolic_versions_of_the_launch_template_are_resolved(aws: AwsServer, compute: Compute) -> None:
    make_group(aws, "latest")
    make_group(aws, "default", version="$Default")
    ec2 = aws.client("ec2")
    for name in ("latest", "default"):
        ec2.create_launch_template_version(
            LaunchTemplateName=name, SourceVersion="1", LaunchTemplateData={"InstanceType": "m7g.xlarge"}
        )
    latest, default = compute.groups(["latest", "default"])
    assert latest.version == "2"
    assert default.version == "1"


def test_no_names_ask_nothing(aws: AwsServer, compute: Compute) -> None:
    make_group(aws, "one")
    before = aws.requests()
    assert compute.groups([]) == ()
    assert aws.requests() == before


def test_more_groups_and_instances_than_fit_one_call(
    aws: AwsServer, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compute_module, "GROUPS_PER_CALL", 2)
    monkeypatch.setattr(compute_module, "INSTANCES_PER_CALL", 3)
    for number in range(5):
        make_group(aws, f"group-{number}", size=number)
    groups = compute.groups([f"group-{number}" for number in range(5)])
    assert [len(group.instances) for group in groups] == [0, 1, 2, 3, 4]
    assert all(instance.private_ip for group in groups for instance in group.instances)


def test_an_instance_that_ec2_does_not_know_yet_is_shown_without_its_machine(
    aws: AwsServer, compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(aws, "cpu")

    def nothing(*_: Any) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(compute, "_machines", nothing)
    (group,) = compute.groups(["cpu"])
    assert [(each.launched_at, each.private_ip) for each in group.instances] == [(None, None)] * 2

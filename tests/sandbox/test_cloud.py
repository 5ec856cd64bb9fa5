"""Which bodies there must be, as EC2 tells it."""

from __future__ import annotations

from typing import Any

from console.sandbox.cloud import Body, bodies


def instance(name: str, state: str = "running", **tags: str) -> dict[str, Any]:
    return {
        "InstanceId": name,
        "State": {"Name": state},
        "Tags": [{"Key": key.replace("__", ":"), "Value": value} for key, value in tags.items()],
    }


def test_each_running_instance_of_a_group_is_a_worker_of_its_queue() -> None:
    one = instance("i-1", queue="io", concurrency="16", aws__autoscaling__groupName="sandbox-io")
    assert bodies([{"Instances": [one]}]) == [Body("i-1", "io", 16)]


def test_what_is_not_running_or_in_no_group_has_no_body() -> None:
    group = {"aws__autoscaling__groupName": "sandbox-io"}
    found = bodies(
        [
            {"Instances": [instance("i-1", "terminated", queue="io", **group)]},
            {"Instances": [instance("i-2", "pending", queue="io", **group)]},
            {"Instances": [instance("i-3", queue="io"), instance("i-4", **group)]},
        ]
    )  # fmt: skip
    assert found == []

"""`python -m console.sandbox.cloud`: gives every running instance of an Auto Scaling Group a body.

It looks at EC2 and tells the supervisor which bodies there must be: the supervisor starts those that are missing and
kills those whose instance is gone. While AWS can't be reached nothing changes: an outage of its API ends no instance.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import asdict, dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from console.sandbox import control
from console.sandbox.home import Home

INTERVAL_S = 1.0
GROUP_TAG = "aws:autoscaling:groupName"


@dataclass(frozen=True)
class Body:
    """A Celery worker that stands for an instance."""

    instance: str
    queue: str
    concurrency: int


def bodies(reservations: list[dict[str, Any]]) -> list[Body]:
    """The bodies for a DescribeInstances answer: one for each running instance of a group, as its tags say."""
    found = []
    for instance in (instance for reservation in reservations for instance in reservation["Instances"]):
        tags = {tag["Key"]: tag["Value"] for tag in instance.get("Tags", [])}
        if instance["State"]["Name"] == "running" and GROUP_TAG in tags and "queue" in tags:
            found.append(Body(instance["InstanceId"], tags["queue"], int(tags.get("concurrency", "2"))))
    return sorted(found, key=lambda body: (body.queue, body.instance))


def main() -> None:
    home = Home.of_environment(os.environ)
    ec2 = boto3.client("ec2", config=Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0}))
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    was_away = False
    while True:
        try:
            wanted = bodies(ec2.describe_instances(Filters=running)["Reservations"])
            asyncio.run(control.ask(home, {"do": "bodies", "bodies": [asdict(body) for body in wanted]}))
            was_away = False
        except (BotoCoreError, ClientError, OSError, control.Refused) as error:
            if not was_away:
                print(f"{type(error).__name__}: {error}", flush=True)
            was_away = True
        time.sleep(INTERVAL_S)


if __name__ == "__main__":
    main()

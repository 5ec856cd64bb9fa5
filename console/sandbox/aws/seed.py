"""`python -m console.sandbox.aws.seed URL DECLARATION PORTS_JSON`: make the account that platform.yaml declares.

The groups, the datastores and the replication task, all through AWS' own API. A program of its own: what boto3 loads
for it need not stay in the endpoint's memory.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml

ZONES = ("a", "b", "c")
IMAGE = "ami-0abcdef1234567890"
FILES = "platform-files"
"""The bucket of the files that tasks hand to each other."""
TERMINATIONS = "terminations"
"""The SQS queue to which a group's termination hook writes. No group has one from the start: a journey gives it one."""


@dataclass(frozen=True)
class Fleet:
    """One Auto Scaling Group of Celery workers, as platform.yaml declares it."""

    queue: str
    group: str
    instance_type: str
    concurrency: int
    baseline: int
    max: int


def tags(group: str, values: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {
            "ResourceId": group, "ResourceType": "auto-scaling-group", "Key": key, "Value": value,
            "PropagateAtLaunch": True,
        }
        for key, value in values.items()
    ]  # fmt: skip


def seed(url: str, region: str, fleets: tuple[Fleet, ...], ports: dict[str, int]) -> None:
    """Create everything through AWS' own API, at the moto server behind `url`."""

    def client(service: str) -> Any:
        return boto3.client(
            service, region_name=region, endpoint_url=url, aws_access_key_id="seed", aws_secret_access_key="seed"
        )

    ec2 = client("ec2")
    subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
    by_zone = {subnet["AvailabilityZone"]: subnet["SubnetId"] for subnet in subnets}
    zones = ",".join(by_zone[f"{region}{zone}"] for zone in ZONES)
    autoscaling = client("autoscaling")
    for fleet in fleets:
        template = f"{fleet.group}-worker"
        ec2.create_launch_template(
            LaunchTemplateName=template,
            VersionDescription="1",
            LaunchTemplateData={"ImageId": IMAGE, "InstanceType": fleet.instance_type},
        )
        autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=fleet.group,
            LaunchTemplate={"LaunchTemplateName": template, "Version": "$Latest"},
            MinSize=0,
            MaxSize=fleet.max,
            DesiredCapacity=fleet.baseline,
            VPCZoneIdentifier=zones,
            Tags=tags(
                fleet.group,
                {"Name": f"{fleet.group}-worker", "queue": fleet.queue, "concurrency": str(fleet.concurrency)},
            ),
        )
    client("rds").create_db_instance(
        DBInstanceIdentifier="airflow-metadata",
        DBInstanceClass="db.m7g.large",
        Engine="postgres",
        EngineVersion="16.4",
        MasterUsername="airflow",
        MasterUserPassword="in-secrets-manager",
        DBName="airflow",
        AllocatedStorage=100,
        MultiAZ=True,
        AvailabilityZone=f"{region}a",
    )
    client("elasticache").create_replication_group(
        ReplicationGroupId="airflow-queue",
        ReplicationGroupDescription="Airflow's Celery broker",
        Engine="redis",
        EngineVersion="7.1",
        CacheNodeType="cache.m7g.large",
        AutomaticFailoverEnabled=True,
        MultiAZEnabled=True,
        NumNodeGroups=1,
        ReplicasPerNodeGroup=2,
        PreferredCacheClusterAZs=[f"{region}{zone}" for zone in ZONES],
    )
    client("s3").create_bucket(Bucket=FILES, CreateBucketConfiguration={"LocationConstraint": region})
    client("sqs").create_queue(QueueName=TERMINATIONS)
    dms = client("dms")
    target = _endpoint(dms, "target", "warehouse", "redshift", "loader", ports["warehouse"])
    for source in ("shop", "billing"):
        _seed_replication(dms, region, source, target, ports["postgres"])


def _endpoint(dms: Any, kind: str, name: str, engine: str, user: str, port: int) -> str:
    arn: str = dms.create_endpoint(
        EndpointIdentifier=name, EndpointType=kind, EngineName=engine, Username=user, Password="in-secrets-manager",
        ServerName="127.0.0.1", Port=port, DatabaseName=name,
    )["Endpoint"]["EndpointArn"]  # fmt: skip
    return arn


def _seed_replication(dms: Any, region: str, source: str, target: str, port: int) -> None:
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier=f"{source}-replication", ReplicationInstanceClass="dms.t3.medium",
        AllocatedStorage=50, AvailabilityZone=f"{region}a", MultiAZ=False, EngineVersion="3.5.4",
    )["ReplicationInstance"]  # fmt: skip
    origin = _endpoint(dms, "source", source, "postgres", source, port)
    mappings = {
        "rules": [
            {
                "rule-type": "selection", "rule-id": str(number), "rule-name": schema, "rule-action": "include",
                "object-locator": {"schema-name": schema, "table-name": "%"},
            }
            for number, schema in enumerate(("public", "quarterdeck"), start=1)
        ]
    }  # fmt: skip
    task = dms.create_replication_task(
        ReplicationTaskIdentifier=f"{source}-cdc",
        SourceEndpointArn=origin,
        TargetEndpointArn=target,
        ReplicationInstanceArn=instance["ReplicationInstanceArn"],
        MigrationType="full-load-and-cdc",
        TableMappings=json.dumps(mappings),
        ReplicationTaskSettings="{}",
    )["ReplicationTask"]
    dms.start_replication_task(
        ReplicationTaskArn=task["ReplicationTaskArn"], StartReplicationTaskType="start-replication"
    )


def fleets_of(declaration: dict[str, Any]) -> tuple[Fleet, ...]:
    names = ("queue", "group", "instance_type", "concurrency", "baseline", "max")
    return tuple(Fleet(**{name: fleet[name] for name in names}) for fleet in declaration["fleets"])


def main() -> None:
    url, declaration, ports = sys.argv[1], yaml.safe_load(Path(sys.argv[2]).read_text()), json.loads(sys.argv[3])
    seed(url, declaration["region"], fleets_of(declaration), ports)


if __name__ == "__main__":
    main()

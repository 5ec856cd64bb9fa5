"""The sandbox's AWS account at its start: the groups, the datastores and the replication task of platform.yaml."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3
from moto.dms import dms_backends
from moto.rds import rds_backends

from console.sandbox.aws.services import ACCOUNT, TASK_RESOURCE_ID

ZONES = ("a", "b", "c")
IMAGE = "ami-0abcdef1234567890"


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
    rds_backends[ACCOUNT][region].databases["airflow-metadata"].secondary_availability_zone = f"{region}b"
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
    _seed_replication(client("dms"), region, ports)


def _seed_replication(dms: Any, region: str, ports: dict[str, int]) -> None:
    instance = dms.create_replication_instance(
        ReplicationInstanceIdentifier="shop-replication", ReplicationInstanceClass="dms.t3.medium",
        AllocatedStorage=50, AvailabilityZone=f"{region}a", MultiAZ=False, EngineVersion="3.5.4",
    )["ReplicationInstance"]  # fmt: skip
    ends = {
        kind: dms.create_endpoint(
            EndpointIdentifier=name, EndpointType=kind, EngineName=engine, Username=user, Password="in-secrets-manager",
            ServerName="127.0.0.1", Port=port, DatabaseName=database,
        )["Endpoint"]["EndpointArn"]
        for kind, name, engine, user, port, database in (
            ("source", "shop", "postgres", "shop", ports["postgres"], "shop"),
            ("target", "warehouse", "redshift", "loader", ports["warehouse"], "warehouse"),
        )
    }  # fmt: skip
    mappings = {
        "rules": [
            {
                "rule-type": "selection", "rule-id": "1", "rule-name": "all", "rule-action": "include",
                "object-locator": {"schema-name": "public", "table-name": "%"},
            }
        ]
    }  # fmt: skip
    task = dms.create_replication_task(
        ReplicationTaskIdentifier="shop-cdc",
        SourceEndpointArn=ends["source"],
        TargetEndpointArn=ends["target"],
        ReplicationInstanceArn=instance["ReplicationInstanceArn"],
        MigrationType="full-load-and-cdc",
        TableMappings=json.dumps(mappings),
        ReplicationTaskSettings="{}",
    )["ReplicationTask"]
    # AWS ends a task's ARN in a resource id, moto in the task's name: the console must not rely on the name.
    tasks = dms_backends[ACCOUNT][region].replication_tasks
    kept = tasks.pop(task["ReplicationTaskArn"])
    kept.arn = kept.arn.rpartition(":")[0] + f":{TASK_RESOURCE_ID}"
    tasks[kept.arn] = kept
    dms.start_replication_task(ReplicationTaskArn=kept.arn, StartReplicationTaskType="start-replication")

"""RDS and ElastiCache against moto's HTTP server."""

from __future__ import annotations

import pytest

from console.platform.aws import Clients
from console.platform.datastores import Datastores
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.contracts import DatastoresContract


@pytest.fixture
def datastores(aws: AwsServer) -> Datastores:
    return Datastores(Clients(REGION))


def make_instance(aws: AwsServer) -> None:
    aws.client("rds").create_db_instance(
        DBInstanceIdentifier="airflow-metadata",
        DBInstanceClass="db.m7g.large",
        Engine="postgres",
        EngineVersion="17.2",
        MultiAZ=True,
        AllocatedStorage=20,
        MasterUsername="airflow",
        MasterUserPassword="not-a-real-one",
        AvailabilityZone=f"{REGION}a",
    )


def make_cache(aws: AwsServer) -> None:
    aws.client("elasticache").create_replication_group(
        ReplicationGroupId="airflow-queue",
        ReplicationGroupDescription="the queue",
        Engine="redis",
        NumNodeGroups=1,
        ReplicasPerNodeGroup=2,
        MultiAZEnabled=True,
        AutomaticFailoverEnabled=True,
    )


class TestTheContract(DatastoresContract):
    @pytest.fixture
    def stores(self, aws: AwsServer) -> list[tuple[str, str, str]]:
        make_instance(aws)
        make_cache(aws)
        return [("queue", "elasticache", "airflow-queue"), ("metadata-db", "rds", "airflow-metadata")]


def test_a_multi_az_instance(aws: AwsServer, datastores: Datastores) -> None:
    make_instance(aws)
    (found,) = datastores.datastores([("metadata-db", "rds", "airflow-metadata")])
    assert (found.id, found.kind, found.identifier) == ("metadata-db", "rds", "airflow-metadata")
    assert found.engine == "postgres 17.2"
    assert found.status == "available"
    assert found.multi_az is True
    assert found.primary_zone == f"{REGION}a"
    assert found.endpoint is not None
    assert found.endpoint.startswith("airflow-metadata.")
    assert "not-a-real-one" not in repr(found)


def test_an_aurora_cluster_has_a_writer_and_readers(aws: AwsServer, datastores: Datastores) -> None:
    rds = aws.client("rds")
    rds.create_db_cluster(
        DBClusterIdentifier="meta", Engine="aurora-postgresql", MasterUsername="a", MasterUserPassword="not-a-real-one"
    )
    for name, zone in (("meta-1", "a"), ("meta-2", "b")):
        rds.create_db_instance(
            DBInstanceIdentifier=name,
            DBClusterIdentifier="meta",
            DBInstanceClass="db.r7g.large",
            Engine="aurora-postgresql",
            AvailabilityZone=f"{REGION}{zone}",
        )
    (found,) = datastores.datastores([("metadata-db", "rds", "meta")])
    assert found.engine.startswith("aurora-postgresql")
    assert (found.primary, found.primary_zone) == ("meta-1", f"{REGION}a")
    assert (found.replicas, found.standby_zone) == (1, f"{REGION}b")


def test_a_replication_group(aws: AwsServer, datastores: Datastores) -> None:
    make_cache(aws)
    (found,) = datastores.datastores([("queue", "elasticache", "airflow-queue")])
    assert (found.engine, found.status, found.multi_az) == ("redis", "available", True)
    assert found.replicas == 2


def test_none_declared_asks_nothing(aws: AwsServer, datastores: Datastores) -> None:
    before = aws.requests()
    assert datastores.datastores([]) == ()
    assert aws.requests() == before

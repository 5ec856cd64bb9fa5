"""RDS instances, Aurora clusters and ElastiCache replication groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from botocore.exceptions import ClientError

from console.platform.aws import POLL_S, Clients, rows
from console.platform.budget import Budget
from console.platform.readings import DatastoreReading

_ABSENT = frozenset(
    {
        "DBInstanceNotFound",
        "DBInstanceNotFoundFault",
        "DBClusterNotFound",
        "DBClusterNotFoundFault",
        "ReplicationGroupNotFoundFault",
    }
)


class Datastores:
    """The platform's databases and caches in one region. Safe for threads. Raises PlatformError."""

    def __init__(self, clients: Clients, *, poll_s: float = POLL_S) -> None:
        self._clients = clients
        self._poll_s = poll_s

    def datastores(self, wanted: Sequence[tuple[str, str, str]]) -> tuple[DatastoreReading, ...]:
        """Those that exist of `(id, kind, identifier)`, in that order; kind is `rds` or `elasticache`."""
        budget = Budget("AWS RDS and ElastiCache", self._poll_s)
        found = (self._one(id, kind, identifier, budget) for id, kind, identifier in wanted)
        return tuple(reading for reading in found if reading)

    def _one(self, id: str, kind: str, identifier: str, budget: Budget) -> DatastoreReading | None:
        if kind == "elasticache":
            action = "elasticache:DescribeReplicationGroups"
            group = self._described(
                kind,
                "describe_replication_groups",
                action,
                "ReplicationGroups",
                budget,
                ReplicationGroupId=identifier,
            )
            return _cache(id, identifier, group) if group else None
        action = "rds:DescribeDBInstances"
        instance = self._described(
            "rds", "describe_db_instances", action, "DBInstances", budget, DBInstanceIdentifier=identifier
        )
        if instance:
            return _instance(id, identifier, instance)
        action = "rds:DescribeDBClusters"
        cluster = self._described(
            "rds", "describe_db_clusters", action, "DBClusters", budget, DBClusterIdentifier=identifier
        )
        return _cluster(id, identifier, cluster, self._zones(identifier, budget)) if cluster else None

    def _described(
        self, service: str, operation: str, action: str, key: str, budget: Budget, **arguments: str
    ) -> dict[str, Any] | None:
        """The one thing that is asked for, None where AWS says that it does not exist."""
        try:
            return next(rows(self._clients, service, operation, action, key, budget, leave=_ABSENT, **arguments), None)
        except ClientError:
            return None

    def _zones(self, cluster: str, budget: Budget) -> dict[str, str]:
        """The zone of each member of a cluster."""
        members = rows(
            self._clients,
            "rds",
            "describe_db_instances",
            "rds:DescribeDBInstances",
            "DBInstances",
            budget,
            Filters=[{"Name": "db-cluster-id", "Values": [cluster]}],
        )
        return {row["DBInstanceIdentifier"]: row.get("AvailabilityZone") or "" for row in members}


def _instance(id: str, identifier: str, row: dict[str, Any]) -> DatastoreReading:
    address = row.get("Endpoint", {})
    return DatastoreReading(
        id=id,
        kind="rds",
        identifier=identifier,
        engine=_engine(row),
        status=str(row.get("DBInstanceStatus") or ""),
        multi_az=row.get("MultiAZ"),
        primary=row.get("DBInstanceIdentifier"),
        primary_zone=row.get("AvailabilityZone"),
        standby_zone=row.get("SecondaryAvailabilityZone"),
        replicas=len(row.get("ReadReplicaDBInstanceIdentifiers") or []),
        endpoint=_endpoint(address),
    )


def _cluster(id: str, identifier: str, row: dict[str, Any], zones: dict[str, str]) -> DatastoreReading:
    members = row.get("DBClusterMembers") or []
    writer = next((member["DBInstanceIdentifier"] for member in members if member.get("IsClusterWriter")), None)
    readers = sorted(
        (member.get("PromotionTier", 99), member["DBInstanceIdentifier"])
        for member in members
        if not member.get("IsClusterWriter")
    )
    return DatastoreReading(
        id=id,
        kind="rds",
        identifier=identifier,
        engine=_engine(row),
        status=str(row.get("Status") or ""),
        multi_az=row.get("MultiAZ"),
        primary=writer,
        primary_zone=(zones.get(writer) or None) if writer else None,
        standby_zone=(zones.get(readers[0][1]) or None) if readers else None,
        replicas=len(readers),
        endpoint=_endpoint({"Address": row.get("Endpoint"), "Port": row.get("Port")}),
    )


def _cache(id: str, identifier: str, row: dict[str, Any]) -> DatastoreReading:
    """One shard is shown; where there are several, roles are not told and replicas are counted over all."""
    shards = row.get("NodeGroups") or []
    members = [member for shard in shards for member in shard.get("NodeGroupMembers") or []]
    primary = next((each for each in members if each.get("CurrentRole") == "primary"), None)
    replica = next((each for each in members if each.get("CurrentRole") == "replica"), None)
    address = row.get("ConfigurationEndpoint") or (shards[0].get("PrimaryEndpoint") if shards else None) or {}
    status = {"enabled": True, "disabled": False}
    return DatastoreReading(
        id=id,
        kind="elasticache",
        identifier=identifier,
        engine=str(row.get("Engine") or "redis"),
        status=str(row.get("Status") or ""),
        multi_az=status.get(str(row.get("MultiAZ") or "")),
        primary=primary.get("CacheClusterId") if primary else None,
        primary_zone=primary.get("PreferredAvailabilityZone") if primary else None,
        standby_zone=replica.get("PreferredAvailabilityZone") if replica else None,
        replicas=max(len(members) - len(shards), 0),
        endpoint=_endpoint(address),
    )


def _engine(row: dict[str, Any]) -> str:
    return " ".join(str(row[key]) for key in ("Engine", "EngineVersion") if row.get(key))


def _endpoint(address: dict[str, Any]) -> str | None:
    return f"{address['Address']}:{address.get('Port') or ''}".rstrip(":") if address.get("Address") else None

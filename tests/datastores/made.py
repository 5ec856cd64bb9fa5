"""Made-up datastores, as AWS would tell them."""

from __future__ import annotations

from datetime import datetime

from console.datastores.poll import save_datastores
from console.platform.models import remember_success
from console.platform.readings import DatastoreReading
from console.platform.sources import DATASTORES

RDS = DatastoreReading(
    id="metadata-db",
    kind="rds",
    identifier="airflow-metadata",
    engine="postgres 18.1",
    status="available",
    multi_az=True,
    primary="airflow-metadata",
    primary_zone="eu-north-1a",
    standby_zone="eu-north-1b",
    replicas=0,
    endpoint="airflow-metadata.example.eu-north-1.rds.amazonaws.com:5432",
)
CACHE = DatastoreReading(
    id="queue",
    kind="elasticache",
    identifier="airflow-queue",
    engine="redis",
    status="available",
    multi_az=True,
    primary="airflow-queue-001",
    primary_zone="eu-north-1b",
    standby_zone="eu-north-1c",
    replicas=2,
    endpoint=None,
)


def polled(at: datetime, *readings: DatastoreReading) -> None:
    """A good poll of RDS and ElastiCache, begun at `at`."""
    save_datastores(readings, at)
    remember_success(DATASTORES.name, at, 0.1)

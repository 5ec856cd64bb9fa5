"""The things that are watched: each polled on its own, each with its own age.

`interval_s` is how often it is read, `limit_s` the age past which what it told counts as unknown.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SourceSpec:
    name: str
    title: str  # "Airflow's task instances": how a sentence names it
    system: str  # airflow, broker, aws, warehouse, source, console
    task: str  # the Celery task that polls it; "" for the watcher's
    interval_s: float
    limit_s: float


SCHEDULER = SourceSpec("airflow.scheduler", "Airflow's scheduler", "airflow", "console.scheduler.tasks.poll", 3, 15)
TASKS = SourceSpec("airflow.tasks", "Airflow's task instances", "airflow", "console.fleets.tasks.poll_tasks", 2, 15)
POOLS = SourceSpec("airflow.pools", "Airflow's pools", "airflow", "console.pools.tasks.poll", 5, 20)
QUEUES = SourceSpec("broker.queues", "the broker's queues", "broker", "console.fleets.tasks.poll_queues", 2, 15)
WORKERS = SourceSpec("broker.workers", "the workers' answers", "broker", "console.fleets.tasks.poll_workers", 5, 20)
HEARTBEATS = SourceSpec("broker.heartbeats", "the workers' heartbeats", "broker", "", 1, 10)
COMPUTE = SourceSpec("aws.compute", "the Auto Scaling Groups", "aws", "console.fleets.tasks.poll_compute", 5, 20)
REPLICATION = SourceSpec("aws.dms", "the DMS tasks", "aws", "console.freshness.tasks.poll_replication", 10, 25)
DATASTORES = SourceSpec("aws.datastores", "RDS and ElastiCache", "aws", "console.datastores.tasks.poll", 10, 25)
WAREHOUSE = SourceSpec("warehouse", "the warehouse", "warehouse", "console.freshness.tasks.poll_warehouse", 5, 20)
ORIGINS = SourceSpec("sources", "the source databases", "source", "console.freshness.tasks.poll_origins", 5, 20)
AGENTS = SourceSpec("agents", "the scheduler agents", "lease", "console.scheduler.tasks.poll_agents", 2, 15)
"""Polled only where a lease store is declared; shown where the scheduler is shown, and not among what must be seen."""
BEATS = SourceSpec("beats", "the heartbeats at the sources", "source", "console.freshness.tasks.write_beats", 10, 60)
ARRIVALS = SourceSpec("arrivals", "the heartbeats in the warehouse", "warehouse", "", 10, 30)
"""Written and read where sources and tasks are declared; what they prove is in each table's own verdict."""

SOURCES: dict[str, SourceSpec] = {
    spec.name: spec
    for spec in (
        SCHEDULER,
        TASKS,
        POOLS,
        QUEUES,
        WORKERS,
        HEARTBEATS,
        COMPUTE,
        REPLICATION,
        DATASTORES,
        WAREHOUSE,
        ORIGINS,
    )
}

"""The one source that fleets add to the platform's: their own judgement, which can fall behind like any other."""

from __future__ import annotations

from console.platform.sources import COMPUTE, HEARTBEATS, QUEUES, TASKS, WORKERS, SourceSpec

JUDGED = SourceSpec("console.workers", "the judgement of the workers", "console", "console.fleets.tasks.judge", 2, 12)

SCALED = SourceSpec(
    "console.scaling", "the autoscaler's decisions", "console", "console.fleets.scaling.tasks.decide", 15, 60
)
SCHEDULES = SourceSpec(
    "airflow.schedules", "Airflow's schedules", "airflow", "console.fleets.scaling.tasks.poll_schedules", 60, 300
)
PUBLISHED = SourceSpec(
    "aws.metrics", "the fleets' metrics in CloudWatch", "aws", "console.fleets.scaling.tasks.publish", 15, 90
)
NOTICES = SourceSpec(
    "aws.terminations", "the groups' announced terminations", "aws", "console.fleets.scaling.tasks.poll_notices", 5, 30
)

FLEET_SOURCES = (TASKS, QUEUES, WORKERS, HEARTBEATS, COMPUTE, JUDGED)

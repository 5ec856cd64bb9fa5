"""Made-up Airflows: jobs and health as its API would tell them."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.platform.models import remember_success
from console.platform.readings import ComponentHealth, JobReading, SchedulerReading
from console.platform.rules import Sight, SourceState, sight
from console.platform.sources import SCHEDULER
from console.scheduler.rules import Memory, Verdict, judge, remember
from console.scheduler.verdicts import Declared

TWO = Declared(("scheduler-a", "scheduler-b"))
BOTH = Declared(("scheduler-a", "scheduler-b"), active_active=True)
KINDS = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob", "dag-processor": "DagProcessorJob"}


def job(
    number: int,
    host: str,
    heartbeat_at: datetime | None,
    *,
    kind: str = "scheduler",
    state: str = "running",
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> JobReading:
    began = started_at or (heartbeat_at - timedelta(hours=2) if heartbeat_at else None)
    return JobReading(number, KINDS[kind], host, state, began, ended_at, heartbeat_at)


def airflow(*jobs: JobReading, database: str | None = "healthy", **more: int | None) -> SchedulerReading:
    components = (ComponentHealth("metadatabase", database, None),)
    return SchedulerReading("3.3.2", components, jobs, more.get("dags", 12), more.get("import_errors", 0))


def helpers(at: datetime) -> tuple[JobReading, JobReading]:
    return job(90, "triggerer-1", at, kind="triggerer"), job(91, "dag-processor-1", at, kind="dag-processor")


def seen(now: datetime, as_of: datetime | None = None) -> Sight:
    return sight(SCHEDULER, SourceState(as_of=as_of or now), now)


def verdict(
    now: datetime, *jobs: JobReading, declared: Declared = TWO, memory: Memory | None = None, **more: str | None
) -> Verdict:
    """The verdict on one reading begun at `now`."""
    reading = airflow(*jobs, **more)  # type: ignore[arg-type]
    after, _ = remember(memory or Memory(), reading, now, declared)
    return judge(reading, after, declared, seen(now), now)


def polled(at: datetime, reading: SchedulerReading) -> None:
    """A good poll of Airflow's scheduler, begun at `at`, saved."""
    from console.scheduler.poll import save_scheduler

    save_scheduler(reading, at)
    remember_success(SCHEDULER.name, at, 0.1)

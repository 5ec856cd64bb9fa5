"""When: Celery tasks of the scheduler."""

from __future__ import annotations

from celery import shared_task

from console.platform import connect
from console.platform.poll import take
from console.platform.sources import SCHEDULER
from console.scheduler.poll import save_scheduler


@shared_task
def poll() -> None:
    take(SCHEDULER, connect.airflow().scheduler, save_scheduler)

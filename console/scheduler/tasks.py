"""When: Celery tasks of the scheduler."""

from __future__ import annotations

from celery import shared_task

from console.platform import connect
from console.platform.declared import declaration
from console.platform.poll import take
from console.platform.sources import AGENTS, SCHEDULER
from console.scheduler.agents import save_agents
from console.scheduler.poll import save_scheduler
from console.scheduler.takeover_kind import LEASE


@shared_task
def poll() -> None:
    take(SCHEDULER, connect.airflow().scheduler, save_scheduler)


@shared_task
def poll_agents() -> None:
    """Where no lease store is declared there are no agents to ask."""
    if declaration().lease_url:
        take(AGENTS, lambda: connect.agents().leases(LEASE), save_agents)

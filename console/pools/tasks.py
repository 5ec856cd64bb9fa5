"""When: Celery tasks of the pools."""

from __future__ import annotations

from celery import shared_task

from console.platform import connect
from console.platform.poll import take
from console.platform.sources import POOLS
from console.pools.poll import save_pools


@shared_task
def poll() -> None:
    take(POOLS, connect.airflow().pools, save_pools)

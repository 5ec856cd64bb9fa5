"""Made-up pools, as Airflow would tell them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from console.platform.models import remember_success
from console.platform.readings import PoolReading
from console.platform.sources import POOLS
from console.pools.poll import save_pools

DEFAULT = PoolReading(
    name="default_pool",
    slots=128,
    description="Everything without a pool",
    include_deferred=False,
    running=64,
    queued=9,
    scheduled=0,
    deferred=21,
    occupied=73,
    open=55,
)
MERGE = PoolReading(
    name="warehouse_merge",
    slots=32,
    description="Merges into the warehouse",
    include_deferred=True,
    running=28,
    queued=2,
    scheduled=11,
    deferred=2,
    occupied=32,
    open=0,
)
FREE = replace(DEFAULT, name="free", slots=-1, description="", open=-1, running=3, queued=0, deferred=0, occupied=3)


def seen(at: datetime, *readings: PoolReading) -> None:
    """A good poll of Airflow's pools, begun at `at`."""
    save_pools(readings, at)
    remember_success(POOLS.name, at, 0.1)

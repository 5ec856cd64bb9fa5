"""Airflow's pools → snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.platform.readings import PoolReading
from console.platform.sources import POOLS
from console.pools.models import PoolSnapshot
from console.pools.rules import starves, starving_since

_SEEN = [
    "slots",
    "description",
    "include_deferred",
    "running",
    "queued",
    "scheduled",
    "deferred",
    "occupied",
    "open",
    "as_of",
    "starving_since",
]


def save_pools(readings: Sequence[PoolReading], as_of: datetime) -> None:
    """Remember every pool of the reading, and forget those that are no longer in it."""
    before = {row.name: row for row in PoolSnapshot.objects.all()}
    rows = []
    for reading in sorted(readings, key=lambda reading: reading.name):
        previous = before.pop(reading.name, None)
        rows.append(
            PoolSnapshot(
                name=reading.name,
                slots=reading.slots,
                description=reading.description,
                include_deferred=reading.include_deferred,
                running=reading.running,
                queued=reading.queued,
                scheduled=reading.scheduled,
                deferred=reading.deferred,
                occupied=reading.occupied,
                open=reading.open,
                as_of=as_of,
                starving_since=starving_since(
                    previous.starving_since if previous else None,
                    previous.as_of if previous else None,
                    starves(reading.slots, reading.scheduled, reading.open),
                    as_of,
                    POOLS.limit_s,
                ),
            )
        )
    PoolSnapshot.objects.bulk_create(rows, update_conflicts=True, unique_fields=["name"], update_fields=_SEEN)
    if before:
        PoolSnapshot.objects.filter(name__in=list(before)).delete()

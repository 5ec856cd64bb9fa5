"""The fleets' figures as time series: `fleet.QUEUE.queued`, `.running`, `.slots`, `.workers_in_service`, …"""

from __future__ import annotations

from datetime import datetime

from console.fleets.facts import Sights, bounds_of, demand_of, supply_of
from console.fleets.models import GroupSnapshot, QueueSnapshot, Watch
from console.fleets.names import series_name
from console.fleets.poll import declared_queues
from console.history import series

__all__ = ["record", "samples_of", "series_name"]

RECORDED_LIMIT = 100
"""Undeclared queues that have series: those with work, most of it first."""
STATES = ("in_service", "launching", "draining", "lost", "stuck")


def samples_of(row: QueueSnapshot, groups: dict[str, GroupSnapshot], sights: Sights) -> list[series.Sample]:
    """The points of one queue; what can't be seen is None, and becomes a gap."""
    demand, supply, bounds = demand_of(row, sights), supply_of(row, sights), bounds_of(row.queue, groups, sights)
    seen = supply.in_service is not None
    figures: dict[str, float | None] = {
        "outstanding": demand.queued,
        "running": demand.running,
        "depth": demand.depth,
        "slots": supply.slots,
        "desired": bounds.desired,
    }
    figures |= {f"workers_{state}": getattr(supply, state) if seen else None for state in STATES}
    return [(series_name(row.queue, what), value) for what, value in figures.items()]


def record(now: datetime) -> None:
    """One point for each figure of the declared queues and the busiest others, and of the watcher."""
    sights = Sights.at(now)
    declared = declared_queues()
    busy = QueueSnapshot.objects.exclude(queue__in=declared).exclude(queued=None).exclude(queued=0, running=0)
    rows = [*QueueSnapshot.objects.filter(queue__in=declared), *busy.order_by("-running", "queue")[:RECORDED_LIMIT]]
    groups = GroupSnapshot.objects.in_bulk()
    samples = [sample for row in rows for sample in samples_of(row, groups, sights)]
    watch = Watch.objects.first()
    if watch is not None and sights.heartbeats.seen:
        samples.append(("watch.lag_s", watch.lag_s))
    series.record(samples, now)

"""Mode publish: the group's own target tracking decides, by metrics that only the console can tell it.

`OutstandingTasks` are queued and running tasks, `BacklogPerWorker` the same by worker in service (by one without any).
What can't be seen is not published: a policy then keeps what it has.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from console.fleets.scaling.facts import Look, look_at, scaled_fleets
from console.fleets.scaling.switch import mode_of, switches
from console.platform.readings import FleetMetric


def metrics(now: datetime) -> list[FleetMetric] | None:
    """The points of now; None where no fleet is in this mode."""
    found = switches()
    fleets = [fleet for fleet in scaled_fleets() if mode_of(fleet, found.get(fleet.queue), now) == "publish"]
    if not fleets:
        return None
    return [metric for look in look_at(fleets, now) for metric in metrics_of(look)]


def metrics_of(look: Look) -> Iterable[FleetMetric]:
    queued, running, in_service = look.demand.queued, look.demand.running, look.supply.in_service
    if look.blind or queued is None or running is None:
        return
    group, queue, tasks = look.fleet.group, look.fleet.queue, float(queued + running)
    yield FleetMetric("OutstandingTasks", group, queue, tasks)
    if in_service is not None:
        yield FleetMetric("BacklogPerWorker", group, queue, tasks / max(1, in_service))

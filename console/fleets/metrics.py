"""The fleets' figures for Prometheus. Labels are bounded: declared queues by name, all others together."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from prometheus_client.metrics_core import Metric

from console.fleets.facts import Sights
from console.fleets.figures import Fleet, fleet_of, totals
from console.fleets.models import GroupSnapshot, QueueSnapshot, Watch
from console.fleets.poll import declared_queues
from console.lib.metrics import gauge
from console.lib.status import Status

_FIGURES = (
    ("outstanding", "Task instances queued, by Airflow's count."),
    ("running", "Task instances running, by Airflow's count."),
    ("depth", "Messages waiting in the broker."),
    ("slots", "Slots of the workers in service."),
    ("baseline", "Workers that there should be at least."),
    ("desired", "Workers that the Auto Scaling Group should have."),
    ("maximum", "Workers that there may be at most."),
    ("oldest_outstanding_s", "Seconds that the oldest queued task instance has waited."),
)
_STATES = ("in_service", "launching", "quiesced", "draining", "lost", "stuck", "unknown")
_NAMES = {
    "oldest_outstanding_s": "oldest_outstanding_seconds",
    "maximum": "max_workers",
    "baseline": "baseline_workers",
    "desired": "desired_workers",
}


def collect(now: datetime) -> Iterator[Metric]:
    """Seven queries, however many queues and workers there are."""
    sights = Sights.at(now)
    groups = GroupSnapshot.objects.in_bulk()
    rows = QueueSnapshot.objects.in_bulk(declared_queues())
    fleets: list[Fleet] = [fleet_of(row, groups, sights) for row in rows.values()]
    for field, text in _FIGURES:
        name = f"quarterdeck_fleet_{_NAMES.get(field, field)}"
        yield gauge(name, text, ["queue"], [([fleet.queue], getattr(fleet, field)) for fleet in fleets])
    states = [([fleet.queue, state], getattr(fleet, state)) for fleet in fleets for state in _STATES]
    yield gauge("quarterdeck_fleet_workers", "Workers by state.", ["queue", "state"], states)
    judged = [([fleet.queue, status.value], float(fleet.status is status)) for fleet in fleets for status in Status]
    yield gauge("quarterdeck_fleet_status", "1 for the status that the fleet has.", ["queue", "status"], judged)
    every = totals(sights)
    yield gauge("quarterdeck_fleets_queues", "Queues known, declared or not.", [], [([], every.queues)])
    yield gauge("quarterdeck_fleets_outstanding", "Queued task instances, all queues.", [], [([], every.outstanding)])
    yield gauge("quarterdeck_fleets_running", "Running task instances, all queues.", [], [([], every.running)])
    workers = [([state], getattr(every, state)) for state in _STATES if state != "quiesced"]
    yield gauge(
        "quarterdeck_fleets_workers", "Workers by state, each once; draining holds quiesced.", ["state"], workers
    )
    yield from _watch(sights)


def _watch(sights: Sights) -> Iterator[Metric]:
    watch = Watch.objects.first()
    fresh = watch is not None and sights.heartbeats.seen
    figures = (
        ("lag_seconds", "How late the acting watcher reads heartbeats.", watch.lag_s if watch and fresh else None),
        ("events", "Heartbeats received by the acting watcher.", watch.events if watch else None),
        ("missed", "Heartbeats that were due and did not come.", watch.missed if watch else None),
        ("gaps", "Times that the stream of heartbeats broke off.", watch.gaps if watch else None),
        ("nodes", "Workers heard in the last half minute.", watch.nodes if watch and fresh else None),
        ("write_seconds", "How long the last write took.", watch.write_s if watch and fresh else None),
    )
    for name, text, value in figures:
        yield gauge(f"quarterdeck_watch_{name}", text, [], [([], value)])

"""`/metrics`: apps add their figures, Prometheus scrapes them.

def collect(now: datetime) -> Iterable[Metric]:        # bounded queries, remembered figures only
    yield gauge("quarterdeck_fleet_workers", "Workers by state.", ["queue", "state"], rows)

metrics.register("fleets", collect)                    # in the AppConfig's ready()
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

log = logging.getLogger(__name__)

Collect = Callable[[datetime], Iterable[Metric]]
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_collectors: dict[str, Collect] = {}


def register(name: str, collect: Collect) -> None:
    """Add a collector; `name` is its label when it fails. Registering a name again replaces it."""
    _collectors[name] = collect


def gauge(name: str, documentation: str, labels: list[str], rows: Iterable[tuple[list[str], float | None]]) -> Metric:
    """A gauge with one sample per row `(label values, value)`. What is unknown (None) has no sample, never a zero."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        if value is not None:
            family.add_metric(values, value)
    return family


class _Scrape(Collector):
    def __init__(self, now: datetime) -> None:
        self.now = now

    def collect(self) -> Iterator[Metric]:
        outcomes: list[tuple[list[str], float | None]] = []
        durations: list[tuple[list[str], float | None]] = []
        for name, collect in sorted(_collectors.items()):
            began_s = time.monotonic()
            try:
                yield from list(collect(self.now))
                outcomes.append(([name], 1))
            except Exception:  # one that fails must not hide the others
                log.exception("the collector %s failed", name)
                outcomes.append(([name], 0))
            durations.append(([name], time.monotonic() - began_s))
        yield gauge("quarterdeck_collector_up", "1 when its figures are in this scrape.", ["collector"], outcomes)
        yield gauge("quarterdeck_collector_seconds", "How long it took.", ["collector"], durations)


def exposition(now: datetime) -> bytes:
    """Everything that is registered, in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Scrape(now))
    return generate_latest(registry)

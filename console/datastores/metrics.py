"""The datastores' figures for Prometheus: two queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.metrics_core import Metric

from console.datastores.pages import datastores_summary
from console.lib.metrics import gauge
from console.lib.status import Status


def collect(now: datetime) -> Iterable[Metric]:
    """What can't be seen has no sample, but for its status, which is unknown."""
    rows = datastores_summary(now).rows
    yield gauge(
        "quarterdeck_datastore_status",
        "1 for the status that the datastore has.",
        ["datastore", "status"],
        [([row.id, status.value], float(row.verdict.status is status)) for row in rows for status in Status],
    )
    yield gauge(
        "quarterdeck_datastore_redundant",
        "1 when a standby would take over, 0 when none would.",
        ["datastore"],
        [([row.id], None if row.redundant is None else float(row.redundant)) for row in rows],
    )

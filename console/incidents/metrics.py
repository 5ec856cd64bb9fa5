"""Incidents and the outbox for Prometheus: three queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.db.models import Count, Min
from prometheus_client.metrics_core import Metric

from console.incidents.findings import Severity
from console.incidents.models import Delivery, Incident, Page
from console.incidents.rules import UNRESOLVED
from console.lib.metrics import gauge


def collect(now: datetime) -> Iterable[Metric]:
    """A zero for each combination that has none, so that an alert on it is never without data."""
    rows = Incident.objects.unresolved().order_by().values_list("severity", "state").annotate(n=Count("pk"))
    found = {(severity, state): n for severity, state, n in rows}
    yield gauge(
        "quarterdeck_incidents",
        "Incidents that are not over.",
        ["severity", "state"],
        [
            ([str(severity), str(state)], float(found.get((str(severity), str(state)), 0)))
            for severity in Severity
            for state in UNRESOLVED
        ],
    )
    queued = Page.objects.filter(state=Delivery.QUEUED).aggregate(n=Count("pk"), oldest=Min("created_at"))
    yield gauge("quarterdeck_pages_queued", "Pages that are not delivered yet.", [], [([], float(queued["n"]))])
    oldest = queued["oldest"]
    age_s = max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
    yield gauge("quarterdeck_pages_oldest_seconds", "Age of the oldest undelivered page.", [], [([], age_s)])

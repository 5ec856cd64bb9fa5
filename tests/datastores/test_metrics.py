"""What Prometheus scrapes of the datastores."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.datastores.metrics import collect
from console.platform.sources import DATASTORES
from tests.datastores.made import CACHE, RDS, polled

pytestmark = pytest.mark.django_db


def samples(now: datetime) -> dict[tuple[str, ...], float]:
    return {
        (sample.name.removeprefix("quarterdeck_"), *sample.labels.values()): sample.value
        for metric in collect(now)
        for sample in metric.samples
    }


def test_it_tells_status_and_standby(now: datetime) -> None:
    polled(now, RDS, replace(CACHE, replicas=0))
    found = samples(now)
    assert found[("datastore_status", "metadata-db", "healthy")] == 1
    assert found[("datastore_status", "queue", "degraded")] == 1
    assert found[("datastore_redundant", "queue")] == 0


def test_what_can_t_be_seen_is_unknown(now: datetime) -> None:
    polled(now, RDS, CACHE)
    found = samples(now + timedelta(seconds=DATASTORES.limit_s + 1))
    assert found[("datastore_status", "queue", "unknown")] == 1
    assert ("datastore_redundant", "queue") not in found

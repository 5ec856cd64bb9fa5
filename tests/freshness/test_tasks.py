"""The three polls of freshness, each with its own source."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from django.utils import timezone

from console.freshness import tasks
from console.freshness.models import TableSnapshot
from console.platform import connect
from console.platform.models import Source
from console.platform.ports import PlatformError
from console.platform.readings import ArrivalsReading, WarehouseReading
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS, declared
from tests.freshness.test_poll import Replication

pytestmark = pytest.mark.django_db


class Side:
    """A database that notes what it was asked for."""

    def __init__(self, newest: datetime | None) -> None:
        self.newest, self.asked = newest, []  # type: ignore[var-annotated]

    def evidence(self, tables: object) -> WarehouseReading:
        self.asked = list(tables)  # type: ignore[call-overload]
        if self.newest is None:
            raise PlatformError("the warehouse", "refused", "it refuses the connection")
        return made.evidence(timezone.now(), {name: self.newest for name, _, _ in self.asked})


class Arrived:
    """A warehouse without heartbeats."""

    def arrivals(self, sources: object) -> ArrivalsReading:
        return ArrivalsReading((), (made.TASK.name,), (), (), 0.01)


def run(monkeypatch: pytest.MonkeyPatch, warehouse: Side, origin: Side) -> None:
    monkeypatch.setattr(tasks, "declaration", declared)
    monkeypatch.setattr(connect, "warehouse", lambda: warehouse)
    monkeypatch.setattr(connect, "arrivals", lambda: Arrived())
    monkeypatch.setattr(connect, "origin", lambda name: origin)
    monkeypatch.setattr(connect, "replication", lambda: Replication(timezone.now()))
    for poll in (tasks.poll_replication, tasks.poll_warehouse, tasks.poll_origins):
        poll()


def test_each_database_is_asked_for_the_declared_tables_by_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    at = timezone.now()
    warehouse, origin = Side(at), Side(at)
    monkeypatch.setattr(
        "tests.freshness.test_tasks.declared",
        lambda: made.declared([replace(ORDERS, warehouse="core.orders"), CUSTOMERS]),
    )
    run(monkeypatch, warehouse, origin)
    assert warehouse.asked[0] == (ORDERS.name, "core.orders", "updated_at")
    assert origin.asked[0] == (ORDERS.name, "public.orders", "updated_at")
    assert TableSnapshot.objects.get(name=ORDERS.name).word == "fresh"


def test_one_that_fails_leaves_the_others_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, Side(None), Side(timezone.now()))
    sights = Source.objects.sights(timezone.now(), [REPLICATION, WAREHOUSE, ORIGINS])
    assert {name: sight.seen for name, sight in sights.items()} == {
        REPLICATION.name: True,
        WAREHOUSE.name: False,
        ORIGINS.name: True,
    }
    row = TableSnapshot.objects.get(name=ORDERS.name)
    assert row.word == "unknown"
    assert "it refuses the connection" in row.reason


def test_with_nothing_declared_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.freshness.test_tasks.declared", lambda: replace(made.declared([]), tasks=(), sources=()))
    run(monkeypatch, Side(None), Side(None))
    assert not Source.objects.exists()

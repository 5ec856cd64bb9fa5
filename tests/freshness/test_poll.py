"""Readings become snapshots and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.freshness.models import OriginSnapshot, TableSnapshot, TaskSnapshot
from console.freshness.poll import (
    OriginResult,
    read_origins,
    read_replication,
    save_origins,
    save_warehouse,
    sync,
)
from console.history import series
from console.platform.ports import PlatformError, WarehousePort
from console.platform.readings import ReplicationTaskReading, TableStatistics, WarehouseReading
from console.platform.sources import ORIGINS
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS, TASK, declared

pytestmark = pytest.mark.django_db


def orders() -> TableSnapshot:
    return TableSnapshot.objects.get(name=ORDERS.name)


def test_declared_tables_are_there_before_anything_was_read(now: datetime) -> None:
    sync(declared())
    row = orders()
    assert (row.source, row.task, row.warehouse, row.slo_s) == ("shop", "shop-cdc", "public.orders", 300)
    assert (row.status, row.lag_s) == ("unknown", None)


def test_a_table_that_is_no_longer_declared_is_forgotten_and_a_new_slo_is_taken(now: datetime) -> None:
    made.level(now)
    sync(declared([replace(ORDERS, slo_s=60)]))
    assert list(TableSnapshot.objects.values_list("name", "slo_s", "status")) == [(ORDERS.name, 60, "healthy")]


def test_when_all_is_level_every_table_is_fresh_by_dms_latency(now: datetime) -> None:
    made.level(now, latency_s=3.0)
    assert set(TableSnapshot.objects.values_list("word", "status", "lag_s")) == {("fresh", "healthy", 3.0)}
    assert orders().applied_inserts == 118


def test_lag_grows_while_the_source_goes_on_and_nothing_arrives(now: datetime) -> None:
    made.level(now)
    stuck: dict[str, datetime | None] = {ORDERS.name: now, CUSTOMERS.name: now}
    for seconds in range(5, 400, 5):
        at = now + timedelta(seconds=seconds)
        made.origin(at, {ORDERS.name: at, CUSTOMERS.name: now})
        made.warehouse(at, stuck)
    made.dms(at, made.task(at))
    assert (orders().word, orders().lag_s) == ("breached", 395)
    assert TableSnapshot.objects.get(name=CUSTOMERS.name).word == "fresh"


def test_a_row_that_arrives_with_the_next_reading_is_no_lag(now: datetime) -> None:
    made.level(now)
    at = now + timedelta(seconds=5)
    made.origin(at, {ORDERS.name: at, CUSTOMERS.name: now - timedelta(seconds=10)})
    assert orders().behind
    assert orders().caught_up_at == now
    made.warehouse(at + timedelta(seconds=2), {ORDERS.name: at, CUSTOMERS.name: now - timedelta(seconds=10)})
    assert (orders().behind, orders().word, orders().lag_s) == (False, "fresh", 2.0)


def test_a_console_that_starts_while_a_table_is_behind_does_not_take_it_for_level(now: datetime) -> None:
    sync(declared())
    ago = now - timedelta(minutes=14)
    made.origin(now, {ORDERS.name: now, CUSTOMERS.name: None})
    made.dms(now, made.task(now))
    made.warehouse(now, {ORDERS.name: ago, CUSTOMERS.name: None})
    assert (orders().word, orders().lag_s) == ("breached", 14 * 60)


def test_since_is_when_the_verdict_changed(now: datetime) -> None:
    made.level(now)
    later = now + timedelta(seconds=10)
    made.dms(later, made.task(later, status="failed"))
    made.dms(later + timedelta(seconds=10), made.task(later, status="failed"))
    assert (orders().word, orders().since) == ("broken", later)


def test_a_task_that_dms_does_not_have_breaks_its_tables(now: datetime) -> None:
    made.level(now)
    made.dms(now, None)
    assert TaskSnapshot.objects.get().status is None
    assert orders().word == "broken"


def test_statistics_that_can_not_be_read_are_unknown_and_their_last_state_stays(now: datetime) -> None:
    made.level(now)
    made.dms(now, made.task(now), error="AWS throttles the console")
    assert (orders().word, orders().state) == ("unknown", "Table completed")
    assert "throttles" in orders().reason


def test_a_table_that_is_missing_or_may_not_be_read_in_the_warehouse_is_told_apart(now: datetime) -> None:
    made.level(now)
    empty = made.evidence(now, {})
    save_warehouse(replace(empty, missing=(ORDERS.name,), unreadable=(CUSTOMERS.name,)), now)
    assert orders().word == "broken"
    assert TableSnapshot.objects.get(name=CUSTOMERS.name).word == "unknown"


def test_one_source_that_fails_is_noted_and_hides_no_other(now: datetime) -> None:
    made.level(now)
    later = now + timedelta(seconds=ORIGINS.limit_s + 1)
    billing = OriginResult("billing", made.evidence(later, {}))
    save_origins([OriginResult("shop", None, "it refuses the connection", "Is it up?"), billing], later)
    shop = OriginSnapshot.objects.get(name="shop")
    assert (shop.as_of, shop.failing_since, shop.error) == (now, later, "it refuses the connection")
    assert OriginSnapshot.objects.get(name="billing").as_of == later
    made.dms(later, made.task(later))
    made.warehouse(later, {ORDERS.name: now, CUSTOMERS.name: now})
    assert orders().word == "unknown"
    assert "it refuses the connection" in orders().reason


def test_each_tables_lag_is_recorded_and_an_unknown_one_is_a_gap(now: datetime) -> None:
    made.level(now)
    made.dms(now, made.task(now, latency_s=7.0))
    name = f"table.{ORDERS.name}.lag_s"
    assert series.latest([name], now + timedelta(seconds=1))[name].value == 7
    later = now + timedelta(minutes=1)
    made.dms(later, made.task(later, latency_s=None))
    assert orders().word == "unknown"
    assert series.latest([name], later + timedelta(seconds=1))[name].value == 7


class Replication:
    """A DMS that has one task, and fails where it is told to."""

    def __init__(self, now: datetime, fails: bool = False) -> None:
        self.now, self.fails = now, fails

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        return (made.task(self.now),)

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        return {TASK.identifier: made.task(self.now).run}

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        if self.fails:
            raise PlatformError("AWS DMS", "throttled", "AWS throttles the console")
        return (made.statistics("orders"),)


def test_a_reading_of_dms_holds_every_declared_task(now: datetime) -> None:
    other = replace(TASK, name="other", identifier="other")
    found, absent = read_replication(Replication(now), [TASK, other], now)
    assert found.reading == made.task(now)
    assert [row.table for row in found.statistics] == ["orders"]
    assert (absent.reading, absent.statistics, absent.error) == (None, (), "")


def test_statistics_that_fail_are_noted_at_their_task(now: datetime) -> None:
    (found,) = read_replication(Replication(now, fails=True), [TASK], now)
    assert found.reading is not None
    assert found.error == "AWS throttles the console"


class Origin:
    def __init__(self, reading: WarehouseReading | PlatformError) -> None:
        self.reading = reading

    def evidence(self, tables: Sequence[tuple[str, str, str]]) -> WarehouseReading:
        if isinstance(self.reading, PlatformError):
            raise self.reading
        return self.reading


REFUSED = PlatformError("the source shop", "refused", "it refuses the connection", remedy="Is it up?")


def connecting(**origins: WarehouseReading | PlatformError) -> dict[str, WarehousePort]:
    return {name: Origin(reading) for name, reading in origins.items()}


def test_sources_are_read_side_by_side_and_each_fails_alone(now: datetime) -> None:
    reading = made.evidence(now, {})
    ports = connecting(shop=REFUSED, billing=reading)
    billing, shop = read_origins(dict.fromkeys(ports, ()), ports.__getitem__)
    assert billing == OriginResult("billing", reading)
    assert (shop.reading, shop.error, shop.remedy) == (None, "it refuses the connection", "Is it up?")


def test_a_poll_fails_when_no_source_can_be_read() -> None:
    ports = connecting(shop=REFUSED)
    with pytest.raises(PlatformError, match="refuses"):
        read_origins(dict.fromkeys(ports, ()), ports.__getitem__)


@pytest.mark.parametrize("tables", [10, 1000])
def test_polls_take_the_same_queries_however_many_tables(
    tables: int, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    many = [made.table(f"t{number:05}") for number in range(tables)]
    made.level(now, many)
    at = now + timedelta(seconds=5)
    newest: dict[str, datetime | None] = {table.name: at for table in many}
    with django_assert_num_queries(9):
        save_origins([OriginResult("shop", made.evidence(at, newest))], at)
    with django_assert_num_queries(6):
        save_warehouse(made.evidence(at, newest), at)
    with django_assert_num_queries(1):
        sync(declared(many))

"""Made-up readings of one source, one DMS task and a few tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from console.freshness.poll import (
    OriginResult,
    TaskResult,
    record_lags,
    save_origins,
    save_replication,
    save_warehouse,
    sync,
)
from console.platform.declared import Declaration, TableDeclared, TaskDeclared, declaration
from console.platform.models import remember_failure, remember_success
from console.platform.readings import ReplicationTaskReading, TableEvidence, TableStatistics, WarehouseReading
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE, SourceSpec

TASK = TaskDeclared("shop-cdc", "shop", "shop-cdc")


def table(name: str, slo_s: float = 300) -> TableDeclared:
    return TableDeclared(f"shop.public.{name}", TASK.name, f"public.{name}", "updated_at", slo_s)


ORDERS, CUSTOMERS = table("orders"), table("customers", 900)


def declared(tables: Iterable[TableDeclared] = (ORDERS, CUSTOMERS)) -> Declaration:
    return replace(declaration(), tasks=(TASK,), tables=tuple(tables))


def task(at: datetime, latency_s: float | None = 2.0, status: str = "running") -> ReplicationTaskReading:
    return ReplicationTaskReading(
        identifier=TASK.identifier,
        arn="arn:aws:dms:eu-north-1:123456789012:task:SHOPCDC",
        status=status,
        stop_reason=None,
        failure=None,
        source_latency_s=1.0 if latency_s is not None else None,
        target_latency_s=latency_s,
        incoming_changes=4.0,
        measured_at=at if latency_s is not None else None,
    )


def statistics(name: str, state: str = "Table completed") -> TableStatistics:
    return TableStatistics(
        task="arn",
        schema="public",
        table=name.removeprefix("shop.public."),
        state=state,
        inserts=120,
        updates=30,
        deletes=1,
        applied_inserts=118,
        applied_updates=30,
        applied_deletes=1,
        full_load_rows=1000,
        full_load_started_at=None,
        full_load_ended_at=None,
        updated_at=None,
    )


def evidence(at: datetime, newest: Mapping[str, datetime | None]) -> WarehouseReading:
    """`newest` by declared name; None: the table is empty."""
    return WarehouseReading(
        tables=tuple(TableEvidence(name, stamp, 1000) for name, stamp in newest.items()),
        missing=(),
        server_now=at,
        took_s=0.01,
    )


def dms(
    at: datetime,
    reading: ReplicationTaskReading | None,
    tables: Iterable[TableDeclared] = (ORDERS, CUSTOMERS),
    error: str = "",
) -> None:
    """A good poll of DMS, begun at `at`."""
    found = tuple(statistics(table.name) for table in tables) if reading and not error else ()
    record_lags(save_replication([TaskResult(TASK, reading, found, error)], at), at)
    remember_success(REPLICATION.name, at, 0.1)


def warehouse(at: datetime, newest: Mapping[str, datetime | None]) -> None:
    save_warehouse(evidence(at, newest), at)
    remember_success(WAREHOUSE.name, at, 0.1)


def origin(at: datetime, newest: Mapping[str, datetime | None]) -> None:
    save_origins([OriginResult("shop", evidence(at, newest))], at)
    remember_success(ORIGINS.name, at, 0.1)


def failed(spec: SourceSpec, at: datetime, error: str = "it does not answer") -> None:
    remember_failure(spec.name, at, 3.0, error=error, code="timeout", remedy="Look at it.")


def level(at: datetime, tables: Iterable[TableDeclared] = (ORDERS, CUSTOMERS), latency_s: float = 2.0) -> None:
    """A platform in which all is well at `at`: every source read, every table level."""
    tables = tuple(tables)
    sync(declared(tables))
    newest: dict[str, datetime | None] = {table.name: at - timedelta(seconds=10) for table in tables}
    origin(at, newest)
    dms(at, task(at, latency_s), tables)
    warehouse(at, newest)

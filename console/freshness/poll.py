"""DMS, the warehouse and the source databases → snapshots and verdicts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from console.freshness import minutes
from console.freshness.judge import judge, level, one_at_a_time, write
from console.freshness.models import Found, OriginSnapshot, TableSnapshot, TaskSnapshot
from console.history import series
from console.platform.declared import Declaration, TableDeclared, TaskDeclared
from console.platform.ports import PlatformError, ReplicationPort, WarehousePort
from console.platform.readings import ReplicationTaskReading, TableStatistics, WarehouseReading
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE

log = logging.getLogger(__name__)

_DECLARED = ["source", "task", "warehouse", "column", "slo_s", "also", "lateness_s"]
_STATISTICS = [
    "state",
    "inserts",
    "updates",
    "deletes",
    "applied_inserts",
    "applied_updates",
    "applied_deletes",
    "full_load_rows",
    "full_load_started_at",
    "full_load_ended_at",
    "statistics_at",
]
_ORIGIN = ["origin_found", "origin_newest_at", "origin_rows"]
_ARRIVED = ["arrived_found", "arrived_newest_at", "arrived_rows"]


# --- The declared tables -------------------------------------------------------------------------------------------


def sync(declared: Declaration) -> None:
    """A row for every declared table and none for others, before anything was read. One query when all is in place."""
    wanted = {
        table.name: [
            table.source,
            table.task,
            table.warehouse,
            table.column,
            table.slo_s,
            " ".join(table.also),
            table.allowed_lateness_s,
        ]
        for table in declared.tables
    }
    found = {name: rest for name, *rest in TableSnapshot.objects.values_list("name", *_DECLARED)}
    changed = {name for name, values in wanted.items() if found.get(name) != values}
    gone = [name for name in found if name not in wanted]
    if not changed and not gone:
        return
    with transaction.atomic():
        one_at_a_time()
        TableSnapshot.objects.filter(name__in=gone).delete()
        minutes.forget_tables(gone)
        TableSnapshot.objects.bulk_create(
            [TableSnapshot(name=name, **dict(zip(_DECLARED, wanted[name], strict=True))) for name in sorted(changed)],
            update_conflicts=True,
            unique_fields=["name"],
            update_fields=_DECLARED,
        )


def at_origin(table: TableDeclared) -> tuple[str, str, str]:
    """`(declared name, schema.table, column)` at the source: the declared name is source.schema.table."""
    return (table.name, table.name.split(".", 1)[1], table.column)


# --- DMS -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class TaskResult:
    """One declared task: what DMS says (None: it has no such task), its table statistics or why they can't be read."""

    declared: TaskDeclared
    reading: ReplicationTaskReading | None
    statistics: tuple[TableStatistics, ...]
    error: str


def read_replication(port: ReplicationPort, declared: Sequence[TaskDeclared], now: datetime) -> tuple[TaskResult, ...]:
    """All declared tasks and their tables. Statistics that fail are noted at their task; everything else raises."""
    found = {reading.identifier: reading for reading in port.tasks([task.identifier for task in declared], now=now)}
    results = []
    for task in declared:
        reading = found.get(task.identifier)
        statistics: tuple[TableStatistics, ...] = ()
        error = ""
        if reading is not None:
            try:
                statistics = port.table_statistics(reading.arn)
            except PlatformError as failure:
                log.warning("table statistics of %s: %s (%s)", task.name, failure.message, failure.code)
                error = failure.message
        results.append(TaskResult(task, reading, statistics, error))
    return tuple(results)


def save_replication(results: Sequence[TaskResult], as_of: datetime) -> list[TableSnapshot]:
    """Remember them; the rows of all tables, as they are now. Lags are recorded by `record_lags`."""
    one_at_a_time()
    TaskSnapshot.objects.bulk_create(
        [_task(result, as_of) for result in sorted(results, key=lambda result: result.declared.name)],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=[field.name for field in TaskSnapshot._meta.fields if field.name != "name"],
    )
    TaskSnapshot.objects.exclude(name__in=[result.declared.name for result in results]).delete()
    statistics = {
        f"{result.declared.source}.{row.schema}.{row.table}": (result.declared.name, row)
        for result in results
        for row in result.statistics
    }
    unread = {result.declared.name for result in results if result.error}
    rows = list(TableSnapshot.objects.all())
    changed = {}
    for row in rows:
        if row.task in unread:
            continue  # its last known state stays; the verdict says that it can't be read
        task, found = statistics.get(row.name, ("", None))
        if _take_statistics(row, found if task == row.task else None):
            changed[row.name] = row
    changed |= {row.name: row for row in judge(rows, as_of, {REPLICATION.name})}
    write(list(changed.values()), _STATISTICS)
    return rows


def record_lags(rows: Sequence[TableSnapshot], as_of: datetime) -> None:
    series.record([(f"table.{row.name}.lag_s", row.lag_s) for row in rows], as_of)


def _task(result: TaskResult, as_of: datetime) -> TaskSnapshot:
    declared, reading = result.declared, result.reading
    task = TaskSnapshot(name=declared.name, identifier=declared.identifier, source=declared.source, as_of=as_of)
    if reading is not None:
        task.arn = reading.arn
        task.status = reading.status
        task.stop_reason = (reading.stop_reason or "")[:200]
        task.failure = reading.failure or ""
        task.source_latency_s = reading.source_latency_s
        task.target_latency_s = reading.target_latency_s
        task.incoming_changes = reading.incoming_changes
        task.measured_at = reading.measured_at
        task.statistics_error = result.error
    return task


def _take_statistics(row: TableSnapshot, found: TableStatistics | None) -> bool:
    before = [getattr(row, name) for name in _STATISTICS]
    if found is None:
        values: list[object] = [None] * len(_STATISTICS)
    else:
        values = [
            found.state,
            found.inserts,
            found.updates,
            found.deletes,
            found.applied_inserts,
            found.applied_updates,
            found.applied_deletes,
            found.full_load_rows,
            found.full_load_started_at,
            found.full_load_ended_at,
            found.updated_at,
        ]
    for name, value in zip(_STATISTICS, values, strict=True):
        setattr(row, name, value)
    return before != values


# --- The warehouse -------------------------------------------------------------------------------------------------


def save_warehouse(reading: WarehouseReading, as_of: datetime) -> None:
    one_at_a_time()
    rows = list(TableSnapshot.objects.all())
    changed = _take_evidence(rows, reading, "arrived")
    changed |= {row.name: row for row in judge(rows, as_of, {WAREHOUSE.name})}
    write(list(changed.values()), _ARRIVED)


def _take_evidence(rows: Sequence[TableSnapshot], reading: WarehouseReading, side: str) -> dict[str, TableSnapshot]:
    """Note one side's newest stamps; the rows that changed. What the reading doesn't name is not known any more."""
    evidence = {found.table: found for found in reading.tables}
    said = dict.fromkeys(evidence, Found.SEEN)
    said |= dict.fromkeys(reading.missing, Found.MISSING)
    said |= dict.fromkeys(reading.unreadable, Found.UNREADABLE)
    changed = {}
    for row in rows:
        newest = evidence.get(row.name)
        values = (
            said[row.name].value if row.name in said else "",
            newest.newest_at if newest else None,
            newest.rows_estimate if newest else None,
        )
        names = [f"{side}_{name}" for name in ("found", "newest_at", "rows")]
        if values != tuple(getattr(row, name) for name in names):
            changed[row.name] = row
            for name, value in zip(names, values, strict=True):
                setattr(row, name, value)
    return changed


# --- The source databases ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class OriginResult:
    """One source database: its reading, or why there is none."""

    name: str
    reading: WarehouseReading | None
    error: str = ""
    remedy: str = ""


def read_origins(
    tables: Mapping[str, Sequence[tuple[str, str, str]]], connect: Callable[[str], WarehousePort]
) -> tuple[OriginResult, ...]:
    """Every source database at the same time, so that one that hangs delays no other; each one's failure is its own.

    Raises the first PlatformError when not one of them can be read.
    """
    if not tables:
        return ()
    failures: list[PlatformError] = []

    def read(name: str) -> OriginResult:
        try:
            return OriginResult(name, connect(name).evidence(tables[name]))
        except PlatformError as error:
            log.warning("source %s: %s (%s)", name, error.message, error.code)
            failures.append(error)
            return OriginResult(name, None, error.message, error.remedy)

    with ThreadPoolExecutor(max_workers=min(8, len(tables)), thread_name_prefix="origin") as pool:
        results = tuple(pool.map(read, sorted(tables)))
    if failures and all(result.reading is None for result in results):
        raise failures[0]
    return results


def save_origins(results: Sequence[OriginResult], as_of: datetime) -> None:
    one_at_a_time()
    before = {origin.name: origin for origin in OriginSnapshot.objects.all()}
    rows = list(TableSnapshot.objects.all())
    changed: dict[str, TableSnapshot] = {}
    origins = []
    for result in results:
        origin = before.get(result.name) or OriginSnapshot(name=result.name)
        origins.append(origin)
        if result.reading is None:
            origin.failing_since = origin.failing_since or as_of
            origin.error, origin.remedy = result.error, result.remedy
            continue
        mine = [row for row in rows if row.source == result.name]
        changed |= _take_evidence(mine, result.reading, "origin")
        for row in mine:  # a table that is ahead now was level at the reading before this one
            if level(row, origin.server_at):
                changed[row.name] = row
        origin.as_of, origin.server_at = as_of, result.reading.server_now
        origin.failing_since, origin.error, origin.remedy = None, "", ""
    OriginSnapshot.objects.bulk_create(
        origins,
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=["as_of", "server_at", "failing_since", "error", "remedy"],
    )
    OriginSnapshot.objects.exclude(name__in=[result.name for result in results]).delete()
    changed |= {row.name: row for row in judge(rows, as_of, {ORIGINS.name})}
    write(list(changed.values()), _ORIGIN)

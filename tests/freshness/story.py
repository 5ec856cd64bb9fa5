"""A platform with heartbeats, minute by minute: what is written at the source, what has arrived, what DMS says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from console.freshness import beating, proving
from console.freshness.models import TableSnapshot
from console.freshness.poll import TaskResult, record_lags, save_replication, sync
from console.platform.declared import TableDeclared
from console.platform.models import remember_success
from console.platform.ports import PlatformError
from console.platform.readings import (
    ArrivalsReading,
    BeatReading,
    HolderReading,
    PulseReading,
    SuspendedReading,
    TableStatistics,
)
from console.platform.sources import BEATS, REPLICATION, WAREHOUSE
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS, TASK

STEP_S = 10.0


class Story:
    """One source, one DMS task. Every step writes a beat, lets it arrive (or not), and polls."""

    def __init__(self, now: datetime, tables: Iterable[TableDeclared] = (ORDERS, CUSTOMERS)) -> None:
        self.now, self.tables = now, tuple(tables)
        self.seq, self.epoch = 0, 1
        self.log: list[BeatReading] = []
        self.paused = self.writer_down = self.warehouse_down = False
        self.held_since: datetime | None = None
        self.prepared = 0
        self.blind = ""
        self.status = "running"
        self.started_at = now - timedelta(hours=1)
        self.states = {table.name: "Table completed" for table in self.tables}
        self.loaded_at: dict[str, datetime | None] = {table.name: None for table in self.tables}
        self.suspended: tuple[SuspendedReading, ...] = ()
        self.arrived: BeatReading | None = None
        sync(made.declared(self.tables))

    def go(self, minutes: float = 0, *, steps: int = 0) -> Story:
        for _ in range(steps or round(minutes * 60 / STEP_S)):
            self.step()
        return self

    def step(self) -> None:
        self.now += timedelta(seconds=STEP_S)
        if not self.writer_down:
            self.write()
        if not self.paused and self.status == "running":
            self.arrived = self.log[-1] if self.log else None
        self.poll()

    def write(self) -> None:
        self.seq += 1
        safe = min(self.now, self.held_since) if self.held_since else self.now
        beat = BeatReading(
            TASK.name,
            self.epoch,
            self.seq,
            self.now,
            None if self.blind else safe,
            None if self.blind else self.prepared,
            self.seq * 10,
            self.seq * 10,
        )
        self.log.append(beat)
        holder = HolderReading(4711, "batch", self.held_since) if self.held_since else None
        reading = PulseReading((beat,), (), holder, None, self.blind, "GRANT it" if self.blind else "")
        beating.save([beating.Written("shop", (TASK.name,), self.now, reading)], self.now)
        remember_success(BEATS.name, self.now, 0.1)

    def poll(self) -> None:
        reading = replace(made.task(self.now, status=self.status), started_at=self.started_at)
        result = TaskResult(TASK, reading, tuple(self.statistics(table) for table in self.tables), "")
        arrivals = ArrivalsReading((self.arrived,) if self.arrived else (), (), self.suspended, (), 0.01)
        error = PlatformError("the warehouse", "timeout", "the warehouse did not answer in time")
        found = proving.Look(
            (result,),
            {TASK.identifier: reading.run} if reading.run else {},
            None if self.warehouse_down else arrivals,
            error if self.warehouse_down else None,
        )
        rows = save_replication(found.results, self.now)
        proving.save(found, rows, self.now)
        record_lags(rows, self.now)
        remember_success(REPLICATION.name, self.now, 0.1)
        remember_success(WAREHOUSE.name, self.now, 0.1)

    def statistics(self, table: TableDeclared) -> TableStatistics:
        found = made.statistics(table.name, self.states[table.name])
        return replace(found, full_load_ended_at=self.loaded_at[table.name])

    def table(self, table: TableDeclared = ORDERS) -> TableSnapshot:
        return TableSnapshot.objects.get(name=table.name)

    def reload(self, minutes: float) -> None:
        """DMS loads `orders` anew."""
        self.states[ORDERS.name] = "Table is being reloaded"
        self.go(minutes)
        self.states[ORDERS.name], self.loaded_at[ORDERS.name] = "Table completed", self.now

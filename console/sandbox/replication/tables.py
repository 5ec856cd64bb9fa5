"""DMS' table statistics out of the real replication's own catalogues. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from console.sandbox.replication.ledger import Changes, Standing

STATES = {
    "i": "Before load",
    "d": "Full load",
    "f": "Full load",
    "s": "Full load",
    "r": "Table completed",
}
"""pg_subscription_rel.srsubstate in DMS' words. "Table completed" spans the ongoing replication."""


@dataclass(frozen=True)
class Load:
    """The first copy of a table."""

    state: str = ""  # srsubstate; empty: the warehouse does not have the table
    rows: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    reloading: bool = False


def state_of(load: Load) -> str:
    if load.reloading:
        return "Table is being reloaded"
    return STATES.get(load.state, "Table does not exist")


def statistics(table: str, load: Load, standing: Standing, now: datetime) -> dict[str, Any]:
    """One row of DescribeTableStatistics; times are seconds since the epoch, as DMS sends them."""
    schema, name = table.split(".", 1)
    read, applied = standing.read.get(table, Changes()), standing.applied.get(table, Changes())
    row: dict[str, Any] = {
        "SchemaName": schema,
        "TableName": name,
        "Inserts": read.inserts,
        "Updates": read.updates,
        "Deletes": read.deletes,
        "Ddls": 0,
        "AppliedInserts": applied.inserts,
        "AppliedUpdates": applied.updates,
        "AppliedDeletes": applied.deletes,
        "AppliedDdls": 0,
        "FullLoadRows": load.rows,
        "FullLoadCondtnlChkFailedRows": 0,
        "FullLoadErrorRows": 0,
        "FullLoadReloaded": load.reloading,
        "LastUpdateTime": now.timestamp(),
        "TableState": state_of(load),
        "ValidationPendingRecords": 0,
        "ValidationFailedRecords": 0,
        "ValidationSuspendedRecords": 0,
        "ValidationState": "Not enabled",
    }
    if load.started_at:
        row["FullLoadStartTime"] = load.started_at.timestamp()
    if load.ended_at:
        row["FullLoadEndTime"] = load.ended_at.timestamp()
    return row

"""Snapshots → verdicts: every poll ends with all tables judged anew, from what is remembered of all sources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models

from console.freshness.models import Found, OriginSnapshot, TableSnapshot, TaskSnapshot, stale
from console.freshness.rules import (
    CaughtUp,
    Side,
    TableFacts,
    TaskFacts,
    Verdict,
    blindness,
    caught_up,
    verdict,
)
from console.lib.status import Status
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE

NEEDED = (REPLICATION, WAREHOUSE)
"""Without either of these, nothing can be said of any table."""

SEVERITY = {Status.HEALTHY: 0, Status.UNKNOWN: 1, Status.DEGRADED: 2, Status.FAILING: 3}

_LOCK = 0x66726573  # "fres": any constant of this app's own
VERDICT = ["status", "word", "reason", "since", "lag_s", "pressure", "severity"]
_LEVEL = ["behind", "caught_up_at"]
ALIKE = 4
"""What has at most a quarter as many different values as there are rows is sent once per value."""


def one_at_a_time() -> None:
    """Wait until no other poll is saving: three of them write the same rows, each from what the others wrote."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])


def blind(sights: Mapping[str, Sight], just_read: Collection[str] = ()) -> str:
    """Why nothing can be said of any table, as one sentence; "" when DMS and the warehouse are seen."""
    why = {
        spec.name: "" if spec.name in just_read or sights[spec.name].seen else sights[spec.name].reason
        for spec in NEEDED
    }
    return blindness(why[REPLICATION.name], why[WAREHOUSE.name])


def judge(rows: Iterable[TableSnapshot], now: datetime, just_read: Collection[str]) -> list[TableSnapshot]:
    """Compare both sides of every table and judge it, in place; the rows whose verdict or level changed. Three queries.

    `just_read` names the source whose reading is being saved: it counts as seen.
    """
    sights = Source.objects.sights(now, [*NEEDED, ORIGINS])
    tasks = {task.name: task.facts() for task in TaskSnapshot.objects.all()}
    origins = {origin.name: origin for origin in OriginSnapshot.objects.all()}
    reason = blind(sights, just_read)
    warehouse_at = now if WAREHOUSE.name in just_read else sights[WAREHOUSE.name].as_of
    changed = []
    for row in rows:
        origin = origins.get(row.source)
        if row.followed:  # heartbeats say more
            if level(row, origin.server_at if origin else None):
                changed.append(row)
            continue
        before = [getattr(row, name) for name in VERDICT + _LEVEL]
        level(row, origin.server_at if origin else None)
        facts = facts_of(row, tasks, origin, warehouse_at, now, sights[ORIGINS.name].reason)
        _note(row, verdict(facts, reason, now), now)
        if before != [getattr(row, name) for name in VERDICT + _LEVEL]:
            changed.append(row)
    return changed


def level(row: TableSnapshot, last_level_at: datetime | None) -> bool:
    """Note whether the source is ahead; True when that changed.

    `last_level_at`: the source's moment at which a table that was level until now was last seen so.
    """
    before = CaughtUp(row.behind, row.caught_up_at)
    if row.origin_found == row.arrived_found == Found.SEEN:
        found = caught_up(before, row.origin_newest_at, row.arrived_newest_at, last_level_at)
    else:
        found = CaughtUp(None, None)
    row.behind, row.caught_up_at = found.behind, found.at
    return found != before


def facts_of(
    row: TableSnapshot,
    tasks: Mapping[str, TaskFacts],
    origin: OriginSnapshot | None,
    warehouse_at: datetime | None,
    now: datetime,
    origins_reason: str,
) -> TableFacts:
    """What the rules look at, of one table."""
    return TableFacts(
        name=row.name,
        source=row.source,
        warehouse=row.warehouse,
        slo_s=row.slo_s,
        task=tasks.get(row.task) or TaskFacts(row.task, None),
        state=row.state,
        origin=_origin(row, origin, now, origins_reason),
        arrived=_side(row.arrived_found, row.arrived_newest_at, warehouse_at, row.source),
        caught_up_at=row.caught_up_at,
        clock_ahead_s=origin.clock_ahead_s if origin else 0.0,
    )


def _origin(row: TableSnapshot, origin: OriginSnapshot | None, now: datetime, reason: str) -> Side:
    if origin is None or stale(origin.as_of, now, ORIGINS.limit_s):
        return Side(blind=(origin.error if origin else "") or reason or "it has not been read yet")
    return _side(row.origin_found, row.origin_newest_at, origin.as_of, row.source)


def _side(found: str, newest_at: datetime | None, read_at: datetime | None, source: str) -> Side:
    match found:
        case Found.SEEN:
            return Side(seen_at=read_at, newest_at=newest_at)
        case Found.MISSING:
            return Side(seen_at=read_at, missing=True)
        case Found.UNREADABLE:
            grant = f"manage.py freshness install {source} names the GRANT"
            return Side(blind=f"the console's user may not read it ({grant}), or its column is no time")
        case _:
            return Side(blind="it has not been read yet")


def _note(row: TableSnapshot, found: Verdict, now: datetime) -> None:
    if row.word != found.word or row.since is None:
        row.since = now
    row.status, row.word, row.reason = found.status.value, found.word.value, found.reason
    row.severity = SEVERITY[found.status]
    row.lag_s = found.lag_s
    row.pressure = None if found.lag_s is None else found.lag_s / row.slo_s


def write(rows: Sequence[TableSnapshot], own: Sequence[str], shared: Sequence[str] = (*_LEVEL, *VERDICT)) -> None:
    """Save a poll's own fields and the verdict of the changed rows, in one statement.

    Django's bulk update would build an expression per row and field: with thousands of tables that takes longer than
    the poll may. Tables of a task are mostly alike, so what they share is sent once, with each row's place in it.
    """
    if not rows:
        return
    known: dict[str, models.Field[Any, Any]] = {field.name: field for field in TableSnapshot._meta.concrete_fields}
    fields = [known[name] for name in (*own, *shared)]
    columns = {field: [getattr(row, field.attname) for row in rows] for field in fields}
    alike = [field for field in fields if len(set(columns[field])) <= len(rows) // ALIKE]
    single = [known["name"], *(field for field in fields if field not in alike)]
    columns[known["name"]] = [row.name for row in rows]
    places: dict[tuple[Any, ...], int] = {}
    values: list[list[Any]] = [columns[field] for field in single]
    source = f"unnest({_arrays(single)}"
    if alike:
        kinds = zip(*(columns[field] for field in alike), strict=True)
        values.append([places.setdefault(kind, len(places) + 1) for kind in kinds])
        values += [list(column) for column in zip(*places, strict=True)]
        source += (
            f", %s::int[]) AS new({_names(single)}, place)"
            f" JOIN unnest({_arrays(alike)}) WITH ORDINALITY AS kind({_names(alike)}, place) USING (place)"
        )
    else:
        source += f") AS new({_names(single)})"
    settings = ", ".join(
        f"{_names([field])} = {'kind' if field in alike else 'new'}.{_names([field])}" for field in fields
    )
    with connection.cursor() as cursor:
        cursor.execute(
            # The model's own names; every value is a parameter.
            f"UPDATE {TableSnapshot._meta.db_table} AS old SET {settings} FROM {source}"  # noqa: S608
            f" WHERE old.{_names(single[:1])} = new.{_names(single[:1])}",
            values,
        )


def _names(fields: Iterable[models.Field[Any, Any]]) -> str:
    return ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)


def _arrays(fields: Iterable[models.Field[Any, Any]]) -> str:
    return ", ".join(f"%s::{field.db_type(connection)}[]" for field in fields)

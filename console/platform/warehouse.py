"""The newest stamps of declared tables, in one query: the warehouse (Redshift), or a PostgreSQL source."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg2
from psycopg2 import sql

from console.platform.budget import Budget
from console.platform.database import Database
from console.platform.ports import PlatformError
from console.platform.readings import TableEvidence, WarehouseReading

POLL_S = 8.0
CATALOGUE_S = 60.0
"""How long the database's own word on which tables it has is believed."""
_TIMES = {"timestamp", "timestamptz", "date"}

Table = tuple[str, str, str]  # declared name, schema.table, column


@dataclass(frozen=True)
class Catalogue:
    """What the database has of the tables asked for."""

    asked: tuple[Table, ...]
    until: float  # monotonic
    present: tuple[Table, ...]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    rows: dict[str, int | None]  # the planner's estimate, by declared name


class Warehouse:
    """One database in which tables are looked at. Safe for threads. Raises PlatformError."""

    def __init__(self, database: Database, *, poll_s: float = POLL_S) -> None:
        self._database = database
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None

    def evidence(self, tables: Sequence[Table]) -> WarehouseReading:
        """The newest stamp of each `(declared name, schema.table, column)`.

        Tables that are not there, or whose column is not, are `missing`; those that may not be read, or whose column is
        no time, are `unreadable`. Neither hides the others.
        """
        began_s = time.monotonic()
        budget = Budget(self._database.system, self._poll_s)
        asked = tuple(dict.fromkeys(tables))
        catalogue = self._known(asked, budget)
        try:
            rows = self._database.rows(_newest(catalogue.present), budget)
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn):
            # It changed since the catalogue was read.
            catalogue = self._read_catalogue(asked, budget)
            rows = self._guarded(catalogue, budget)
        except psycopg2.errors.InsufficientPrivilege:
            catalogue = self._readable(catalogue, budget)
            rows = self._guarded(catalogue, budget)
        server_now = next(at for name, at in rows if name is None)
        return WarehouseReading(
            tables=tuple(
                TableEvidence(name, at.astimezone(UTC) if at else None, catalogue.rows.get(name))
                for name, at in sorted(row for row in rows if row[0] is not None)
            ),
            missing=catalogue.missing,
            unreadable=catalogue.unreadable,
            server_now=server_now.astimezone(UTC),
            took_s=time.monotonic() - began_s,
        )

    def _known(self, asked: tuple[Table, ...], budget: Budget) -> Catalogue:
        with self._lock:
            known = self._catalogue
        if known and known.asked == asked and known.until > time.monotonic():
            return known
        return self._read_catalogue(asked, budget)

    def _remember(self, catalogue: Catalogue) -> Catalogue:
        with self._lock:
            self._catalogue = catalogue
        return catalogue

    def _read_catalogue(self, asked: tuple[Table, ...], budget: Budget) -> Catalogue:
        found: dict[tuple[str, str], tuple[str, float]] = {}
        if asked:
            for relation, column, type_name, estimate in self._database.rows(_columns(asked), budget):
                found[(relation, column)] = (type_name, estimate)
        present = [table for table in asked if found.get(table[1:], ("",))[0] in _TIMES]
        return self._remember(
            Catalogue(
                asked=asked,
                until=time.monotonic() + CATALOGUE_S,
                present=tuple(present),
                missing=tuple(name for name, *key in asked if tuple(key) not in found),
                unreadable=tuple(table[0] for table in asked if table[1:] in found and table not in present),
                # -1, or 0 on Redshift: never counted
                rows={table[0]: int(found[table[1:]][1]) if found[table[1:]][1] > 0 else None for table in present},
            )
        )

    def _readable(self, catalogue: Catalogue, budget: Budget) -> Catalogue:
        """The catalogue without the tables that this user may not read: found out one by one, once a while."""
        denied = []
        for table in catalogue.present:
            try:
                self._database.rows(_newest((table,)), budget)
            except psycopg2.errors.InsufficientPrivilege:
                denied.append(table)
        return self._remember(
            Catalogue(
                asked=catalogue.asked,
                until=time.monotonic() + CATALOGUE_S,
                present=tuple(table for table in catalogue.present if table not in denied),
                missing=catalogue.missing,
                unreadable=(*catalogue.unreadable, *(table[0] for table in denied)),
                rows=catalogue.rows,
            )
        )

    def _guarded(self, catalogue: Catalogue, budget: Budget) -> list[tuple[str | None, datetime | None]]:
        try:
            return self._database.rows(_newest(catalogue.present), budget)
        except psycopg2.Error:
            raise PlatformError(
                self._database.system,
                "rejected",
                f"the tables of {self._database.system} change while they are read",
                remedy="Is a migration under way? It is tried again.",
            ) from None


class Unsupported:
    """A source whose engine the console can't read; each reading says so."""

    def __init__(self, system: str, engine: str) -> None:
        self._system, self._engine = system, engine

    def evidence(self, tables: Sequence[Table]) -> WarehouseReading:
        raise PlatformError(
            self._system,
            "unsupported",
            f"{self._engine} sources are not read by this console",
            remedy="Their replication is still seen through DMS; only the source's own newest stamp is not shown.",
            permanent=True,
        )


def _newest(tables: Sequence[Table]) -> sql.Composable:
    """One statement: the server's clock (no name), and the newest stamp of every table."""
    parts: list[sql.Composable] = [sql.SQL("SELECT NULL::varchar AS name, now()::timestamptz AS newest")]
    for name, relation, column in tables:
        parts.append(
            sql.SQL("SELECT {}::varchar, max({})::timestamptz FROM {}").format(
                sql.Literal(name), sql.Identifier(column), sql.Identifier(*relation.split(".", 1))
            )
        )
    return sql.SQL(" UNION ALL ").join(parts)


def _columns(tables: Sequence[Table]) -> sql.Composable:
    """Relation, column, type and estimated rows of those that exist. Works on Redshift, which has no to_regclass."""
    relations = sql.SQL(", ").join(sql.Literal(relation) for relation in sorted({table[1] for table in tables}))
    return sql.SQL(
        "SELECT n.nspname || '.' || c.relname, a.attname, t.typname, c.reltuples"
        " FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid"
        " JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
        " WHERE a.attnum > 0 AND NOT a.attisdropped AND n.nspname || '.' || c.relname IN ({})"
    ).format(relations)

"""The newest stamps of declared tables in the warehouse (Redshift), or at a PostgreSQL source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg2
from psycopg2 import sql

from console.platform.budget import Budget
from console.platform.database import Database
from console.platform.evidence import POLL_S, Changed, Column, Denied, Evidence, Stamp, Table


class Warehouse(Evidence):
    """Redshift or PostgreSQL."""

    times = frozenset({"timestamp", "timestamptz", "date"})

    def __init__(self, database: Database, *, poll_s: float = POLL_S) -> None:
        super().__init__(database.system, poll_s=poll_s)
        self._database = database

    def _columns(self, tables: Sequence[Table], budget: Budget) -> Mapping[Table, Column]:
        rows = self._database.rows(_columns(tables), budget)
        found = {(relation, column): Column(type_name, estimate) for relation, column, type_name, estimate in rows}
        return {table: found[table[1:]] for table in tables if table[1:] in found}

    def _stamps(self, tables: Sequence[Table], budget: Budget) -> Sequence[Stamp]:
        try:
            return [(name, at) for name, at in self._database.rows(_newest(tables), budget)]
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn):
            raise Changed from None
        except psycopg2.errors.InsufficientPrivilege:
            raise Denied from None


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

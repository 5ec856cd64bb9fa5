"""The newest stamps of declared tables at a MySQL or MariaDB source: evidence on pages, as for other sources.

A TIMESTAMP is a moment. A DATETIME has no zone; it is taken for UTC, as it is in the warehouse once DMS has carried it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time

from pymysql.constants import ER

from console.platform.budget import Budget
from console.platform.evidence import POLL_S, Changed, Column, Denied, Evidence, Stamp, Table
from console.platform.mysql import DENIED, NO_TABLE, Mysql, MysqlSession, Refused, Row, quoted

AT_ONCE = 250
"""Tables in one statement: MySQL takes seconds to make a plan for ten thousand."""
TABLES_S = 6.0
"""The newest stamp of a column without an index is looked for in the whole table."""

_COLUMNS = """
SELECT c.TABLE_SCHEMA, c.TABLE_NAME, c.COLUMN_NAME, c.DATA_TYPE, COALESCE(t.TABLE_ROWS, 0)
FROM information_schema.COLUMNS c
JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME
WHERE {}"""
_GONE = NO_TABLE | {ER.BAD_FIELD_ERROR}


class MysqlTables(Evidence):
    """Give it a connection of its own, with the zone +00:00: its queries may be slow."""

    times = frozenset({"timestamp", "datetime", "date"})

    def __init__(self, database: Mysql, *, poll_s: float = POLL_S) -> None:
        super().__init__(database.system, poll_s=poll_s)
        self._database = database

    def _columns(self, tables: Sequence[Table], budget: Budget) -> Mapping[Table, Column]:
        relations = sorted({tuple(relation.split(".", 1)) for _, relation, _ in tables})
        where = " OR ".join(["(c.TABLE_SCHEMA = %s AND c.TABLE_NAME = %s)"] * len(relations))
        found: dict[Table, Column] = {}
        with self._database.session(budget) as session:
            rows, _ = session.rows(_COLUMNS.format(where), [part for relation in relations for part in relation])
            # Names of columns are the same in upper and lower case; whether those of tables are is the server's own.
            known = {
                (f"{schema}.{name}", column.lower()): Column(kind, rows) for schema, name, column, kind, rows in rows
            }
            for table in tables:
                column = known.get((table[1], table[2].lower()))
                if column is None and self._hidden(session, table):
                    column = Column("hidden", 0)
                if column is not None:
                    found[table] = column
        return found

    def _hidden(self, session: MysqlSession, table: Table) -> bool:
        """Whether it may be there: the catalogue leaves out what this user has no privilege on."""
        try:
            session.rows(f"SELECT {_column(table)} FROM {quoted(table[1])} LIMIT 0")  # noqa: S608
        except Refused as error:
            if error.number not in DENIED | _GONE:
                raise
            return error.number in DENIED
        return False

    def _stamps(self, tables: Sequence[Table], budget: Budget) -> Sequence[Stamp]:
        """The clock is read first, so that a stamp may be younger than it, and never missing for having come late."""
        rows, refused = list[Row](), 0
        with self._database.session(budget) as session:
            try:
                rows, _ = session.rows("SELECT NULL, UTC_TIMESTAMP(6)")
                for part in _parts(tables, AT_ONCE):
                    selects = ["SELECT %s, " + _newest(table).replace("%", "%%") for table in part]
                    found, _ = session.rows(" UNION ALL ".join(selects), [name for name, _, _ in part])
                    rows += found
            except Refused as error:
                refused = error.number
                if refused not in DENIED | _GONE:
                    raise
        if refused:
            raise Denied if refused in DENIED else Changed
        return [(name, _moment(at)) for name, at in rows]


def _parts(tables: Sequence[Table], number: int) -> Iterator[Sequence[Table]]:
    return (tables[begin : begin + number] for begin in range(0, len(tables), number))


def _moment(at: object) -> datetime | None:
    """A union of dates alone is one of dates. A zero date is a text to PyMySQL, and no moment."""
    if isinstance(at, datetime):
        return at.replace(tzinfo=UTC)
    return datetime.combine(at, time.min, UTC) if isinstance(at, date) else None


def _newest(table: Table) -> str:
    return f"MAX({_column(table)}) FROM {quoted(table[1])}"


def _column(table: Table) -> str:
    return "`" + table[2].replace("`", "``") + "`"  # it may have a dot in its name

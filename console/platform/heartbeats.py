"""Heartbeats: one row per DMS task, written at the source in place, and read where DMS has carried it.

The write is one transaction of two statements. The first takes a transaction id, so that the snapshot of the second
is younger than it; in the second the open sessions are looked at before the prepared transactions, so that one that is
being prepared meanwhile is seen twice and not never.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import psycopg2
from psycopg2 import sql

from console.platform.budget import Budget
from console.platform.database import Database, Row
from console.platform.ports import PlatformError
from console.platform.readings import (
    ArrivalsReading,
    BeatOrder,
    BeatReading,
    HolderReading,
    PulseReading,
    SuspendedReading,
)

BEAT_S = 5.0
MARK_AHEAD_S = 0.3
"""A transaction id is taken so long before the beat: most transactions that run beside it are younger than that."""
READ_S = 8.0
CATALOGUE_S = 30.0
# DMS carries a MySQL source's moments as timestamps without a zone; they are UTC, as this connection is.
COLUMNS = "epoch, seq, beat_at::timestamptz, row_safe_before::timestamptz, prepared_count, own_xid, snapshot_xmin"

_FACTS = """
SELECT pg_current_xact_id();
WITH sessions AS MATERIALIZED (
    SELECT pid, usename, xact_start, query = '<insufficient privilege>' AS hidden
    FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND (backend_type IS NULL
        OR backend_type NOT IN ('walsender', 'autovacuum worker', 'autovacuum launcher', 'parallel worker'))
), opened AS MATERIALIZED (
    SELECT count(*) AS number, min(xact_start) AS oldest, coalesce(bool_or(hidden), false) AS hidden FROM sessions
), prepared AS MATERIALIZED (
    -- The subquery is a gate: it is evaluated before the first prepared transaction is looked at.
    SELECT count(*)::int AS number FROM pg_prepared_xacts
    WHERE (SELECT number FROM opened) >= 0 AND database = current_database()
), elsewhere AS MATERIALIZED (
    -- Transactions that are known to be of another database of this server: a snapshot's xmin counts them too.
    SELECT backend_xid::text::bigint AS xid FROM pg_stat_activity
    WHERE datname <> current_database() AND backend_xid IS NOT NULL
    UNION ALL SELECT transaction::text::bigint FROM pg_prepared_xacts WHERE database <> current_database()
), facts AS MATERIALIZED (
    SELECT now() AS beat_at,
        CASE WHEN NOT opened.hidden THEN least(opened.oldest, now()) END AS row_safe_before,
        CASE WHEN NOT opened.hidden THEN prepared.number END AS prepared_count,
        pg_current_xact_id()::text::bigint AS own_xid,
        least(
            pg_current_xact_id()::text::bigint,
            pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
            (SELECT min(running::text::bigint) FROM pg_snapshot_xip(pg_current_snapshot()) AS running
                WHERE (running::text::bigint & 4294967295) NOT IN (SELECT xid FROM elsewhere))
        ) AS snapshot_xmin,
        {timeline} AS timeline, opened.hidden
    FROM opened, prepared
)"""
_TIMELINE = "substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)"
_WRITE = """
{name} AS (
    INSERT INTO {relation} AS h
        (source_id, epoch, seq, beat_at, row_safe_before, prepared_count, own_xid, snapshot_xmin, timeline)
    SELECT {source}, {epoch} + 1, {seq} + 1, beat_at, row_safe_before, prepared_count, own_xid, snapshot_xmin, timeline
    FROM facts
    ON CONFLICT (source_id) DO UPDATE SET
        epoch = CASE WHEN h.seq < {seq} OR h.epoch < {epoch} OR h.timeline <> excluded.timeline
            THEN greatest(h.epoch, {epoch}) + 1 ELSE h.epoch END,
        seq = greatest(h.seq, {seq}) + 1, beat_at = excluded.beat_at, row_safe_before = excluded.row_safe_before,
        prepared_count = excluded.prepared_count, own_xid = excluded.own_xid,
        snapshot_xmin = excluded.snapshot_xmin,
        timeline = excluded.timeline
    RETURNING {task}::text AS task, epoch, seq, beat_at, row_safe_before, prepared_count, own_xid,
        snapshot_xmin
)"""


class Pulse:
    """A PostgreSQL source. Safe for threads. Raises PlatformError."""

    def __init__(self, database: Database, *, beat_s: float = BEAT_S, ahead_s: float = MARK_AHEAD_S) -> None:
        self._database = database
        self._beat_s = beat_s
        self._ahead_s = ahead_s
        self._timeline = True

    def beat(self, source: str, orders: Sequence[BeatOrder]) -> PulseReading:
        """Write them. A row that went back, was restored or is of another timeline begins a new epoch by itself."""
        budget = Budget(self._database.system, self._beat_s)
        try:
            return self._beat(source, orders, (), budget)
        except psycopg2.errors.UndefinedTable:
            there = self._there(orders, budget)
            missing = tuple(order.task for order in orders if order not in there)
            return self._beat(source, there, missing, budget) if there else PulseReading((), missing)
        except psycopg2.errors.InsufficientPrivilege:
            raise self._refused(orders, budget) from None

    def _beat(self, source: str, orders: Sequence[BeatOrder], missing: tuple[str, ...], budget: Budget) -> PulseReading:
        if not orders:
            return PulseReading((), missing)
        ((xid, at),) = self._database.rows(sql.SQL("SELECT pg_current_xact_id()::text::bigint, now()"), budget)
        mark = (int(xid), _utc(at))
        time.sleep(self._ahead_s)
        rows = self._written(source, orders, budget)
        me, hidden, pid, user, since = rows[0][:5]
        beats = tuple(_beat_of(row[5], row[6:]) for row in rows)
        holder = HolderReading(pid, str(user), since.astimezone(UTC)) if since is not None else None
        if not hidden:
            return PulseReading(beats, missing, holder, mark)
        return PulseReading(
            beats,
            missing,
            None,
            mark,
            blind=f"the console's user {me} may not see when other sessions' transactions began",
            remedy=f'GRANT pg_read_all_stats TO "{me}";',
        )

    def _written(self, source: str, orders: Sequence[BeatOrder], budget: Budget) -> list[Row]:
        try:
            return self._database.rows(_statement(source, orders, self._timeline), budget)
        except PlatformError as error:
            if error.code != "rejected" or not self._timeline:
                raise
            self._timeline = False  # Aurora has no names of WAL files
            return self._database.rows(_statement(source, orders, self._timeline), budget)

    def _there(self, orders: Sequence[BeatOrder], budget: Budget) -> list[BeatOrder]:
        names = sql.SQL(", ").join(sql.SQL("to_regclass({})").format(sql.Literal(_quoted(o.relation))) for o in orders)
        (row,) = self._database.rows(sql.SQL("SELECT {}").format(names), budget)
        return [order for order, found in zip(orders, row, strict=True) if found is not None]

    def _refused(self, orders: Sequence[BeatOrder], budget: Budget) -> PlatformError:
        relations = ", ".join(order.relation for order in orders)
        schemas = ", ".join(sorted({order.relation.split(".")[0] for order in orders}))
        ((user,),) = self._database.rows(sql.SQL("SELECT current_user::text"), budget)
        return PlatformError(
            self._database.system,
            "forbidden",
            f"the console's user {user} may not write its heartbeats into {relations}",
            remedy=f'GRANT USAGE ON SCHEMA {schemas} TO "{user}"; '
            f'GRANT SELECT, INSERT, UPDATE ON {relations} TO "{user}";',
            permanent=True,
        )


def _statement(source: str, orders: Sequence[BeatOrder], timeline: bool) -> sql.Composable:
    writes = [
        sql.SQL(_WRITE).format(
            name=sql.Identifier(f"beat{number}"),
            relation=sql.Identifier(*order.relation.split(".", 1)),
            source=sql.Literal(source),
            epoch=sql.Literal(order.last_epoch),
            seq=sql.Literal(order.last_seq),
            task=sql.Literal(order.task),
        )
        for number, order in enumerate(orders)
    ]
    written = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT * FROM {}").format(sql.Identifier(f"beat{number}")) for number in range(len(orders))
    )
    facts = sql.SQL(_FACTS.replace("{timeline}", _TIMELINE if timeline else "''::text"))
    return sql.SQL(
        "{}, {} SELECT current_user::text, facts.hidden, holder.pid, holder.usename,"
        " holder.xact_start, written.* FROM facts"
        " CROSS JOIN ({}) AS written LEFT JOIN LATERAL (SELECT * FROM sessions WHERE xact_start IS NOT NULL"
        " ORDER BY xact_start LIMIT 1) AS holder ON true"
    ).format(facts, sql.SQL(", ").join(writes), written)


class Arrivals:
    """The warehouse: Redshift or PostgreSQL. Safe for threads. Raises PlatformError."""

    def __init__(self, database: Database, *, read_s: float = READ_S) -> None:
        self._database = database
        self._read_s = read_s
        self._lock = threading.Lock()
        self._known: tuple[float, tuple[str, ...], frozenset[str]] = (0.0, (), frozenset())

    def arrivals(self, sources: Sequence[tuple[str, str, str, str, tuple[str, ...]]]) -> ArrivalsReading:
        """The rows of `(source, task, schema.table, control schema, names)`; those that are not there are `missing`.

        `names`: what DMS may call the task in its control tables (its identifier, its resource id).
        """
        began_s = time.monotonic()
        budget = Budget(self._database.system, self._read_s)
        wanted = sorted(
            {relation for _, _, relation, _, _ in sources}
            | {f"{schema}.{table}" for *_, schema, _ in sources for table in (SUSPENDED, EXCEPTIONS)}
        )
        there = self._there(tuple(wanted), budget)
        beats = [(source, task, relation) for source, task, relation, _, _ in sources if relation in there]
        try:
            rows = self._database.rows(_newest(beats), budget) if beats else []
            wait_s = time.monotonic() - began_s
            suspended, exceptions = self._control(sources, there, budget)
        except (psycopg2.errors.UndefinedTable, psycopg2.errors.UndefinedColumn):
            self._forget()
            raise PlatformError(
                self._database.system,
                "rejected",
                "a heartbeat table of the warehouse changes while it is read",
                remedy="Is it being loaded anew? It is tried again.",
            ) from None
        except psycopg2.errors.InsufficientPrivilege:
            self._forget()
            schemas = ", ".join(sorted({relation.split(".")[0] for *_, relation in beats}))
            raise PlatformError(
                self._database.system,
                "forbidden",
                "the console's user may not read the heartbeats in the warehouse",
                remedy=f"GRANT USAGE ON SCHEMA {schemas} and GRANT SELECT ON its heartbeat tables to it: "
                "manage.py freshness install SOURCE --side warehouse prints both.",
                permanent=True,
            ) from None
        return ArrivalsReading(
            beats=tuple(_beat_of(row[0], row[1:]) for row in rows),
            missing=tuple(task for _, task, relation, _, _ in sources if relation not in there),
            suspended=suspended,
            exceptions=exceptions,
            wait_s=wait_s,
        )

    def _there(self, wanted: tuple[str, ...], budget: Budget) -> frozenset[str]:
        with self._lock:
            until_s, asked, found = self._known
        if asked == wanted and until_s > time.monotonic():
            return found
        relations = sql.SQL(", ").join(map(sql.Literal, wanted))
        query = sql.SQL(
            "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
            " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname || '.' || c.relname IN ({})"
        ).format(relations)
        found = frozenset(row[0] for row in self._database.rows(query, budget)) if wanted else frozenset()
        # A table that is not there yet is looked for each time: the first beat shall not wait.
        with self._lock:
            self._known = (time.monotonic() + CATALOGUE_S if found else 0.0, wanted, found)
        return found

    def _forget(self) -> None:
        with self._lock:
            self._known = (0.0, (), frozenset())

    def _control(
        self, sources: Sequence[tuple[str, str, str, str, tuple[str, ...]]], there: frozenset[str], budget: Budget
    ) -> tuple[tuple[SuspendedReading, ...], tuple[tuple[str, int], ...]]:
        """DMS' control tables, where they exist; it writes its times there in UTC and without a zone."""
        parts: list[sql.Composable] = []
        for _, task, _, schema, names in sources:
            known = sql.SQL(", ").join(map(sql.Literal, names))
            if f"{schema}.{SUSPENDED}" in there:
                parts.append(
                    sql.SQL(
                        "SELECT {}::varchar AS task, table_owner::varchar AS owner, table_name::varchar AS name,"
                        " max(suspend_timestamp)::timestamp AS at, 0::bigint AS number FROM {}"
                        " WHERE task_name IN ({}) GROUP BY table_owner, table_name"
                    ).format(sql.Literal(task), sql.Identifier(schema, SUSPENDED), known)
                )
            if f"{schema}.{EXCEPTIONS}" in there:
                parts.append(
                    sql.SQL(
                        "SELECT {}::varchar, NULL::varchar, NULL::varchar, NULL::timestamp, count(*) FROM {}"
                        ' WHERE "TASK_NAME" IN ({})'
                    ).format(sql.Literal(task), sql.Identifier(schema, EXCEPTIONS), known)
                )
        rows = self._database.rows(sql.SQL(" UNION ALL ").join(parts), budget) if parts else []
        suspended = tuple(
            SuspendedReading(task, owner, name, at.replace(tzinfo=UTC)) for task, owner, name, at, _ in rows if name
        )
        return suspended, tuple((task, int(number)) for task, _, name, _, number in rows if not name)


SUSPENDED, EXCEPTIONS = "awsdms_suspended_tables", "awsdms_apply_exceptions"


def _newest(beats: Sequence[tuple[str, str, str]]) -> sql.Composable:
    return sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {}::varchar AS task, {} FROM {} WHERE source_id = {}").format(
            sql.Literal(task), sql.SQL(COLUMNS), sql.Identifier(*relation.split(".", 1)), sql.Literal(source)
        )
        for source, task, relation in beats
    )


def _beat_of(task: str, row: Row) -> BeatReading:
    epoch, seq, beat_at, row_safe_before, prepared, own_xid, xmin = row
    return BeatReading(task, epoch, seq, _utc(beat_at), _safe(row_safe_before), prepared, own_xid, xmin)


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _safe(at: datetime | None) -> datetime | None:
    return None if at is None else _utc(at)


def _quoted(relation: str) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in relation.split(".", 1))

"""The two ends of the replication: publication and slots at the source, tables and subscription at the warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection

HEARTBEATS = "quarterdeck"
"""The schema of the console's heartbeat tables."""


@dataclass(frozen=True)
class Link:
    """One DMS task's stand-in: what its publication, subscription and slots are called."""

    task: str
    name: str  # of the publication and the subscription, and so of the subscription's slot
    counting_slot: str
    owner: str = "loader"  # of the tables at the warehouse
    instance: str = "shop-replication"


SHOP = Link("shop-cdc", "warehouse", "counting")
BILLING = Link("billing-cdc", "billing", "counting_billing", instance="billing-replication")
LINKS = {link.task: link for link in (SHOP, BILLING)}

COLUMNS = """
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       coalesce(a.attnum = ANY (i.indkey), false) AS in_key
FROM pg_attribute a LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def connect(url: str) -> connection:
    """A connection in autocommit mode that never waits for long."""
    opened = psycopg2.connect(url, connect_timeout=3, application_name="replication")
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute("SET statement_timeout = '20s'; SET log_min_messages = 'fatal'")
    return opened


def rows(server: connection, query: str | sql.Composable, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    with server.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


def prepare_source(source: connection, link: Link) -> None:
    """The publication of everything in `public` and of the heartbeats, and the slot whose log is counted."""
    name = sql.Identifier(link.name)
    rows(source, sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(HEARTBEATS)))
    if not rows(source, "SELECT 1 FROM pg_publication WHERE pubname = %s", [link.name]):
        rows(source, sql.SQL("CREATE PUBLICATION {} FOR TABLES IN SCHEMA public").format(name))
    if not rows(
        source,
        "SELECT 1 FROM pg_publication_namespace n JOIN pg_publication p ON p.oid = n.pnpubid "
        "JOIN pg_namespace s ON s.oid = n.pnnspid WHERE p.pubname = %s AND s.nspname = %s",
        [link.name, HEARTBEATS],
    ):
        added = sql.SQL("ALTER PUBLICATION {} ADD TABLES IN SCHEMA {}").format(name, sql.Identifier(HEARTBEATS))
        rows(source, added)
    known = rows(source, "SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", [link.counting_slot])
    if known and known[0][0] == "lost":  # the log it needs is gone: count from here
        rows(source, "SELECT pg_drop_replication_slot(%s)", [link.counting_slot])
        known = []
    if not known:
        rows(source, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", [link.counting_slot])


def published(source: connection, link: Link) -> list[str]:
    """`schema.table` of each published table that has a key."""
    found = rows(
        source,
        "SELECT p.schemaname || '.' || p.tablename FROM pg_publication_tables p WHERE p.pubname = %s AND EXISTS "
        "(SELECT 1 FROM pg_index i WHERE i.indisprimary AND i.indrelid = "
        "(quote_ident(p.schemaname) || '.' || quote_ident(p.tablename))::regclass) ORDER BY 1",
        [link.name],
    )
    return [row[0] for row in found]


def identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split(".", 1))


def row_count(server: connection, table: str) -> int:
    return int(rows(server, sql.SQL("SELECT count(*) FROM {}").format(identifier(table)))[0][0])


def create_missing(source: connection, warehouse: connection, tables: list[str], owner: str) -> bool:
    """Make each published table at the warehouse that is not there, as DMS does. True when there was one."""
    made = False
    for table in tables:
        if rows(warehouse, "SELECT to_regclass(%s)", [table])[0][0] is not None:
            continue
        schema = sql.Identifier(table.split(".", 1)[0])
        rows(warehouse, sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
        rows(warehouse, sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(schema, sql.Identifier(owner)))
        columns = rows(source, COLUMNS, [table])
        parts = [
            sql.SQL("{} {}{}").format(sql.Identifier(name), sql.SQL(kind), sql.SQL(" NOT NULL" if required else ""))
            for name, kind, required, _ in columns
        ]
        key = sql.SQL(", ").join(sql.Identifier(name) for name, _, _, in_key in columns if in_key)
        parts.append(sql.SQL("PRIMARY KEY ({})").format(key))
        rows(warehouse, sql.SQL("CREATE TABLE {} ({})").format(identifier(table), sql.SQL(", ").join(parts)))
        rows(warehouse, sql.SQL("ALTER TABLE {} OWNER TO {}").format(identifier(table), sql.Identifier(owner)))
        made = True
    return made


def subscribe(warehouse: connection, source_url: str, link: Link) -> None:
    """The subscription, with the source's address of this start."""
    name = sql.Identifier(link.name)
    if rows(warehouse, "SELECT 1 FROM pg_subscription WHERE subname = %s", [link.name]):
        rows(warehouse, sql.SQL("ALTER SUBSCRIPTION {} CONNECTION %s").format(name), [source_url])
        return
    rows(
        warehouse,
        sql.SQL(
            "CREATE SUBSCRIPTION {} CONNECTION %s PUBLICATION {} WITH (disable_on_error = true, streaming = off)"
        ).format(name, sql.Identifier(link.name)),
        [source_url],
    )


def refresh(warehouse: connection, link: Link) -> None:
    """Take in tables that were published since. Needs an enabled subscription."""
    rows(warehouse, sql.SQL("ALTER SUBSCRIPTION {} REFRESH PUBLICATION").format(sql.Identifier(link.name)))


def enable(warehouse: connection, link: Link, on: bool) -> None:
    verb = sql.SQL("ENABLE" if on else "DISABLE")
    rows(warehouse, sql.SQL("ALTER SUBSCRIPTION {} {}").format(sql.Identifier(link.name), verb))


def is_enabled(warehouse: connection, link: Link) -> bool:
    return bool(rows(warehouse, "SELECT subenabled FROM pg_subscription WHERE subname = %s", [link.name])[0][0])


def reload(warehouse: connection, link: Link, table: str) -> None:
    """Let a table be copied anew, as DMS does: emptied first, and told apart from its first load by nothing."""
    enabled = is_enabled(warehouse, link)
    if enabled:
        enable(warehouse, link, False)
    rows(warehouse, sql.SQL("TRUNCATE {}").format(identifier(table)))
    rows(
        warehouse,
        "UPDATE pg_subscription_rel SET srsubstate = 'i', srsublsn = NULL WHERE srrelid = %s::regclass AND srsubid = "
        "(SELECT oid FROM pg_subscription WHERE subname = %s)",
        [table, link.name],
    )
    if enabled:
        enable(warehouse, link, True)


def load_states(warehouse: connection, link: Link) -> dict[str, str]:
    """srsubstate of each subscribed table, by `schema.table`."""
    found = rows(
        warehouse,
        "SELECT n.nspname || '.' || c.relname, r.srsubstate FROM pg_subscription_rel r "
        "JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_subscription s ON s.oid = r.srsubid WHERE s.subname = %s",
        [link.name],
    )
    return dict(found)


def applied_lsn(warehouse: connection, link: Link) -> str | None:
    """How far the warehouse is in the source's log."""
    found = rows(
        warehouse,
        "SELECT pg_replication_origin_progress('pg_' || oid, false)::text FROM pg_subscription WHERE subname = %s",
        [link.name],
    )
    return found[0][0] if found else None


def source_positions(source: connection, link: Link) -> tuple[str | None, str | None]:
    """What the warehouse confirmed, and what was sent to it (None while nothing is connected)."""
    found = rows(
        source,
        "SELECT s.confirmed_flush_lsn::text, r.sent_lsn::text FROM pg_replication_slots s "
        "LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = %s",
        [link.name],
    )
    return found[0] if found else (None, None)


def read_log(source: connection, link: Link) -> list[bytes]:
    """The log since the counting slot's place, without consuming it."""
    found = rows(
        source,
        "SELECT data FROM pg_logical_slot_peek_binary_changes(%s, NULL, NULL, 'proto_version', '1', "
        "'publication_names', %s)",
        [link.counting_slot, link.name],
    )
    return [bytes(row[0]) for row in found]


def forget_log(source: connection, link: Link, through: str) -> None:
    """Let the source drop its log up to `through`."""
    rows(
        source,
        "SELECT pg_replication_slot_advance(slot_name, %s) FROM pg_replication_slots "
        "WHERE slot_name = %s AND confirmed_flush_lsn < %s AND pg_current_wal_flush_lsn() >= %s",
        [through, link.counting_slot, through, through],
    )

"""The statements that write many rows at once. Rows are locked in the order of their names: no deadlocks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import connection

_HEARTBEATS = """
INSERT INTO fleets_worker AS w (
    node, host, host_key, instance_id, zone, version, home, serves, first_seen_at,
    seen_at, goodbye_at, pid, active, processed, load1, progress_at,
    unanswered, state, state_since, reason, overdue)
SELECT node, host, host_key, '', '', '', '', '{}', seen_at,
       seen_at, goodbye_at, pid, active, processed, load1, seen_at,
       0, 'unknown', seen_at, 'it has only just been seen', false
FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[], %s::int[], %s::int[],
            %s::bigint[], %s::float8[])
     AS h(node, host, host_key, seen_at, goodbye_at, pid, active, processed, load1)
ORDER BY node
ON CONFLICT (node) DO UPDATE SET
    seen_at = excluded.seen_at,
    goodbye_at = coalesce(excluded.goodbye_at, w.goodbye_at),
    pid = coalesce(excluded.pid, w.pid),
    active = coalesce(excluded.active, w.active),
    processed = coalesce(excluded.processed, w.processed),
    load1 = coalesce(excluded.load1, w.load1),
    progress_at = CASE
        WHEN w.progress_at IS NULL OR w.pid IS DISTINCT FROM excluded.pid
          OR w.processed IS DISTINCT FROM excluded.processed OR w.active IS DISTINCT FROM excluded.active
        THEN excluded.seen_at ELSE w.progress_at END,
    archived_at = CASE WHEN excluded.goodbye_at IS NULL THEN NULL ELSE w.archived_at END
WHERE w.seen_at IS NULL OR w.seen_at <= excluded.seen_at
"""


def write_heartbeats(columns: Sequence[Sequence[Any]]) -> None:
    """The newest heartbeat of each worker: node, host, host key, seen_at, goodbye_at, pid, active, processed, load."""
    with connection.cursor() as cursor:
        cursor.execute(_HEARTBEATS, [list(column) for column in columns])


def as_json(rows: Any) -> str:
    """Rows as one parameter, for `jsonb_to_recordset`."""
    return json.dumps(rows, default=_plain)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()  # in full: what is read back must equal what was written
    raise TypeError(f"can't be written: {type(value).__name__}")


def update_rows(
    table: str, key: str, columns: Mapping[str, str], rows: Iterable[Mapping[str, Any]], *, key_type: str = "text"
) -> None:
    """UPDATE many rows by one statement: each row holds `key` and every column (`{name: PostgreSQL's type}`).

    Table and column names are the code's own, never data.
    """
    rows = list(rows)
    if not rows:
        return
    typed = ", ".join(f'"{name}" {kind}' for name, kind in {key: key_type, **columns}.items())
    sets = ", ".join(f'"{name}" = r."{name}"' for name in columns)
    lock = f'SELECT 1 FROM {table} WHERE "{key}" = ANY(%s) ORDER BY "{key}" FOR UPDATE'  # noqa: S608
    update = f'UPDATE {table} t SET {sets} FROM jsonb_to_recordset(%s::jsonb) r({typed}) WHERE t."{key}" = r."{key}"'  # noqa: S608
    with connection.cursor() as cursor:
        cursor.execute(lock, [[row[key] for row in rows]])
        cursor.execute(update, [as_json(rows)])

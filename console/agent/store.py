"""The agents' part of the lease store: a schema of its own on Airflow's metadata database server (`LEASE_URL`).

Agents report who they are (`agent`) and how their process ended (`receipt`); the console reads both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg2
import psycopg2.extensions

SCHEMA = """
CREATE SCHEMA IF NOT EXISTS quarterdeck;
CREATE TABLE IF NOT EXISTS quarterdeck.agent (
    name text PRIMARY KEY,
    kind text NOT NULL,
    host text NOT NULL,
    run_id uuid NOT NULL,
    pid integer NOT NULL,
    child_pid integer,
    state text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}',
    started_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS quarterdeck.receipt (
    run_id uuid PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL,
    host text NOT NULL,
    child_pid integer NOT NULL,
    exit_code integer,
    signal integer,
    asked boolean NOT NULL,
    tasks_finished bigint,
    started_at timestamptz NOT NULL,
    exited_at timestamptz NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS receipt_by_name ON quarterdeck.receipt (name, exited_at DESC);
"""

LOCK = 0x71_64_61_67  # "qdag": two agents that make the schema at once would else collide


def connect(url: str, *, timeout_s: int = 3, statement_s: float = 3.0) -> psycopg2.extensions.connection:
    """An autocommit connection in which no statement takes longer than `statement_s`."""
    connection = psycopg2.connect(
        url,
        connect_timeout=timeout_s,
        application_name="quarterdeck-agent",
        # A process frozen inside a transaction would keep its row locks, and with them everybody from the lease.
        options=f"-c statement_timeout={int(statement_s * 1000)} -c lock_timeout={int(statement_s * 1000)}"
        " -c idle_in_transaction_session_timeout=2000",
        keepalives_idle=5,
        keepalives_interval=2,
        keepalives_count=2,
        tcp_user_timeout=int(statement_s * 2000),
    )
    connection.autocommit = True
    return connection


def install(url: str, more: str = "", last_table: str = "receipt") -> None:
    """Make the schema where it is missing. Needs CREATE on the database; later starts need only its tables."""
    connection = connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass(%s) IS NOT NULL", (f"quarterdeck.{last_table}",))
            row = cursor.fetchone()
            if row and row[0]:
                return
            cursor.execute(f"BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {SCHEMA} {more} COMMIT")
    finally:
        connection.close()


@dataclass(frozen=True)
class Receipt:
    """How a supervised process ended. Times are seconds since the epoch, on the host's clock."""

    run_id: str
    name: str
    kind: str
    host: str
    child_pid: int
    exit_code: int | None  # None when a signal ended it
    signal: int | None
    asked: bool  # it was told to stop, or stopped by itself with exit code 0
    tasks_finished: int | None  # None: not known
    started_at_s: float
    exited_at_s: float

    @property
    def clean(self) -> bool:
        """It ended by itself after its work: exit code 0."""
        return self.exit_code == 0


@dataclass(frozen=True)
class Report:
    """What an agent says of itself, every few seconds."""

    name: str
    kind: str
    host: str
    run_id: str
    pid: int
    child_pid: int | None
    state: str
    detail: Mapping[str, Any] = field(default_factory=dict)


def write_report(connection: psycopg2.extensions.connection, report: Report) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quarterdeck.agent (name, kind, host, run_id, pid, child_pid, state, detail)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, host = excluded.host, pid = excluded.pid,
                child_pid = excluded.child_pid, state = excluded.state, detail = excluded.detail, seen_at = now(),
                started_at = CASE WHEN agent.run_id = excluded.run_id THEN agent.started_at ELSE now() END,
                run_id = excluded.run_id
            """,
            (
                report.name,
                report.kind,
                report.host,
                report.run_id,
                report.pid,
                report.child_pid,
                report.state,
                json.dumps(dict(report.detail)),
            ),
        )


def write_receipt(connection: psycopg2.extensions.connection, receipt: Receipt) -> None:
    """Idempotent: the same run's receipt is written once."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO quarterdeck.receipt (run_id, name, kind, host, child_pid, exit_code, signal, asked,
                tasks_finished, started_at, exited_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, to_timestamp(%s), to_timestamp(%s))
            ON CONFLICT (run_id) DO NOTHING
            """,
            (
                receipt.run_id,
                receipt.name,
                receipt.kind,
                receipt.host,
                receipt.child_pid,
                receipt.exit_code,
                receipt.signal,
                receipt.asked,
                receipt.tasks_finished,
                receipt.started_at_s,
                receipt.exited_at_s,
            ),
        )

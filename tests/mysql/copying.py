"""What stands in for DMS: a source's binary log, read as DMS reads it, into a warehouse of PostgreSQL.

Transactions are applied one by one, or, as DMS' batch apply does, a round of them table by table, where the heartbeat
arrives before the rows that it stands behind. Prepared (XA) transactions are in the log at their PREPARE and are kept
until their COMMIT. How far it got is in the warehouse itself; after a crash it goes on from there.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pymysql
from psycopg2 import sql
from pymysqlreplication import BinLogStreamReader
from pymysqlreplication.event import GtidEvent, MariadbGtidEvent, QueryEvent, XAPrepareEvent, XidEvent
from pymysqlreplication.row_event import DeleteRowsEvent, RowsEvent, UpdateRowsEvent, WriteRowsEvent

from tests.mysql.server import MysqlServer

USER = "dms"
ROUND_S = 0.1

Change = tuple[str, str, dict[str, Any]]  # schema.table, whether it is "put" or "gone", the row


class Crash(Exception):
    """The task ends amid its work, as by a failure."""


@dataclass(frozen=True)
class Carried:
    """A table of the source, its place in the warehouse and its key."""

    relation: str
    key: str


@dataclass
class Transaction:
    """Committed changes and where the log goes on behind them; prepared ones that are still open there."""

    changes: list[Change]
    file: str
    position: int
    prepared: dict[str, list[Change]] = field(default_factory=dict)


class Copy:
    """A task that copies tables. `paused`: it does nothing. `crashes`: the chance that a step ends in a crash."""

    def __init__(self, source: MysqlServer, url: str, tables: Mapping[str, Carried], pick: random.Random) -> None:
        self._source, self._url, self._tables, self._pick = source, url, tables, pick
        self.paused = threading.Event()
        self.batches = True
        self.crashes = 0.0
        self.started_at = datetime.now(UTC)  # of its present run
        self.applied = self.ended = 0
        self.errors: list[BaseException] = []

    def install(self) -> None:
        """Its user at the source, and in the warehouse where it begins."""
        self._source.run(
            f"CREATE USER {USER}@'127.0.0.%' IDENTIFIED BY 'carry'",
            f"GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO {USER}@'127.0.0.%'",
        )
        status = "SHOW MASTER STATUS" if self._source.mariadb else "SHOW BINARY LOG STATUS"
        ((file, position, *_),) = self._source.run(status)
        with self._warehouse() as warehouse, warehouse.cursor() as cursor:
            cursor.execute("CREATE TABLE copied (file text, position bigint, prepared jsonb)")
            cursor.execute("INSERT INTO copied VALUES (%s, %s, '{}')", [file, position])

    def work(self, stop: threading.Event) -> None:
        """Until it is told to stop; a crash begins a new run."""
        while not stop.wait(ROUND_S):
            if self.paused.is_set():
                continue
            try:
                self.round()
            except Crash:
                self.ended += 1
                self.started_at = datetime.now(UTC)
            except BaseException as error:
                self.errors.append(error)
                raise

    def round(self) -> None:
        """All that the log holds now."""
        warehouse = self._warehouse()
        try:
            with warehouse.cursor() as cursor:
                cursor.execute("SELECT file, position, prepared FROM copied")
                file, position, prepared = cursor.fetchone()
                found = self._transactions(file, position, prepared)
                if self.batches and self._pick.random() < 0.5:
                    self._by_table(warehouse, cursor, list(found))
                else:
                    for transaction in found:
                        self._apply(cursor, transaction.changes)
                        self._note(cursor, transaction)
                        self._step()
                        warehouse.commit()
        finally:
            warehouse.close()

    def _by_table(self, warehouse: Any, cursor: Any, found: list[Transaction]) -> None:
        if not found:
            return
        changes = [change for transaction in found for change in transaction.changes]
        heartbeats_first = sorted({relation for relation, _, _ in changes}, key=lambda name: "heartbeat" not in name)
        for relation in heartbeats_first:
            self._apply(cursor, [change for change in changes if change[0] == relation])
            warehouse.commit()
            self._step()
        self._note(cursor, found[-1])
        warehouse.commit()

    def _step(self) -> None:
        if self._pick.random() < self.crashes:
            raise Crash

    def _apply(self, cursor: Any, changes: list[Change]) -> None:
        for name, how, row in changes:
            carried = self._tables[name]
            relation, key = sql.Identifier(*carried.relation.split(".", 1)), sql.Identifier(carried.key)
            if how == "gone":
                cursor.execute(sql.SQL("DELETE FROM {} WHERE {} = %s").format(relation, key), [row[carried.key]])
                continue
            columns = sql.SQL(", ").join(map(sql.Identifier, row))
            values = sql.SQL(", ").join([sql.Placeholder()] * len(row))
            into = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET ({}) = ROW ({})")
            cursor.execute(into.format(relation, columns, values, key, columns, values), [*row.values(), *row.values()])
            self.applied += 1

    def _note(self, cursor: Any, transaction: Transaction) -> None:
        cursor.execute(
            "UPDATE copied SET file = %s, position = %s, prepared = %s",
            [transaction.file, transaction.position, json.dumps(transaction.prepared, default=str)],
        )

    def _transactions(self, file: str, position: int, prepared: dict[str, list[Change]]) -> Iterator[Transaction]:
        stream = BinLogStreamReader(
            {"host": "127.0.0.1", "port": self._source.port, "user": USER, "password": "carry"},
            server_id=99,
            resume_stream=True,
            log_file=file,
            log_pos=position,
            only_events=[
                QueryEvent, XidEvent, XAPrepareEvent, GtidEvent, MariadbGtidEvent,
                WriteRowsEvent, UpdateRowsEvent, DeleteRowsEvent,
            ],
            enable_logging=False,
            pymysql_wrapper=_connect,
        )  # fmt: skip
        changes: list[Change] = []
        try:
            for event in stream:
                done: list[Change] | None = None
                if isinstance(event, RowsEvent):
                    changes += self._changes(event)
                elif isinstance(event, GtidEvent | MariadbGtidEvent):
                    changes = []
                elif isinstance(event, XAPrepareEvent) and not event.one_phase:
                    prepared = {**prepared, _xid(event): changes}
                    done = []
                elif isinstance(event, XidEvent | XAPrepareEvent) or event.query == "COMMIT":
                    done = changes
                elif event.query.startswith(("XA COMMIT ", "XA ROLLBACK ")):
                    _, word, name = event.query.split(" ", 2)
                    held = prepared[name]
                    prepared = {other: rows for other, rows in prepared.items() if other != name}
                    done = held if word == "COMMIT" else []
                if done is not None:
                    yield Transaction(done, stream.log_file, event.packet.log_pos, prepared)
                    changes = []
        finally:
            stream.close()

    def _changes(self, event: RowsEvent) -> Iterator[Change]:
        name = f"{event.schema}.{event.table}"
        if name in self._tables:
            for row in event.rows:
                gone = isinstance(event, DeleteRowsEvent)
                yield name, "gone" if gone else "put", row.get("after_values") or row["values"]

    def _warehouse(self) -> Any:
        return psycopg2.connect(self._url)


def _connect(db: str | None = None, **settings: Any) -> Any:
    """The reader still says `db`, which PyMySQL now calls `database`."""
    return pymysql.connect(database=db, **settings)


def _xid(event: XAPrepareEvent) -> str:
    """As XA COMMIT writes it into the log."""
    return f"X'{event.xid_gtrid.hex()}',X'{event.xid_bqual.hex()}',{event.xid_format_id}"

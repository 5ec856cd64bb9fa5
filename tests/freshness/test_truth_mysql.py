"""The same from MySQL and MariaDB: real servers, their binary log carried into a warehouse as DMS does.

Writers stamp and commit rows, some in long transactions, some prepared (XA) and left by their session, some after a
wait for a lock; the task is paused, crashes amid a transaction or a batch, and applies in batches at times.
`TRUTH_S=600` does so for ten minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from django.utils import timezone

from console.platform import heartbeat_ddl
from console.platform.database import Database
from console.platform.declared import TableDeclared, TaskDeclared
from console.platform.heartbeats import Arrivals
from console.platform.heartbeats_mysql import MysqlPulse
from console.platform.mysql import Mysql
from console.platform.readings import ReplicationTaskReading, TableStatistics
from tests.freshness import made
from tests.freshness.truth import Console, hold, until_complete, watch
from tests.mysql.copying import Carried, Copy
from tests.mysql.server import KINDS, MysqlServer, server
from tests.platform.test_heartbeats import ADMIN, run

LASTS_S = float(os.environ.get("TRUTH_S", "10"))
TASK = TaskDeclared("shop-cdc", "shop", "shop-cdc")
STAMPED = TableDeclared("shop.shop.stamped", TASK.name, "public.stamped", "stamped_at", 300, (), 0.1)
INSERT = "INSERT INTO stamped (stamped_at) VALUES (UTC_TIMESTAMP(6))"  # the moment at which the statement begins

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(LASTS_S * 2 + 240)]


@dataclass
class Writers:
    """What writes to the source, and when it learnt that its commits were done."""

    db: MysqlServer
    stop: threading.Event = field(default_factory=threading.Event)
    calm: threading.Event = field(default_factory=threading.Event)  # nothing that takes long any more
    committed_at: dict[int, datetime] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def start(self) -> list[threading.Thread]:
        works = (self._short, self._long, self._prepared, self._locking)
        threads = [threading.Thread(target=self._guarded, args=(work, number)) for number, work in enumerate(works)]
        for thread in threads:
            thread.start()
        return threads

    def _guarded(self, work: Callable[[random.Random], None], number: int) -> None:
        try:
            pick = random.Random(number)
            while not self.stop.is_set():
                if work == self._short or not self.calm.wait(pick.uniform(0, 1.5)):
                    work(pick)
                    self.done[work.__name__] = self.done.get(work.__name__, 0) + 1
                else:
                    self.stop.wait(0.2)
        except BaseException as error:
            self.errors.append(error)

    def _session(self) -> Any:
        return closing(self.db.connect(database="shop"))

    def _committed(self, ids: Sequence[int]) -> None:
        self.committed_at.update(dict.fromkeys(ids, datetime.now(UTC)))

    def _short(self, pick: random.Random) -> None:
        with self._session() as session, session.cursor() as cursor:
            for _ in range(20):
                cursor.execute(INSERT)
                self._committed([cursor.lastrowid])
                time.sleep(pick.uniform(0.01, 0.08))

    def _long(self, pick: random.Random) -> None:
        with self._session() as session, session.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(INSERT)
            ids = [cursor.lastrowid]
            self.stop.wait(pick.uniform(0.3, 3))
            cursor.execute(INSERT)
            ids.append(cursor.lastrowid)
            if pick.random() < 0.2:
                cursor.execute("ROLLBACK")
            else:
                cursor.execute("COMMIT")
                self._committed(ids)

    def _prepared(self, pick: random.Random) -> None:
        """In between no session has it; at times its own has gone for good."""
        name = f"'{pick.random()}','{threading.get_ident()}'"
        with self._session() as session, session.cursor() as cursor:
            cursor.execute(f"XA START {name}")
            cursor.execute(INSERT)
            ids = [cursor.lastrowid]
            cursor.execute(f"XA END {name}")
            cursor.execute(f"XA PREPARE {name}")
            if pick.random() < 0.5:
                self.stop.wait(pick.uniform(0.1, 2))
                self._end(cursor, name, ids, pick)
                return
        self.stop.wait(pick.uniform(0.1, 2))
        with self._session() as session, session.cursor() as cursor:
            self._end(cursor, name, ids, pick)

    def _end(self, cursor: Any, name: str, ids: Sequence[int], pick: random.Random) -> None:
        if pick.random() < 0.2:
            cursor.execute(f"XA ROLLBACK {name}")
            return
        cursor.execute(f"XA COMMIT {name}")
        self._committed(ids)

    def _locking(self, pick: random.Random) -> None:
        """A statement that waits for it has its stamp already and no transaction yet."""
        with self._session() as locking, self._session() as waiting, locking.cursor() as cursor:
            cursor.execute("LOCK TABLES stamped WRITE")

            def insert() -> None:
                with waiting.cursor() as mine:
                    mine.execute(INSERT)
                    self._committed([mine.lastrowid])

            thread = threading.Thread(target=insert)
            thread.start()
            self.stop.wait(pick.uniform(0.1, 0.8))
            cursor.execute("UNLOCK TABLES")
            thread.join()


class Dms:
    """DMS as it would tell of the copy."""

    def __init__(self, copy: Copy) -> None:
        self.copy = copy

    def _reading(self) -> ReplicationTaskReading:
        return replace(made.task(timezone.now()), identifier=TASK.identifier, started_at=self.copy.started_at)

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        return {TASK.identifier: self._reading().run}

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        return (self._reading(),)

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        return (replace(made.statistics("stamped"), schema="shop", updated_at=timezone.now()),)


@pytest.fixture(scope="module", params=KINDS)
def db(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    with server(request.param) as found:
        found.run(
            "CREATE DATABASE shop",
            "CREATE TABLE shop.stamped (id int AUTO_INCREMENT PRIMARY KEY, stamped_at datetime(6)) ENGINE=InnoDB",
            "CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'",
            *heartbeat_ddl.at_source([TASK], "mysql", "console@127.0.0.%"),
        )
        yield found


@pytest.fixture
def warehouse() -> Iterator[str]:
    run(ADMIN, "CREATE DATABASE qd_copied")
    url = urlunsplit(urlsplit(ADMIN)._replace(path="/qd_copied"))
    try:
        run(
            url,
            "CREATE TABLE stamped (id int PRIMARY KEY, stamped_at timestamp)",
            *heartbeat_ddl.at_warehouse([TASK], "", "mysql"),
        )
        yield url
    finally:
        run(ADMIN, "DROP DATABASE qd_copied WITH (FORCE)")


def test_nothing_that_was_called_complete_lacked_a_row_then_or_later(db: MysqlServer, warehouse: str) -> None:
    pick = random.Random(7)
    copy = Copy(
        db,
        warehouse,
        {"shop.stamped": Carried("public.stamped", "id"), TASK.beats: Carried(TASK.beats_arrive, "source_id")},
        random.Random(8),
    )
    copy.install()
    pulse = MysqlPulse(Mysql("the source shop", f"mysql://console:p%40ss@127.0.0.1:{db.port}/", "SHOP_URL"))
    asks = Console(TASK, STAMPED, pulse, Arrivals(Database("the warehouse", warehouse, "WAREHOUSE_URL")), Dms(copy))
    reader = psycopg2.connect(warehouse)
    reader.autocommit = True
    writers, stop = Writers(db), threading.Event()
    copying = threading.Thread(target=copy.work, args=(stop,))
    threads = writers.start()
    toggle_s = time.monotonic() + 4
    ends_s = time.monotonic() + LASTS_S

    def held() -> dict[int, datetime]:
        with reader.cursor() as cursor:
            cursor.execute("SELECT id, stamped_at FROM stamped")
            return {number: at.replace(tzinfo=UTC) for number, at in cursor.fetchall()}

    def disturb() -> None:
        nonlocal toggle_s
        late = not copy.ended and time.monotonic() > ends_s - LASTS_S / 2  # on a slow machine few steps are made
        copy.crashes = 1.0 if late else 0.03
        if time.monotonic() > toggle_s:
            (copy.paused.clear if copy.paused.is_set() else copy.paused.set)()
            toggle_s = time.monotonic() + pick.uniform(1, 4)

    try:
        copying.start()
        claims, controls = watch(asks, held, pick, ends_s, disturb)
        copy.paused.clear()
        copy.crashes = 0.0
        writers.calm.set()
        took_s = until_complete(asks, ends_s + 40)
    finally:
        writers.stop.set()
        for thread in threads:
            thread.join()
        stop.set()
        copying.join()
        reader.close()
    assert not writers.errors
    assert not copy.errors
    assert min(writers.done.values()) > 1
    assert copy.ended, "the task never crashed"
    rows = {row[0]: row[1].replace(tzinfo=UTC) for row in db.run("SELECT id, stamped_at FROM shop.stamped")}
    print(f"\n{db.version}: {writers.done}, {copy.applied} changes applied, {copy.ended} crashes", end="")
    hold(claims, controls, rows, writers.committed_at, LASTS_S, took_s)

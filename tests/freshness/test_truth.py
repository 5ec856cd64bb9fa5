"""What the console calls complete, held against what the source ever committed: real servers, a real replication.

Writers stamp and commit rows, some in long transactions, some prepared; the replication is paused, resumed and killed
at random. `TRUTH_S=600` does so for ten minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
from django.utils import timezone

from console.platform.database import Database
from console.platform.declared import TableDeclared, TaskDeclared
from console.platform.dms import _table
from console.platform.heartbeats import Arrivals, Pulse
from console.platform.readings import ReplicationTaskReading, TableStatistics
from console.sandbox.home import write_private
from tests.freshness import made
from tests.freshness.truth import Console, hold, until_complete, watch
from tests.sandbox.pair import Pair, running

LASTS_S = float(os.environ.get("TRUTH_S", "18"))
TASK = TaskDeclared("shop-cdc", "shop", "shop-cdc")
STAMPED = TableDeclared("shop.public.stamped", TASK.name, "public.stamped", "stamped_at", 300, (), 0.1)

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(LASTS_S * 2 + 240)]


@dataclass
class Writers:
    """What writes to the source, and when it learnt that its commits were done."""

    pair: Pair
    stop: threading.Event = field(default_factory=threading.Event)
    calm: threading.Event = field(default_factory=threading.Event)  # no long transactions any more
    committed_at: dict[int, datetime] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def start(self) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._guarded, args=(work,)) for work in (self._short, self._long, self._two)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _guarded(self, work: Any) -> None:
        connection = psycopg2.connect(self.pair.site.database_url("shop", "shop"))
        try:
            pick = random.Random(work.__name__)
            while not self.stop.is_set():
                work(connection, pick)
        except BaseException as error:
            self.errors.append(error)
        finally:
            connection.close()

    def _insert(self, cursor: Any) -> list[int]:
        cursor.execute("INSERT INTO stamped DEFAULT VALUES RETURNING id")  # stamped with the transaction's begin
        return [int(cursor.fetchone()[0])]

    def _done(self, ids: Sequence[int]) -> None:
        at = datetime.now(UTC)
        self.committed_at.update(dict.fromkeys(ids, at))

    def _short(self, connection: Any, pick: random.Random) -> None:
        with connection, connection.cursor() as cursor:
            ids = self._insert(cursor)
        self._done(ids)
        time.sleep(pick.uniform(0.02, 0.08))

    def _long(self, connection: Any, pick: random.Random) -> None:
        if self.calm.wait(pick.uniform(0.1, 1.0)):
            self.stop.wait(0.2)
            return
        with connection.cursor() as cursor:
            ids = self._insert(cursor)
            self.stop.wait(pick.uniform(0.5, 3))
            ids += self._insert(cursor)
        if pick.random() < 0.2:
            connection.rollback()
            return
        connection.commit()
        self._done(ids)

    def _two(self, connection: Any, pick: random.Random) -> None:
        """A transaction that is prepared, and committed later; in between no session has it."""
        if self.calm.wait(pick.uniform(0.5, 1.5)):
            self.stop.wait(0.2)
            return
        name = f"held-{pick.random()}"
        with connection.cursor() as cursor:
            ids = self._insert(cursor)
            cursor.execute("PREPARE TRANSACTION %s", [name])
            connection.commit()
        self.stop.wait(pick.uniform(0.3, 2))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("COMMIT PREPARED %s", [name])
        connection.autocommit = False
        self._done(ids)


class Dms:
    """DMS as the replication process tells it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def _reading(self) -> ReplicationTaskReading:
        return replace(made.task(timezone.now(), status=self.pair.aws.status), identifier=TASK.identifier)

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        run = self._reading().run
        return {TASK.identifier: run} if run else {}

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        return (self._reading(),)

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        rows = []
        for told in list(self.pair.aws.tables.values()):
            row = dict(told)
            for name in ("FullLoadStartTime", "FullLoadEndTime", "LastUpdateTime"):
                if name in row:
                    row[name] = datetime.fromtimestamp(row[name], UTC)
            rows.append(_table(arn, row))
        return tuple(rows)


def console(pair: Pair) -> Console:
    site = pair.site
    source = Database("the source shop", site.database_url("shop", "shop"), "SOURCE_URL")
    warehouse = site.database_url("loader", "warehouse", warehouse=True)
    arrivals = Arrivals(Database("the warehouse", warehouse, "WAREHOUSE_URL"))
    return Console(TASK, STAMPED, Pulse(source, ahead_s=0.05), arrivals, Dms(pair))


@contextmanager
def replicating(pair: Pair) -> Iterator[None]:
    """The replication process, at a quicker pace."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.15):
            with suppress(psycopg2.Error):
                pair.replication.tables_at = float("-inf")
                pair.replication.tick()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running() as both:
        both.sql("CREATE TABLE stamped (id bigserial PRIMARY KEY, stamped_at timestamptz NOT NULL DEFAULT now())")
        both.sql("ALTER TABLE stamped OWNER TO shop")
        both.until(both.caught_up)
        yield both


def pause(pair: Pair, on: bool) -> None:
    write_private(pair.faults, '{"replication-pause": ["shop-cdc"]}' if on else "{}")


def kill_the_apply_worker(pair: Pair) -> None:
    pair.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE pid IS NOT NULL", warehouse=True)


def test_nothing_that_was_called_complete_lacked_a_row_then_or_later(pair: Pair) -> None:
    asks, writers, pick = console(pair), Writers(pair), random.Random(7)
    reader = psycopg2.connect(pair.site.database_url("loader", "warehouse", warehouse=True))
    reader.autocommit = True
    threads = writers.start()
    toggle_s, paused = time.monotonic() + 8, False

    def held() -> dict[int, datetime]:
        with reader.cursor() as cursor:
            cursor.execute("SELECT id, stamped_at FROM stamped")
            return dict(cursor.fetchall())

    def disturb() -> None:
        nonlocal toggle_s, paused
        if time.monotonic() > toggle_s:
            paused = not paused
            pause(pair, paused)
            toggle_s = time.monotonic() + pick.uniform(1, 4)
        if pick.random() < 0.03:
            kill_the_apply_worker(pair)

    try:
        with replicating(pair):
            ends_s = time.monotonic() + LASTS_S
            claims, controls = watch(asks, held, pick, ends_s, disturb)
            pause(pair, False)
            writers.calm.set()
            took_s = until_complete(asks, ends_s + 40)
            writers.stop.set()
            for thread in threads:
                thread.join()
    finally:
        writers.stop.set()
        reader.close()
    assert not writers.errors
    rows = {row[0]: row[1] for row in pair.sql("SELECT id, stamped_at FROM stamped")}
    hold(claims, controls, rows, writers.committed_at, LASTS_S, took_s)

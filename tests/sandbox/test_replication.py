"""The replication between two real servers: counted exactly, paused, stopped, broken, and taken up again."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from console.sandbox import postgres
from console.sandbox.env import Site
from console.sandbox.home import Home, load_secrets, write_private
from console.sandbox.ports import Ports
from console.sandbox.replication.__main__ import Replication
from tests.services import free_port


class RecordedAws:
    """The DMS task as the test says, and what was reported about it."""

    def __init__(self) -> None:
        self.status = "running"
        self.tables: dict[str, dict[str, Any]] = {}
        self.reasons: list[str] = []
        self.values: dict[str, float] = {}
        self.reload: list[str] = []

    def task(self) -> tuple[str, str]:
        return self.status, "arn:aws:dms:eu-north-1:123456789012:task:RESOURCEID"

    def report(self, **said: Any) -> dict[str, Any]:
        self.status = said.get("status", self.status)
        self.reasons += [said["stop_reason"]] if "stop_reason" in said else []
        self.tables |= {row["TableName"]: row for row in said.get("tables", [])}
        reload, self.reload = self.reload, []
        return {"reload": reload}

    def metrics(self, arn: str, values: dict[str, tuple[float, str]], at: datetime) -> None:
        self.values = {name: value for name, (value, _) in values.items()}


class Pair:
    """Source and warehouse, and the replication between them."""

    def __init__(self, site: Site, start: Callable[[str], None], stop: Callable[[str], None]) -> None:
        self.site, self.start, self.stop = site, start, stop
        self.faults, self.state = site.home.faults, site.home.root / "replication.json"
        self.aws = RecordedAws()
        self.replication = self.fresh()

    def fresh(self) -> Replication:
        """The replication process started anew."""
        environ = {
            "SOURCE_ADMIN_URL": self.site.database_url("postgres", "shop"),
            "WAREHOUSE_ADMIN_URL": self.site.database_url("postgres", "warehouse", warehouse=True),
            "REPLICATION_URL": self.site.database_url("postgres", "shop"),
            "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        }
        made = Replication(self.state, self.faults, environ)
        made.aws = self.aws  # type: ignore[assignment]
        return made

    def sql(self, query: str, *, warehouse: bool = False) -> list[tuple[Any, ...]]:
        database = "warehouse" if warehouse else "shop"
        server = postgres.connect(self.site, database, warehouse=warehouse)
        with server.cursor() as cursor:
            cursor.execute(query)
            found = cursor.fetchall() if cursor.description else []
        server.close()
        return found

    def order(self) -> None:
        self.sql("INSERT INTO orders (customer_id, total_cents) VALUES (1, 100)")

    def count(self) -> int:
        return int(self.sql("SELECT count(*) FROM orders", warehouse=True)[0][0])

    def until(self, true: Callable[[], object]) -> None:
        deadline = time.monotonic() + 30
        while True:
            self.replication.metrics_at = float("-inf")
            self.replication.tables_at = float("-inf")
            self.replication.tick()
            if true():
                return
            assert time.monotonic() < deadline, "it did not become true within 30 s"
            time.sleep(0.2)

    def caught_up(self) -> bool:
        """Everything has arrived, and the last round's figures say so (they may be a moment behind)."""
        states = {row["TableState"] for row in self.aws.tables.values()}
        source = int(self.sql("SELECT count(*) FROM orders")[0][0])
        pending = self.aws.values.get("CDCIncomingChanges")
        return states == {"Table completed"} and self.count() == source and pending == 0


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # Not pytest's folder: it closes it to other users, and under root PostgreSQL runs as one.
    folder = Path(tempfile.mkdtemp(prefix="qd-"))
    folder.chmod(0o711)
    home = Home(folder / "home")
    home.create()
    ports = Ports(1, free_port(), free_port(), 2, 3, 4, 5, 6)
    site = Site(home, ports, load_secrets(home))
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def stop(name: str) -> None:
        processes[name].send_signal(signal.SIGINT)
        processes[name].wait(20)

    def start(name: str) -> None:
        spec = postgres.spec(site, name)
        processes[name] = subprocess.Popen(
            spec.command, env=dict(spec.env), cwd=spec.cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            user=spec.user, group=spec.group, extra_groups=None if spec.user is None else [],
        )  # fmt: skip
        assert spec.ready
        for _ in range(200):
            try:
                asyncio.run(spec.ready())  # type: ignore[arg-type]
                return
            except psycopg2.OperationalError:
                time.sleep(0.1)
        raise AssertionError(f"{name} did not start")

    for name in ("postgres", "warehouse"):
        postgres.prepare(site, name)
        start(name)
        postgres.create_databases(site, warehouse=name == "warehouse")
    postgres.create_sources(site)
    yield Pair(site, start, stop)
    for name in processes:
        stop(name)
    shutil.rmtree(folder, ignore_errors=True)


def test_what_was_there_is_loaded_and_what_comes_is_counted_row_by_row(pair: Pair) -> None:
    pair.until(pair.caught_up)
    assert pair.aws.tables["customers"]["FullLoadRows"] == 200
    before = pair.aws.tables["orders"]["Inserts"]
    for _ in range(5):
        pair.order()
    pair.sql("UPDATE orders SET status = 'paid'")
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Updates"])
    row = pair.aws.tables["orders"]
    assert (row["Inserts"] - before, row["AppliedInserts"] - before) == (5, 5)
    assert row["Updates"] == row["AppliedUpdates"] == 5
    assert pair.aws.values["CDCLatencyTarget"] == 0


def test_what_is_rolled_back_is_not_counted(pair: Pair) -> None:
    before = pair.aws.tables["orders"]["Inserts"]
    with psycopg2.connect(pair.site.database_url("shop", "shop")) as shop, shop.cursor() as cursor:
        cursor.execute("INSERT INTO orders (customer_id) VALUES (1), (2)")
        shop.rollback()
    pair.order()
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Inserts"] > before)
    assert pair.aws.tables["orders"]["Inserts"] == before + 1


def test_a_pause_shows_as_a_lag_that_grows_while_the_task_runs(pair: Pair) -> None:
    write_private(pair.faults, '{"replication-pause": ["shop-cdc"]}')
    pair.until(lambda: not pair.sql("SELECT subenabled FROM pg_subscription", warehouse=True)[0][0])
    there = pair.count()
    pair.order()
    pair.until(lambda: pair.aws.values.get("CDCLatencyTarget", 0) > 1)
    assert pair.aws.status == "running"
    assert pair.aws.values["CDCIncomingChanges"] == 1
    row = pair.aws.tables["orders"]
    assert row["Inserts"] == row["AppliedInserts"] + 1
    assert pair.count() == there
    write_private(pair.faults, "{}")
    pair.until(pair.caught_up)
    assert pair.count() == there + 1
    assert pair.aws.values["CDCLatencyTarget"] == 0


def test_a_table_that_is_reloaded_is_emptied_copied_anew_and_goes_on(pair: Pair) -> None:
    pair.until(pair.caught_up)
    before = pair.aws.tables["orders"]["FullLoadEndTime"]
    pair.sql("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)", warehouse=True)  # a row that got lost
    assert not pair.caught_up()
    pair.aws.reload = ["public.orders"]
    pair.until(lambda: pair.aws.tables["orders"]["TableState"] == "Table is being reloaded")
    pair.until(pair.caught_up)
    assert pair.aws.tables["orders"]["FullLoadEndTime"] > before
    there = pair.count()
    pair.order()
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_stopping_the_task_stops_the_replication_and_starting_it_resumes(pair: Pair) -> None:
    there = pair.count()
    pair.aws.status = "stopped"
    pair.until(lambda: not pair.sql("SELECT subenabled FROM pg_subscription", warehouse=True)[0][0])
    pair.order()
    time.sleep(1)
    assert pair.count() == there
    pair.aws.status = "running"
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_the_totals_survive_a_restart_of_the_process(pair: Pair) -> None:
    pair.until(pair.caught_up)
    time.sleep(1)
    pair.until(pair.caught_up)
    before = dict(pair.aws.tables["orders"])
    pair.order()
    pair.replication = pair.fresh()
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Inserts"] > before["Inserts"])
    assert pair.aws.tables["orders"]["Inserts"] == before["Inserts"] + 1
    assert pair.aws.tables["orders"]["FullLoadEndTime"] == before["FullLoadEndTime"]


def test_a_new_table_of_the_source_is_taken_along(pair: Pair) -> None:
    pair.sql("CREATE TABLE returns (id bigint PRIMARY KEY, order_id bigint NOT NULL, at timestamptz, note text)")
    pair.sql("INSERT INTO returns VALUES (1, 1, now(), 'too small')")
    pair.until(lambda: pair.aws.tables.get("returns", {}).get("TableState") == "Table completed")
    assert pair.sql("SELECT note FROM returns", warehouse=True) == [("too small",)]


def test_an_outage_of_the_warehouse_is_a_lag_and_heals_by_itself(pair: Pair) -> None:
    pair.until(pair.caught_up)
    there = pair.count()
    pair.stop("warehouse")
    pair.order()
    pair.until(lambda: pair.aws.values.get("CDCLatencyTarget", 0) > 1)
    pair.start("warehouse")
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_a_conflict_at_the_warehouse_fails_the_task(pair: Pair) -> None:
    number = int(pair.sql("SELECT max(id) FROM orders")[0][0]) + 1
    pair.sql(
        f"INSERT INTO orders (id, customer_id, status, total_cents, created_at, updated_at) "
        f"VALUES ({number}, 1, 'x', 0, now(), now())",
        warehouse=True,
    )
    pair.order()
    pair.until(lambda: pair.aws.status == "failed")
    assert "FATAL_ERROR" in pair.aws.reasons[-1]
    pair.sql(f"DELETE FROM orders WHERE id = {number}", warehouse=True)
    pair.aws.status = "running"
    pair.until(pair.caught_up)

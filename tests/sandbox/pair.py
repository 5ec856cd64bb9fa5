"""Two real PostgreSQL servers with the sandbox's replication between them; what it tells AWS is written down."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from console.sandbox import postgres
from console.sandbox.env import Site
from console.sandbox.home import Home, load_secrets
from console.sandbox.ports import Ports
from console.sandbox.replication.__main__ import Replication
from tests.services import free_port

OTHERS = {field.name for field in fields(Ports)} - {"postgres", "warehouse"}
"""Servers that are not started here."""


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


@contextmanager
def running() -> Iterator[Pair]:
    """Both servers, with the shop's tables, for as long as the block lasts."""
    # Not pytest's folder: it closes it to other users, and under root PostgreSQL runs as one.
    folder = Path(tempfile.mkdtemp(prefix="qd-"))
    folder.chmod(0o711)
    home = Home(folder / "home")
    home.create()
    ports = Ports(postgres=free_port(), warehouse=free_port(), **dict.fromkeys(OTHERS, 1))
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
    try:
        yield Pair(site, start, stop)
    finally:
        for name in processes:
            stop(name)
        shutil.rmtree(folder, ignore_errors=True)

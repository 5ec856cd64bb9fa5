"""Two scheduler agents, real processes, a real lease store: one leads, and never do two schedulers run at once."""

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

from tests.agent import fake_airflow

TTL_S = 4.0
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
        flags = {"ttl": str(TTL_S), "loop": "0.5", "retry": "1", "stop": "1", "grace": "3", "hang": "3"} | options
        command = [sys.executable, "-m", "console.agent", "scheduler", "--name", name, "--lease-url", store_url]
        command += ["--state", str(tmp_path / name), *(f"--{key}={value}" for key, value in flags.items())]
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


def test_a_killed_agent_takes_its_scheduler_along_and_the_standby_takes_over(pair: Any, query: Any) -> None:
    pair["a"].kill()
    gap_s = wait_for(lambda: beating(query, "b"), "b to lead", within_s=TTL_S + 5)
    assert gap_s < TTL_S + 3
    never_two_at_once(query)
    [(token, kind, old, new)] = query(
        "SELECT token, kind, from_holder, to_holder FROM quarterdeck.takeover ORDER BY token DESC LIMIT 1"
    )
    assert (token, kind, old, new) == (2, "automatic", "a", "b")
    assert query("SELECT state FROM job WHERE hostname = 'a'") == [("failed",)]


def test_a_planned_switchover_stops_the_old_before_the_new_starts(pair: Any, query: Any) -> None:
    query(
        "UPDATE quarterdeck.lease SET next_holder = 'b', next_until = now() + interval '30 s', next_kind = 'planned',"
        " next_reason = 'kernel patch'"
    )
    wait_for(lambda: beating(query, "b"), "b to lead")
    never_two_at_once(query)
    assert query("SELECT kind, reason FROM quarterdeck.takeover ORDER BY token DESC LIMIT 1") == [
        ("planned", "kernel patch")
    ]
    assert query("SELECT state FROM job WHERE hostname = 'a'") == [("success",)]
    wait_for(lambda: ready(query, "a"), "a to stand by")


def test_a_frozen_agent_does_not_outlive_its_lease(pair: Any, query: Any) -> None:
    pair["a"].send_signal(signal.SIGSTOP)
    wait_for(lambda: beating(query, "b"), "b to lead", within_s=TTL_S + 5)
    time.sleep(1)
    pair["a"].send_signal(signal.SIGCONT)
    time.sleep(2)
    never_two_at_once(query)
    assert beating(query, "b")
    assert not beating(query, "a")


def test_paused_automatic_failover_leaves_it_to_a_person(pair: Any, query: Any) -> None:
    query("UPDATE quarterdeck.lease SET held_until = now() + interval '1 hour', held_reason = 'drill'")
    pair["a"].kill()
    time.sleep(TTL_S + 2)
    assert not beating(query, "b")
    query(
        "UPDATE quarterdeck.lease SET next_holder = 'b', next_until = now() + interval '30 s', next_kind = 'forced',"
        " next_reason = 'a is dead'"
    )
    wait_for(lambda: beating(query, "b"), "b to lead on an order")


def test_a_hung_scheduler_is_restarted_once_and_then_given_up(pair: Any, query: Any, tmp_path: Path) -> None:
    [(first,)] = query("SELECT pid FROM beat WHERE host = 'a' ORDER BY at DESC LIMIT 1")
    (tmp_path / "hang-a").touch()
    wait_for(
        lambda: query("SELECT 1 FROM beat WHERE host = 'a' AND pid <> %s LIMIT 1", first), "a restart in place", 25
    )
    wait_for(lambda: beating(query, "b"), "b to lead after a second hang", within_s=90)
    never_two_at_once(query)


def test_a_scheduler_that_is_killed_alone_is_followed_by_the_ready_standby(pair: Any, query: Any) -> None:
    [(pid,)] = query("SELECT pid FROM beat WHERE host = 'a' ORDER BY at DESC LIMIT 1")
    os.kill(pid, signal.SIGKILL)
    assert wait_for(lambda: beating(query, "b"), "b to lead") < TTL_S
    never_two_at_once(query)


def test_term_releases_the_lease_and_leaves_nothing_running(pair: Any, query: Any) -> None:
    pair["a"].send_signal(signal.SIGTERM)
    assert pair["a"].wait(10) == 0
    assert wait_for(lambda: beating(query, "b"), "b to lead") < TTL_S
    never_two_at_once(query)


def test_timings_that_do_not_fit_are_refused_with_the_arithmetic(agent: Agents) -> None:
    process = agent("a", ttl="4", loop="2", retry="3")
    assert process.wait(15) == 2

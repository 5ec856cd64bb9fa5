"""Two scheduler agents, real processes, a real lease store: one leads, and never do two schedulers run at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.agent.schedulers import (
    TTL_S,
    Agents,
    agent,
    beating,
    deadline_of,
    never_two_at_once,
    pair,
    query,
    ready,
    wait_for,
)

__all__ = ["agent", "pair", "query"]
FREEZE_S = float(os.environ.get("AGENT_FREEZE_S", "7"))
"""How long a holder's agent is frozen; 60 on demand."""


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


def test_a_frozen_agent_does_not_outlive_its_lease(pair: Any, query: Any, tmp_path: Path) -> None:
    [(old,)] = query("SELECT pid FROM beat WHERE host = 'a' ORDER BY at DESC LIMIT 1")
    pair["a"].send_signal(signal.SIGSTOP)
    end_s = time.monotonic() + FREEZE_S
    while time.monotonic() < end_s:
        believing = [name for name in pair if deadline_of(tmp_path / name) > time.monotonic()]
        assert len(believing) <= 1, f"both believe that they may run a scheduler: {believing}"
        time.sleep(0.02)
    assert beating(query, "b")
    pair["a"].send_signal(signal.SIGCONT)
    wait_for(lambda: not alive(old), "the old scheduler to be gone", within_s=1)
    time.sleep(2)
    never_two_at_once(query)
    assert beating(query, "b")
    assert not beating(query, "a")
    [(kind, reason)] = query("SELECT kind, reason FROM quarterdeck.takeover ORDER BY token DESC LIMIT 1")
    assert (kind, reason) == ("automatic", "a stopped renewing")


def alive(pid: int) -> bool:
    """A zombie is dead: its agent, which was frozen, has not heard of it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_host_that_does_not_reach_airflows_database_or_broker_is_not_ready_and_says_why(
    agent: Agents, query: Any
) -> None:
    def told(name: str) -> str:
        rows = query("SELECT to_regclass('quarterdeck.agent') IS NOT NULL")
        rows = query("SELECT detail->>'why' FROM quarterdeck.agent WHERE name = %s", name) if rows[0][0] else []
        return str(rows[0][0]) if rows else ""

    agent("a", **{"metadata-url": "postgresql://nobody@127.0.0.1:9/airflow"})
    wait_for(lambda: "Airflow's database can't be reached from here: connection to server" in told("a"), "its reason")
    agent("b", **{"broker-url": "redis://127.0.0.1:9/0"})
    wait_for(lambda: "the broker can't be reached from here: Connection refused" in told("b"), "its reason")
    time.sleep(1)
    assert query("SELECT holder FROM quarterdeck.lease") == [(None,)]


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

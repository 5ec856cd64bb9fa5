"""A queue is flooded: the fleet grows, says why, empties the queue, and goes back to its baseline by drains alone."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import quote

import pytest

from tests.journeys.conftest import Sandbox

pytestmark = pytest.mark.sandbox

TASKS = 300
TWO_INTERVALS_S = 30.0
SEEN_S = 12.0
"""Airflow's own time from the flood's order until its tasks are queued and read: the scheduler's loop, and a poll."""


def instances(sandbox: Sandbox, run: str) -> list[dict[str, Any]]:
    """Every task instance of the flood, over all pages."""
    found: list[dict[str, Any]] = []
    while True:
        path = f"/dags/sleepers/dagRuns/{quote(run, safe='')}/taskInstances?limit=100&offset={len(found)}"
        page = sandbox.airflow("GET", path)["task_instances"]
        found += page
        if len(page) < 100:
            return [each for each in found if each["task_id"] == "sleep_io"]


def by_console(sandbox: Sandbox, kind: str) -> list[dict[str, Any]]:
    """Operations of a kind on io that the console itself asked for."""
    found = sandbox.get(f"operations?kind={kind}&limit=100")
    return [each for each in found if each["requested_by"] == "quarterdeck" and "io" in each["title"]]


@pytest.mark.timeout(2100)  # 300 tasks of real Airflow, a cooldown and two drains
def test_a_flooded_queue(sandbox: Sandbox) -> None:
    quiet = sandbox.get("fleets/io")
    assert (quiet["autoscaling"], quiet["desired"]) == ("on", quiet["baseline"])
    sandbox.break_("queue-flood", "io", str(TASKS))
    run = sandbox.airflow("GET", "/dags/sleepers/dagRuns?order_by=-run_after&limit=1")["dag_runs"][0]["dag_run_id"]
    sandbox.wait(lambda: (sandbox.get("fleets/io")["outstanding"] or 0) > 40, 180, "the flood to be seen")
    began = time.monotonic()
    grown = sandbox.wait(
        lambda: (fleet := sandbox.get("fleets/io"))["desired"] > quiet["baseline"] and fleet, 120, "growth"
    )
    took_s = time.monotonic() - began
    assert took_s <= TWO_INTERVALS_S + SEEN_S, took_s
    out = next(each for each in sandbox.get("fleets/io/decisions") if each["action"] == "out")
    assert "queued" in out["because"], out
    assert f"→ {grown['desired']}" in out["because"], out
    assert by_console(sandbox, "resize")

    sandbox.wait(
        lambda: (
            len(found := instances(sandbox, run)) == TASKS
            and all(each["state"] in ("success", "failed", "upstream_failed") for each in found)
        ),
        1200,
        "the flood to end",
    )
    found = instances(sandbox, run)
    assert [each["state"] for each in found] == ["success"] * TASKS
    assert {each["try_number"] for each in found} == {1}

    sandbox.wait(
        lambda: (
            (fleet := sandbox.get("fleets/io"))["desired"] == quiet["baseline"]
            and fleet["workers"]["in_service"] == quiet["baseline"]
        ),
        420,
        "the baseline again",
    )
    drains = sandbox.wait(
        lambda: (all_ := by_console(sandbox, "drain")) and all(each["finished_at"] for each in all_) and all_,
        60,
        "the drains to end",
    )
    assert {each["state"] for each in drains} == {"succeeded"}
    assert all("no task lost" in each["outcome"] for each in drains)
    print(f"\nflood of {TASKS}: grew {took_s:.0f} s after it was seen, {len(drains)} drains: {out['because']}")


def test_with_airflow_away_it_holds(sandbox: Sandbox) -> None:
    before = sandbox.get("fleets/io")["desired"]
    sandbox.wait(lambda: sandbox.get("fleets/io")["last_decision"]["action"] != "blind", 60, "a decision")
    sandbox.break_("airflow-api-stop")
    try:
        held = sandbox.wait(
            lambda: (last := sandbox.get("fleets/io")["last_decision"])["action"] == "blind" and last, 90, "a hold"
        )
        assert "can't be seen" in held["because"]
        assert held["desired"] == before
    finally:
        sandbox.mend("airflow-api-stop")
    sandbox.wait(lambda: sandbox.get("fleets/io")["last_decision"]["action"] != "blind", 120, "sight again")
    assert sandbox.get("fleets/io")["desired"] == before

"""From a fault to one page, its link on a phone, the remedy behind its button, and back: on a real platform."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest

from tests.journeys.conftest import Sandbox
from tests.journeys.test_console_changes_it import ended, post

pytestmark = pytest.mark.sandbox


def pages(sandbox: Sandbox, key: str, since: float) -> list[dict[str, Any]]:
    """What the pager took about a key since then."""
    lines = (sandbox.home / "pages.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    return [
        one["body"] | {"at": one["at"]} for one in found if one["body"].get("dedup_key") == key and _at(one) >= since
    ]


def _at(page: dict[str, Any]) -> float:
    return datetime.fromisoformat(page["at"]).timestamp()


def actions(found: list[dict[str, Any]]) -> list[str]:
    return [page["event_action"] for page in found]


def incident(sandbox: Sandbox, key: str, state: str = "unresolved") -> dict[str, Any] | None:
    return next((one for one in sandbox.get(f"incidents?state={state}&q={key}") if one["key"] == key), None)


def test_a_dead_scheduler_is_one_page_whose_button_leads_to_the_takeover(sandbox: Sandbox) -> None:
    sandbox.wait(lambda: sandbox.get("scheduler")["automatic_failover"], 180, "a standby")
    sandbox.wait(lambda: incident(sandbox, "scheduler.down") is None, 120, "no incident")
    leader = sandbox.wait(lambda: sandbox.get("scheduler")["leader"], 60, "a leader")["name"]
    sandbox.manage("scheduler", "pause", "--hours", "1", "--reason", "a journey")
    sandbox.wait(lambda: not sandbox.get("scheduler")["automatic_failover"], 60, "the pause")
    began = time.time()
    sandbox.break_("scheduler-kill", leader)
    try:
        trigger = sandbox.wait(lambda: pages(sandbox, "scheduler.down", began), 90, "a page")[0]
        assert trigger["event_action"] == "trigger"
        # One page within 20 s of the heartbeat's limit of 30 s (and the last heartbeat was up to 5 s old).
        assert _at(trigger) - began < 30 + 20, f"{_at(trigger) - began:.1f} s"
        one = incident(sandbox, "scheduler.down")
        assert one is not None
        assert one["severity"] == "critical"
        assert one["recommended"]["operation"] == "failover"
        assert trigger["client_url"].endswith(f"/i/{one['id']}") or any(
            link["href"].endswith(f"/i/{one['id']}") for link in trigger["links"]
        )
        to = one["recommended"]["parameters"]["to"]
        assert to != leader
        status, operation = post(sandbox, "scheduler/failover", to=to, confirm=leader, reason=f"INC-{one['id']}")
        assert status == 202, operation
        done = ended(sandbox, operation["id"], 150)
        assert done["state"] == "succeeded", done["outcome"]
        sandbox.wait(lambda: incident(sandbox, "scheduler.down") is None, 90, "the end of the incident")
        sandbox.wait(
            lambda: actions(pages(sandbox, "scheduler.down", began)) == ["trigger", "resolve"], 30, "the resolve"
        )
        print(f"page {_at(trigger) - began:.1f} s after the kill, resolved {time.time() - began:.1f} s after it")
    finally:
        sandbox.mend("scheduler-kill", leader)
        sandbox.manage("scheduler", "pause", "--hours", "0", "--reason", "the journey is over")


def test_the_warehouse_falls_behind_in_one_page(sandbox: Sandbox) -> None:
    began = time.time()
    sandbox.break_("replication-pause")
    key = "freshness.task:shop-cdc"
    try:
        sandbox.wait(lambda: pages(sandbox, key, began), 480, "a page")  # the tables' SLO is 5 min
        one = incident(sandbox, key)
        assert one is not None
        time.sleep(30)
        lines = (sandbox.home / "pages.jsonl").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        triggers = [
            page["body"] for page in told if _at(page) >= began and page["body"].get("event_action") == "trigger"
        ]
        assert [page["dedup_key"] for page in triggers if page["dedup_key"].startswith("freshness.")] == [key]
        whole = sandbox.get(f"incidents/{one['id']}")
        assert len(whole["latest"]["impact"]) > 1
    finally:
        sandbox.mend("replication-pause")
    sandbox.wait(lambda: incident(sandbox, key) is None, 300, "the end of the incident")

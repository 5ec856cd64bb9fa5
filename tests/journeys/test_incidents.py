"""From a fault to one page and back, on a real platform (test_phone.py has the whole way by a phone)."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

import pytest

from tests.journeys.conftest import Sandbox

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

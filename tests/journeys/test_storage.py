"""What tasks hand over in real Airflow is on the console's page, with its reader; what has expired goes when asked."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.journeys.conftest import Sandbox

pytestmark = pytest.mark.sandbox


def listed(sandbox: Sandbox, **wanted: str) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = sandbox.get("storage/files")["listed"]
    return [one for one in told if all(one[name] == value for name, value in wanted.items())]


def test_a_hand_off_is_seen_and_that_its_readers_came(sandbox: Sandbox) -> None:
    run = sandbox.airflow("POST", "/dags/price_list/dagRuns", {"logical_date": None})["dag_run_id"]
    [found] = sandbox.wait(lambda: listed(sandbox, run_id=run, stage="fetched"), within_s=240, what="its reader")
    assert (found["dag_id"], found["task"], found["name"]) == ("price_list", "collect", "prices.csv")
    assert found["bytes"] > 0
    assert found["handed_at"] < found["read_at"] < found["expires_at"]
    told = sandbox.get("storage/files")
    assert told["age_s"] < 100
    assert told["newest_age_s"] < 300
    assert "price_list" in {share["name"] for share in told["shares"]}


def test_one_that_nobody_fetched_is_told_and_goes_when_asked(sandbox: Sandbox) -> None:
    root = sandbox.home / "files" / "quarterdeck_files"
    folder = root / "handoff" / "forgotten" / "run" / "write" / "lost.csv"
    (folder / "data").mkdir(parents=True)
    (folder / "note.json").write_text("{}")
    (folder / "data" / f"{int(time.time()) - 3600}-0123456789abcdef").write_bytes(b"1,2\n")
    sandbox.wait(lambda: listed(sandbox, dag_id="forgotten", stage="missed"), within_s=60, what="the missed one")
    keep = {path for path in root.rglob("data/*") if "forgotten" not in str(path)}
    with sandbox.client("operator") as client:
        answer = client.post("storage/files/expire", json={"reason": "a journey"})
        assert answer.status_code == 202, answer.text
        path = f"operations/{answer.json()['id']}"
    sandbox.wait(lambda: sandbox.get(path)["state"] == "succeeded", within_s=60, what="the removal")
    assert not list(folder.rglob("data/*"))
    assert (folder / "note.json").exists(), "who comes too late is told that it expired"
    assert all(path.exists() for path in keep), "what had not expired stays"
    sandbox.wait(lambda: not listed(sandbox, dag_id="forgotten"), within_s=60, what="the page")

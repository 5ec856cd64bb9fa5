"""Switchover after switchover under a load of short tasks: each one runs once, and ends well.

`JOURNEY_SWITCHOVERS=100` is the whole of it; a few are enough to see that it holds.
"""

from __future__ import annotations

import os

import pytest

from tests.journeys.conftest import Sandbox
from tests.journeys.test_console_changes_it import all_succeeded_at_once, ended, post, sleepers

pytestmark = pytest.mark.sandbox
TIMES = int(os.environ.get("JOURNEY_SWITCHOVERS", "3"))


def test_switchovers_in_a_row_lose_no_task(sandbox: Sandbox) -> None:
    runs = []
    token = None
    for number in range(TIMES):
        told = sandbox.wait(lambda: (s := sandbox.get("scheduler"))["automatic_failover"] and s, 120, "a standby")
        assert token is None or told["leader"]["token"] == token, "somebody took over unasked"
        runs.append(sleepers(sandbox, 8, 3, "default"))
        status, operation = post(sandbox, "scheduler/switchover", reason=f"journey {number + 1} of {TIMES}")
        assert status == 202, operation
        done = ended(sandbox, operation["id"], 150)
        assert done["state"] == "succeeded", done["outcome"]
        token = told["leader"]["token"] + 1
    for run in runs:
        all_succeeded_at_once(sandbox, run)
    history = sandbox.get("scheduler")["history"][:TIMES]
    assert {row["kind"] for row in history} == {"switchover"}, history
    assert all(row["operation"] for row in history), history
    print(f"gaps of {TIMES} switchovers: {[row['gap_s'] for row in history]}")

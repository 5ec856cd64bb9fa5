"""A deploy of all fleets under load, while what the console rests on dies: no task is lost, no queue runs short.

Two hundred tasks of 5 to 60 s; five SIGKILLs of the console's Celery worker at random moments; the console's Redis is
killed once, Airflow's is restarted once. `JOURNEY_TASKS=200` is the full load, `JOURNEY_QUIET=1` leaves the faults out.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from typing import Any

import pytest

from tests.journeys.conftest import Sandbox
from tests.journeys.slots import ReadySlots
from tests.journeys.test_console_changes_it import ended, new_version, post, tasks_of, workers

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("fixed_sizes")]
QUEUES = {"default": 4, "cpu": 2, "io": 16}  # slots of one worker
TASKS = int(os.environ.get("JOURNEY_TASKS", "200"))
SHARES = (
    # queue, seconds, of 200 tasks
    ("io", 5, 50), ("io", 20, 60), ("io", 60, 40), ("default", 5, 15), ("default", 20, 15), ("default", 60, 5),
    ("cpu", 5, 5), ("cpu", 20, 10),
)  # fmt: skip
WITHIN_S = 600
QUEUED_AGAIN_S = 900
"""A message on its way to a worker while the broker restarts is nobody's until Celery's visibility timeout, a day
later; Airflow queues its task again (the same try) after `[scheduler] task_queued_timeout`, 600 s. The console calls it
a ghost.
"""


def start_load(sandbox: Sandbox) -> list[str]:
    runs = []
    for queue, seconds, share in SHARES:
        conf = {"tasks": max(1, share * TASKS // 200), "seconds": seconds, "queue": queue}
        run = sandbox.airflow("POST", "/dags/sleepers/dagRuns", {"logical_date": None, "conf": conf})
        runs.append(str(run["dag_run_id"]))
    return runs


def one_version(sandbox: Sandbox) -> str:
    """A new version with the same number in all three templates: a deploy names one."""
    made = {queue: int(new_version(sandbox, queue)) for queue in QUEUES}
    for queue, number in made.items():
        for _ in range(max(made.values()) - number):
            new_version(sandbox, queue)
    return str(max(made.values()))


def kill(sandbox: Sandbox, name: str, sign: signal.Signals) -> int | None:
    """Its pid; waits for one that is being started again."""
    with contextlib.suppress(AssertionError, ProcessLookupError):
        pid = int(sandbox.wait(lambda: sandbox.processes()[name]["pid"], 20, f"{name} to run"))
        os.kill(pid, sign)
        return pid
    return None


def disturb(sandbox: Sandbox, over: threading.Event, told: list[str]) -> None:
    """Five times the console's worker, once its Redis, once Airflow's, at moments that a seed decides."""
    chance = random.Random(int(os.environ.get("JOURNEY_SEED", "7")))
    faults = [("worker", signal.SIGKILL)] * 5 + [("redis", signal.SIGKILL), ("broker", signal.SIGTERM)]
    chance.shuffle(faults)
    for name, sign in faults:
        if over.wait(chance.uniform(8, 20)):
            return
        told.append(f"{time.strftime('%H:%M:%S')} {name}: {kill(sandbox, name, sign)}")


def until_ended(sandbox: Sandbox, operation: int) -> dict[str, Any]:
    """Its end; the console itself may not answer now and then."""
    return ended(sandbox, operation, WITHIN_S)


@pytest.mark.timeout(2100)
def test_a_deploy_of_all_fleets_under_load_and_faults_loses_nothing(sandbox: Sandbox) -> None:
    sandbox.wait(lambda: all(len(workers(sandbox, queue)) == 2 for queue in QUEUES), 180, "two workers in each fleet")
    before = {queue: set(workers(sandbox, queue)) for queue in QUEUES}
    version = one_version(sandbox)
    runs = start_load(sandbox)
    sandbox.wait(lambda: sum(w["active"] for q in QUEUES for w in workers(sandbox, q).values()) >= 15, 120, "load")
    over, told = threading.Event(), []  # type: ignore[var-annotated]
    with ReadySlots(sandbox) as slots:
        status, operation = post(
            sandbox, "deploys", version=version, queues=list(QUEUES), max_surge=2, max_unavailable=0,
            drain_deadline_s=900, on_deadline="wait", ready_timeout_s=300, reason="journey: nothing is lost",
        )  # fmt: skip
        assert status == 202, operation
        began = time.monotonic()
        faults = threading.Thread(target=disturb, args=(sandbox, over, told), daemon=True)
        if not os.environ.get("JOURNEY_QUIET"):
            faults.start()
        try:
            done = until_ended(sandbox, operation["id"])
        finally:
            over.set()
    print(f"deploy: {time.monotonic() - began:.0f} s; faults: {told}; {done['outcome']}")
    assert (done["state"], "no task lost" in done["outcome"]) == ("succeeded", True), done
    for queue, each in QUEUES.items():
        assert slots.fewest(queue) >= 2 * each, f"{queue} ran short:\n{slots.around_fewest(queue)}"
    gaps = [later[0] - earlier[0] for earlier, later in zip(slots.seen, slots.seen[1:], strict=False)]
    print(f"{len(slots.seen)} samples, longest pause between two {max(gaps):.1f} s")
    for queue in QUEUES:
        sandbox.wait(lambda q=queue: len(workers(sandbox, q)) == 2, 120, f"two workers of {queue}")  # type: ignore[misc]
        assert not before[queue] & set(workers(sandbox, queue)), f"{queue} still has an old worker"
    results = [task for run in runs for task in all_of(sandbox, run)]
    assert len(results) == sum(max(1, share * TASKS // 200) for _, _, share in SHARES)
    bad = [task for task in results if (task["state"], task["try_number"]) != ("success", 1)]
    assert not bad, f"{len(bad)} of {len(results)}: {bad[:3]}"
    assert os.environ.get("JOURNEY_QUIET") or len([word for word in told if "None" not in word]) >= 5, (
        f"the deploy was over too soon to disturb it: {told}"
    )


def all_of(sandbox: Sandbox, run: str) -> list[dict[str, Any]]:
    """The sleeping tasks of a run that has ended."""

    def over() -> bool:
        return sandbox.airflow("GET", f"/dags/sleepers/dagRuns/{run}")["state"] in ("success", "failed")

    sandbox.wait(over, QUEUED_AGAIN_S, f"{run} to end")
    return [task for task in tasks_of(sandbox, run) if task["state"] != "skipped"]

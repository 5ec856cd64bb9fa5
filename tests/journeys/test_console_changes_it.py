"""Operators change a real platform through the console: nothing that runs is lost, and what was done is told."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import Sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("fixed_sizes")]


def post(sandbox: Sandbox, path: str, role: str = "operator", **body: Any) -> tuple[int, dict[str, Any]]:
    with sandbox.client(role) as client:
        answer = client.post(path, json=body)
        return answer.status_code, answer.json()


def ended(sandbox: Sandbox, operation: int, within_s: float) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        told = sandbox.get(f"operations/{operation}")
        return told if told["finished_at"] else None

    found: dict[str, Any] = sandbox.wait(look, within_s, f"OP-{operation} to end")
    return found


def sleepers(sandbox: Sandbox, tasks: int, seconds: int, queue: str) -> str:
    body = {"logical_date": None, "conf": {"tasks": tasks, "seconds": seconds, "queue": queue}}
    return str(sandbox.airflow("POST", "/dags/sleepers/dagRuns", body)["dag_run_id"])


def tasks_of(sandbox: Sandbox, run: str) -> list[dict[str, Any]]:
    path = f"/dags/sleepers/dagRuns/{run}/taskInstances?limit=100"
    return [t for t in sandbox.airflow("GET", path)["task_instances"] if t["task_id"].startswith("sleep_")]


def all_succeeded_at_once(sandbox: Sandbox, run: str) -> None:
    """Every task instance of the run ended well, and on its first try."""
    sandbox.wait(
        lambda: (found := tasks_of(sandbox, run)) and all(t["state"] in ("success", "skipped") for t in found),
        240,
        "the tasks to end",
    )
    assert {t["try_number"] for t in tasks_of(sandbox, run) if t["state"] == "success"} == {1}


def workers(sandbox: Sandbox, queue: str) -> dict[str, dict[str, Any]]:
    return {w["instance_id"]: w for w in sandbox.get(f"fleets/{queue}/workers") if w["state"] == "in_service"}


def test_a_drained_worker_finishes_its_work_and_its_instance_ends(sandbox: Sandbox) -> None:
    run = sleepers(sandbox, 24, 20, "io")
    sandbox.wait(lambda: any(w["active"] >= 4 for w in workers(sandbox, "io").values()), 90, "busy workers")
    victim = max(workers(sandbox, "io").values(), key=lambda w: w["active"])["instance_id"]
    status, told = post(sandbox, "fleets/io/drain", workers=[victim], replace=True, reason="journey")
    assert status == 202, told
    done = ended(sandbox, told["id"], 240)
    assert (done["state"], "no task lost" in done["outcome"]) == ("succeeded", True), done
    all_succeeded_at_once(sandbox, run)
    assert victim not in sandbox.processes()
    sandbox.wait(lambda: len(workers(sandbox, "io")) == 2, 90, "its successor")


def test_a_worker_that_is_killed_while_it_drains_is_lost_by_name_and_never_called_drained(sandbox: Sandbox) -> None:
    sleepers(sandbox, 12, 45, "io")
    sandbox.wait(lambda: any(w["active"] >= 3 for w in workers(sandbox, "io").values()), 90, "busy workers")
    victim = max(workers(sandbox, "io").values(), key=lambda w: w["active"])["instance_id"]
    status, told = post(sandbox, "fleets/io/drain", workers=[victim], replace=True, reason="journey")
    assert status == 202, told
    sandbox.wait(lambda: "to finish" in sandbox.get(f"operations/{told['id']}")["progress"]["text"], 60, "draining")
    agent = sandbox.processes()[victim]["pid"]
    [worker] = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()[:1]
    os.kill(int(worker), signal.SIGKILL)  # the agent lives, and leaves its receipt
    done = ended(sandbox, told["id"], 240)
    assert done["state"] == "failed", done["outcome"]
    assert "ended before it was empty; lost work: sleepers.sleep_io" in done["outcome"], done["outcome"]
    sandbox.wait(lambda: len(workers(sandbox, "io")) == 2, 90, "its successor")


def test_two_drains_of_one_worker_at_the_same_instant_are_one(sandbox: Sandbox) -> None:
    victim = sorted(workers(sandbox, "default"))[0]
    answers: list[tuple[int, dict[str, Any]]] = []
    barrier = threading.Barrier(2)

    def click() -> None:
        barrier.wait()
        answers.append(post(sandbox, "fleets/default/drain", workers=[victim], replace=True, reason="two clicks"))

    threads = [threading.Thread(target=click) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_status = dict(answers)
    assert sorted(by_status) == [202, 409], answers
    assert by_status[409]["operation"]["id"] == by_status[202]["id"]
    assert ended(sandbox, by_status[202]["id"], 240)["state"] == "succeeded"
    sandbox.wait(lambda: len(workers(sandbox, "default")) == 2, 90, "its successor")


def test_a_deploy_replaces_a_busy_fleet_and_loses_nothing(sandbox: Sandbox) -> None:
    run = sleepers(sandbox, 60, 15, "io")
    sandbox.wait(lambda: sum(w["active"] for w in workers(sandbox, "io").values()) >= 20, 90, "busy workers")
    before = set(workers(sandbox, "io"))
    template = sandbox.get("fleets/io")
    assert template["desired"] == 2
    status, told = post(
        sandbox, "deploys", version=new_version(sandbox), queues=["io"], max_surge=1, max_unavailable=0,
        drain_deadline_s=600, on_deadline="wait", reason="journey",
    )  # fmt: skip
    assert status == 202, told
    ready: list[int] = []
    deadline = time.monotonic() + 900
    while not (done := sandbox.get(f"operations/{told['id']}"))["finished_at"]:
        assert time.monotonic() < deadline, done
        ready.append(len(workers(sandbox, "io")))
        time.sleep(1)
    assert done["state"] == "succeeded", done["outcome"]
    assert min(ready) >= 2, ready
    sandbox.wait(lambda: len(workers(sandbox, "io")) == 2, 60, "two new workers")
    assert not before & set(workers(sandbox, "io"))
    all_succeeded_at_once(sandbox, run)


def new_version(sandbox: Sandbox, queue: str = "io") -> str:
    """A release is a new version of the launch template, made by whoever builds images."""
    import boto3

    env = sandbox.env
    ec2 = boto3.client(
        "ec2", endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
        aws_access_key_id="x", aws_secret_access_key="x",
    )  # fmt: skip
    group = boto3.client(
        "autoscaling", endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
        aws_access_key_id="x", aws_secret_access_key="x",
    ).describe_auto_scaling_groups(AutoScalingGroupNames=[f"sandbox-{queue}"])["AutoScalingGroups"][0]  # fmt: skip
    template = group["LaunchTemplate"]["LaunchTemplateId"]
    made = ec2.create_launch_template_version(
        LaunchTemplateId=template, SourceVersion=str(group["LaunchTemplate"].get("Version", "1")),
        LaunchTemplateData={},
    )  # fmt: skip
    return str(made["LaunchTemplateVersion"]["VersionNumber"])


def test_a_pool_is_changed_for_a_while_and_goes_back_by_itself(sandbox: Sandbox) -> None:
    from datetime import UTC, datetime, timedelta

    def pool(name: str) -> dict[str, Any] | None:
        return next((p for p in sandbox.get("pools") if p["name"] == name), None)

    with sandbox.client("operator") as client:
        made = client.put("pools/journey", json={"slots": 3, "revision": "", "reason": "journey"})
        assert made.status_code == 202, made.text
        ended(sandbox, made.json()["id"], 60)
        found = sandbox.wait(lambda: pool("journey"), 20, "the pool")
        until = (datetime.now(UTC) + timedelta(seconds=15)).isoformat()
        body = {"slots": 9, "revision": found["revision"], "until": until, "reason": "for a while"}
        held = client.put("pools/journey", json=body)
        assert held.status_code == 202, held.text
        sandbox.wait(lambda: (p := pool("journey")) and p["slots"] == 9, 30, "nine slots")
        assert ended(sandbox, held.json()["id"], 90)["state"] == "succeeded"
        found = sandbox.wait(lambda: (p := pool("journey")) and p["slots"] == 3 and p, 30, "three slots again")
        gone = client.request("DELETE", "pools/journey", json={"revision": found["revision"], "reason": "done"})
        assert gone.status_code == 202, gone.text
        assert ended(sandbox, gone.json()["id"], 60)["state"] == "succeeded"


def test_a_planned_switchover_moves_the_lease_and_tasks_go_on(sandbox: Sandbox) -> None:
    run = sleepers(sandbox, 6, 15, "io")
    told = sandbox.wait(lambda: (s := sandbox.get("scheduler"))["automatic_failover"] and s, 120, "a ready standby")
    status, operation = post(sandbox, "scheduler/switchover", reason="journey")
    assert status == 202, operation
    done = ended(sandbox, operation["id"], 150)
    assert done["state"] == "succeeded", done["outcome"]
    after = sandbox.get("scheduler")
    assert after["leader"]["host"] != told["leader"]["host"]
    assert after["leader"]["token"] == told["leader"]["token"] + 1
    all_succeeded_at_once(sandbox, run)


def test_a_killed_scheduler_host_is_followed_by_the_standby_by_itself(sandbox: Sandbox) -> None:
    before = sandbox.wait(lambda: (s := sandbox.get("scheduler"))["automatic_failover"] and s, 120, "a standby")
    run = sleepers(sandbox, 6, 20, "io")
    old = before["leader"]["host"]
    sandbox.break_("scheduler-kill", old)
    try:
        sandbox.wait(lambda: sandbox.get("scheduler")["status"] != "healthy", 45, "the console to say so")
        sandbox.wait(
            lambda: (leader := sandbox.get("scheduler")["leader"]) and leader["host"] != old, 60, "another leader"
        )
    finally:
        sandbox.mend("scheduler-kill")
    all_succeeded_at_once(sandbox, run)
    sandbox.wait(lambda: sandbox.get("scheduler")["automatic_failover"], 120, "a standby again")

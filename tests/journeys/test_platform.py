"""`make run` brings up a real platform: its fleets are real processes, its DAGs do real work, its faults are real."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from botocore.exceptions import BotoCoreError

from console.sandbox import reaper
from tests.journeys.conftest import Sandbox

pytestmark = [pytest.mark.sandbox, pytest.mark.usefixtures("fixed_sizes")]

NAMES = {
    "postgres", "warehouse", "redis", "broker", "aws", "cloud", "replication", "pager", "airflow-api", "dag-processor",
    "triggerer", "scheduler-a", "scheduler-b", "web", "worker", "beat", "watch",
}  # fmt: skip


def aws(sandbox: Sandbox, service: str) -> Any:
    env = sandbox.env
    return boto3.client(
        service, endpoint_url=env["AWS_ENDPOINT_URL"], region_name=env["AWS_REGION"],
        aws_access_key_id="x", aws_secret_access_key="x",
    )  # fmt: skip


def instances(sandbox: Sandbox, group: str) -> set[str]:
    found = aws(sandbox, "autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group])
    return {instance["InstanceId"] for instance in found["AutoScalingGroups"][0]["Instances"]}


def bodies(sandbox: Sandbox) -> dict[str, int]:
    return {name: entry["pid"] for name, entry in sandbox.processes().items() if name.startswith("i-")}


def states(sandbox: Sandbox, dag: str, run: str = "~") -> list[str]:
    found = sandbox.airflow("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances?limit=200")["task_instances"]
    return [task["state"] for task in found]


def leader(sandbox: Sandbox) -> str | None:
    """The host whose scheduler runs."""
    names = [name.removesuffix(".child") for name in sandbox.processes() if name.endswith(".child")]
    return names[0] if names else None


def scheduler_is(sandbox: Sandbox, status: str) -> bool:
    return bool(sandbox.airflow("GET", "/monitor/health")["scheduler"]["status"] == status)


def test_it_says_when_it_is_ready_and_who_may_sign_in(sandbox: Sandbox) -> None:
    if sandbox.process is None:
        pytest.skip("uses a sandbox that ran before")
    lines = sandbox.output.splitlines()
    ready = next(number for number, line in enumerate(lines) if line.startswith("Quarterdeck is ready"))
    assert lines[ready] == f"Quarterdeck is ready: {sandbox.url}"
    assert "Sign in as viewer, operator or admin" in lines[ready + 1]


def test_every_process_is_listed_and_lives(sandbox: Sandbox) -> None:
    listed = sandbox.processes()
    assert set(listed) >= NAMES
    for name, entry in listed.items():
        assert reaper.look(entry["pid"]), name
        assert os.path.exists(entry["log"]), name


def test_tokens_and_secrets_are_private(sandbox: Sandbox) -> None:
    for path in ("tokens/viewer", "tokens/operator", "tokens/admin", "env", "secrets.json", "processes.json"):
        assert stat.S_IMODE((sandbox.home / path).stat().st_mode) == 0o600, path


def test_each_fleet_is_made_of_real_workers_named_by_their_instances(sandbox: Sandbox) -> None:
    groups = {group: instances(sandbox, group) for group in ("sandbox-default", "sandbox-cpu", "sandbox-io")}
    assert [len(group) for group in groups.values()] == [2, 2, 2]
    assert set(bodies(sandbox)) == set().union(*groups.values())
    for name, pid in bodies(sandbox).items():
        below = [Path(f"/proc/{member}/cmdline").read_text(errors="replace") for member in reaper.in_sessions([pid])]
        assert any(f"celery@{name}" in command for command in below), name


def test_the_scheduler_runs_on_its_host_and_dags_finish(sandbox: Sandbox) -> None:
    jobs = sandbox.airflow("GET", "/jobs?job_type=SchedulerJob&job_state=running")["jobs"]
    assert {job["hostname"] for job in jobs} == {leader(sandbox)}
    done = sandbox.wait(
        lambda: sandbox.airflow("GET", "/dags/revenue_report/dagRuns?state=success")["total_entries"], 300, "a report"
    )
    assert done >= 1
    hosts = {
        task["hostname"]
        for task in sandbox.airflow("GET", "/dags/~/dagRuns/~/taskInstances?limit=200")["task_instances"]
        if task["hostname"]
    }
    assert all(name.startswith("i-") or name == "triggerer" for name in hosts), hosts


def test_what_the_dags_write_arrives_in_the_warehouse(sandbox: Sandbox) -> None:
    with psycopg2.connect(sandbox.env["SOURCE_URL"]) as source, source.cursor() as cursor:
        cursor.execute("SELECT max(id) FROM orders")
        newest = cursor.fetchone()
    assert newest
    assert newest[0]

    def there() -> bool:
        with psycopg2.connect(sandbox.env["WAREHOUSE_URL"]) as warehouse, warehouse.cursor() as cursor:
            cursor.execute("SELECT 1 FROM orders WHERE id = %s", newest)
            return cursor.fetchone() is not None

    assert sandbox.wait(there, 15, "the order")
    dms = aws(sandbox, "dms")
    task = dms.describe_replication_tasks()["ReplicationTasks"][0]
    tables = dms.describe_table_statistics(ReplicationTaskArn=task["ReplicationTaskArn"])["TableStatistics"]
    assert task["Status"] == "running"
    assert {row["TableState"] for row in tables} == {"Table completed"}


def test_a_terminated_instance_loses_its_body_and_its_successor_gets_one(sandbox: Sandbox) -> None:
    victim = sorted(instances(sandbox, "sandbox-io"))[0]
    pid = bodies(sandbox)[victim]
    aws(sandbox, "autoscaling").terminate_instance_in_auto_scaling_group(
        InstanceId=victim, ShouldDecrementDesiredCapacity=False
    )
    sandbox.wait(lambda: reaper.look(pid) is None, 20, "the body's end")
    sandbox.wait(lambda: set(bodies(sandbox)) >= instances(sandbox, "sandbox-io"), 20, "the successor's body")
    assert victim not in instances(sandbox, "sandbox-io")


def test_sleeping_tasks_run_in_the_queue_that_was_asked_for(sandbox: Sandbox) -> None:
    body = {"logical_date": None, "conf": {"tasks": 3, "seconds": 2, "queue": "io"}}
    run = sandbox.airflow("POST", "/dags/sleepers/dagRuns", body)["dag_run_id"]
    sandbox.wait(lambda: states(sandbox, "sleepers", run).count("success") >= 6, 90, "three sleeps")
    found = sandbox.airflow("GET", f"/dags/sleepers/dagRuns/{run}/taskInstances")["task_instances"]
    slept = [task for task in found if task["task_id"].startswith("sleep_") and task["state"] == "success"]
    assert {task["queue"] for task in slept} == {"io"}
    assert len(slept) == 3


def test_a_flooded_queue_is_mended(sandbox: Sandbox) -> None:
    said = sandbox.break_("queue-flood", "cpu", "12")
    run = re.search(r"run (\S+) of sleepers", said)
    assert run
    sandbox.wait(lambda: states(sandbox, "sleepers", run[1]).count("queued") >= 6, 60, "a queue")
    sandbox.mend("queue-flood")
    sandbox.wait(lambda: not {"queued", "running"} & set(states(sandbox, "sleepers", run[1])), 60, "its end")


def test_a_killed_schedulers_host_stays_away_the_standby_takes_over_and_it_is_mended(sandbox: Sandbox) -> None:
    sandbox.wait(lambda: {"scheduler-a", "scheduler-b"} <= set(sandbox.processes()), 60, "two hosts")
    old = leader(sandbox)
    sandbox.break_("scheduler-kill")
    assert not {old, f"{old}.child"} & set(sandbox.processes())
    sandbox.wait(lambda: leader(sandbox) not in {None, old}, 120, "the standby's turn")
    sandbox.wait(lambda: scheduler_is(sandbox, "healthy"), 60, "its health")
    assert old not in sandbox.processes()
    sandbox.mend("scheduler-kill")
    sandbox.wait(lambda: old in sandbox.processes(), 20, "its return")


def test_a_hanging_scheduler_is_frozen_until_it_is_mended_or_replaced(sandbox: Sandbox) -> None:
    host = leader(sandbox)
    pid = sandbox.processes()[f"{host}.child"]["pid"]
    sandbox.break_("scheduler-hang")
    assert "T (stopped)" in Path(f"/proc/{pid}/status").read_text()
    sandbox.mend("scheduler-hang")
    sandbox.wait(lambda: reaper.look(pid) is None or "T (stopped)" not in Path(f"/proc/{pid}/status").read_text(), 5)
    sandbox.wait(lambda: scheduler_is(sandbox, "healthy"), 90, "its health")


def test_a_killed_worker_is_away_until_it_is_mended(sandbox: Sandbox) -> None:
    name = sorted(instances(sandbox, "sandbox-io"))[0]
    sandbox.break_("worker-kill", name)
    time.sleep(5)
    assert name not in sandbox.processes()
    assert name in instances(sandbox, "sandbox-io")
    sandbox.mend("worker-kill")
    sandbox.wait(lambda: name in sandbox.processes(), 10, "its return")


@pytest.mark.parametrize(
    ("fault", "variable"), [("warehouse-stop", "WAREHOUSE_URL"), ("broker-stop", None), ("airflow-api-stop", None)]
)
def test_what_is_stopped_stays_away_alone_until_it_is_mended(
    sandbox: Sandbox, fault: str, variable: str | None
) -> None:
    name = {"warehouse-stop": "warehouse", "broker-stop": "broker", "airflow-api-stop": "airflow-api"}[fault]
    # Schedulers and workers may start anew without it: a Celery worker sometimes ends when its broker is away.
    others = {one for one in sandbox.processes() if not one.startswith("i-")}
    others -= {name, "scheduler-a.child", "scheduler-b.child"}
    with sandbox.broken(fault):
        time.sleep(3)
        assert name not in sandbox.processes()
        assert set(sandbox.processes()) >= others
        if variable:
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(sandbox.env[variable], connect_timeout=2)
    assert name in sandbox.processes()


def test_an_outage_of_aws_ends_no_instance(sandbox: Sandbox) -> None:
    before = bodies(sandbox)
    with sandbox.broken("aws-stop"):
        with pytest.raises(BotoCoreError):
            instances(sandbox, "sandbox-io")
        time.sleep(4)
        assert bodies(sandbox) == before
    assert instances(sandbox, "sandbox-io") <= set(before)


def test_the_status_names_what_is_broken(sandbox: Sandbox) -> None:
    with sandbox.broken("replication-pause"):
        assert "Broken on purpose: replication-pause" in sandbox.manage("sandbox", "status")
    assert "Broken on purpose: nothing" in sandbox.manage("sandbox", "status")
    assert "There is no fault" not in sandbox.manage("sandbox", "break", "nothing", expect=2)


def test_no_log_of_the_platform_holds_a_tasks_token(sandbox: Sandbox) -> None:
    found = [log.name for log in (sandbox.home / "logs").glob("*.log") if b"eyJ" in log.read_bytes()]
    assert found == []

"""The provider in real Airflow: its own checks, and a file that goes from one worker to another and out by mail."""

from __future__ import annotations

import os
import subprocess
import tempfile
from email import message_from_bytes

import pytest

from console.sandbox.home import REPOSITORY
from tests.journeys.conftest import Sandbox

pytestmark = pytest.mark.sandbox


def test_the_provider_works_under_the_sandboxs_airflow(sandbox: Sandbox) -> None:
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run(
            [sandbox.home / "airflow-venv" / "bin" / "python", "-m", "unittest", "tests.provider.under_airflow.checks"],
            env={"PATH": os.environ["PATH"], "AIRFLOW_HOME": home, "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_file_goes_from_one_worker_to_another_and_out_by_mail(sandbox: Sandbox) -> None:
    before = set((sandbox.home / "mail").glob("*.eml"))
    run = sandbox.airflow("POST", "/dags/report_by_mail/dagRuns", {"logical_date": None})["dag_run_id"]
    path = f"/dags/report_by_mail/dagRuns/{run}"

    def over() -> bool:
        return sandbox.airflow("GET", path)["state"] in {"success", "failed"}

    sandbox.wait(over, within_s=180, what="the run's end")
    tasks = {row["task_id"]: row for row in sandbox.airflow("GET", f"{path}/taskInstances")["task_instances"]}
    assert {name: row["state"] for name, row in tasks.items()} == {"write": "success", "mail": "success"}
    assert tasks["write"]["hostname"] != tasks["mail"]["hostname"]
    mails = [message_from_bytes(mail.read_bytes()) for mail in set((sandbox.home / "mail").glob("*.eml")) - before]
    mine = [mail for mail in mails if run in mail["Subject"].replace("\n", "")]
    assert len(mine) == 1
    attached = [part for part in mine[0].walk() if part.get_filename() == "orders.csv"]
    assert attached[0].get_payload(decode=True).startswith(b"status,orders,cents")
    left = [path for path in (sandbox.home / "files").rglob("note.json") if "report_by_mail" in str(path)]
    assert not any(run.split("__")[1][:19] in str(path) for path in left), "it was not dropped"

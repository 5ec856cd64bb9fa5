"""How a real Celery worker under the agent's entry point ends, and what is told of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
AIRFLOW = """
from celery import Celery, bootsteps
from celery.exceptions import WorkerShutdown

def main():
    app = Celery("fake", broker="memory://")

    class Ends(bootsteps.StartStopStep):
        requires = {"celery.worker.components:Pool"}

        def start(self, worker):
            raise %s

    app.steps["worker"].add(Ends)
    app.worker_main(["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--without-heartbeat"])
"""


def exit_code(folder: Path, end: str) -> int:
    (folder / "airflow").mkdir()
    (folder / "airflow" / "__init__.py").touch()
    (folder / "airflow" / "__main__.py").write_text(AIRFLOW % end)
    environment = {**os.environ, "PYTHONPATH": f"{folder}:{ROOT}", "QUARTERDECK_TALLY": str(folder / "tally")}
    command = [sys.executable, "-m", "console.agent.entry_worker", "celery", "worker"]
    return subprocess.run(command, env=environment, capture_output=True, timeout=60, check=False).returncode


@pytest.mark.parametrize(
    ("end", "code"),
    [
        ("ValueError('file descriptor is None')", 1),
        ("WorkerShutdown('Got shutdown from remote')", 0),
        ("WorkerShutdown(0)", 0),
    ],
)
def test_an_error_of_its_own_is_no_clean_exit(tmp_path: Path, end: str, code: int) -> None:
    assert exit_code(tmp_path, end) == code
    assert (tmp_path / "tally").read_text() == "0"

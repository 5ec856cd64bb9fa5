"""Airflow's scheduler, loaded and waiting: a hot standby that starts within a second or two of a word on its stdin.

    python -m console.agent.entry_scheduler STATUS_FD DEADLINE_FILE [airflow's arguments …]

It imports what a scheduler needs, says `ready {json}` on STATUS_FD, and waits. `go` on stdin starts the scheduler in
this process; the end of stdin (its agent died) ends it. While it runs, a thread compares the monotonic clock with the
deadline that the agent keeps in DEADLINE_FILE: past it the process kills itself and its children, so that a scheduler
whose agent is frozen does not outlive its lease.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import threading
import time
from typing import Any

from console.agent.deadline import Deadline

SECTIONS = ("core", "scheduler", "celery", "database", "dag_processor", "operators")
HOSTS_OWN = {"hostname_callable"}
CHECK_EVERY_S = 0.2


def fingerprint() -> dict[str, Any]:
    """Airflow's version, and a hash of the configuration by which two schedulers must agree."""
    import airflow
    from airflow.configuration import conf

    values: dict[str, dict[str, Any]] = {}
    for section in SECTIONS:
        try:
            options = conf.getsection(section) or {}
        except Exception:  # noqa: S112 - a section that this version does not have
            continue
        values[section] = {name: str(value) for name, value in options.items() if name not in HOSTS_OWN}
    text = json.dumps(values, sort_keys=True)
    return {
        "airflow": airflow.__version__,
        "config": hashlib.sha256(text.encode()).hexdigest()[:16],
        "row_locks": values.get("scheduler", {}).get("use_row_level_locking", "True").lower() != "false",
    }


def preload() -> None:
    """What `airflow scheduler` imports before its first loop (measured: 6 of 8 s of a cold start)."""
    from airflow.executors.executor_loader import ExecutorLoader

    ExecutorLoader.init_executors()


def _guard(deadline: Deadline) -> None:
    while True:
        if time.monotonic() > deadline.read():
            os.write(2, b"scheduler: its lease has run out and its agent has not renewed it; ending at once\n")
            os.killpg(0, signal.SIGKILL)
        time.sleep(CHECK_EVERY_S)


def main() -> None:
    status, deadline, arguments = int(sys.argv[1]), Deadline(sys.argv[2]), sys.argv[3:]
    preload()
    os.write(status, f"ready {json.dumps(fingerprint())}\n".encode())
    word = sys.stdin.readline().strip()
    if word != "go":
        return
    threading.Thread(target=_guard, args=(deadline,), daemon=True, name="lease-guard").start()
    os.write(status, b"going\n")
    os.close(status)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *arguments]
    airflow()


if __name__ == "__main__":
    main()

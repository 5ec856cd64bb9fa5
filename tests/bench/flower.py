"""Side by side with Flower, on the same simulated fleet and in the same minutes: time, weight, memory, CPU, truth.

Flower is installed into an environment of its own (`BENCH_FLOWER`, by default in the user's cache) on first use.
"""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.bench.harness import Caller, Process, p50, percentile, simulate, started, table, until
from tests.bench.pages import _answers, _session, _token
from tests.services import free_port

VERSIONS = ("flower==2.2.0", "celery[redis]==5.6.3")
LOADS = ((0, "heartbeats only"), (500, "and 500 task events/s"))
PAIRS = (
    # what, Flower's address, ours
    ("the list of workers, as a page", "/", "/fleets/queue-00/"),
    ("what an open tab asks for", "/workers?json=1", "/fleets/queue-00/"),
    ("API, fleet-wide", "/api/workers", "/api/v1/fleets"),
    ("metrics", "/metrics", "/metrics"),
)


class Shown(NamedTuple):
    """What one address costs."""

    p50_s: float
    p95_s: float
    four_s: float
    kb: float


class Side:
    """One of the two consoles under measurement."""

    def __init__(self, base: str, headers: dict[str, str], *processes: Process) -> None:
        self.base = base
        self.headers = headers
        self.processes = processes

    def cpu_s(self) -> float:
        return sum(process.cpu_s() for process in self.processes)

    def memory_mb(self) -> float:
        return sum(process.memory_mb() for process in self.processes)

    def stop(self) -> None:
        for process in self.processes:
            process.stop()


def run(*, sizes: Sequence[int], seconds: float, **_: object) -> None:
    python = _flower()
    for size in sizes:
        for rate, words in LOADS:
            print(f"  -- {size:,} workers, {words}", flush=True)
            _compare(python, size, rate, seconds)


def _flower() -> str:
    home = Path(os.environ.get("BENCH_FLOWER", Path.home() / ".cache" / "quarterdeck-bench" / "flower"))
    python = home / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "uv", "venv", "--quiet", str(home)], check=True)
        subprocess.run(
            [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python), *VERSIONS], check=True
        )
    return str(python)


def _compare(python: str, size: int, rate: int, seconds: float) -> None:
    from console.fleets.models import QueueSnapshot, Watch, Worker

    for model in (Worker, Watch, QueueSnapshot):
        model.objects.all().delete()
    fleet = simulate(size, "--task-rate", str(rate))
    sides = {"Flower": _start_flower(python), "Quarterdeck": _start_console()}
    try:
        until(lambda: Worker.objects.filter(state="in_service").count() >= size * 0.99, 180)
        until(lambda: len(_flowers_workers(sides["Flower"])) >= size * 0.99, 180)
        began_s, before = time.monotonic(), {name: side.cpu_s() for name, side in sides.items()}
        time.sleep(seconds)
        took_s = time.monotonic() - began_s
        idle = {name: (side.cpu_s() - before[name]) / took_s for name, side in sides.items()}
        found = {
            name: [_shown(side, pair[index]) for pair in PAIRS]
            for index, (name, side) in enumerate(sides.items(), start=1)
        }
        rows = [
            row for index, (what, *_) in enumerate(PAIRS) for row in _rows(what, [found[name][index] for name in found])
        ]
        rows.append(_row("CPU of a core, no tab open", list(idle.values()), "{:.0%}"))
        memory = [side.memory_mb() for side in sides.values()]
        rows.append(_row(f"memory after {time.monotonic() - began_s:.0f} s", memory, "{:.0f} MB"))
        rows.append(_row("shown as alive", [_alive(sides["Flower"]), _ours_alive()], "{:.0f}"))
        ages = [_newest_flower(sides["Flower"]), _newest_ours()]
        rows.append(_row("age of the newest heartbeat shown", ages, "{:.2f} s"))
        table(("", *sides, "ratio"), rows)
    finally:
        for side in sides.values():
            side.stop()
        fleet.stop()


def _start_flower(python: str) -> Side:
    port = free_port()
    broker = os.environ["AIRFLOW_BROKER_URL"]
    process = Process("-m", "celery", "--broker", broker, "flower", f"--port={port}", "--address=127.0.0.1",
                      python=python, FLOWER_UNAUTHENTICATED_API="true")  # fmt: skip
    side = Side(f"http://127.0.0.1:{port}", {"Accept-Encoding": "gzip"}, process)
    started(process, lambda: _reachable(side.base))
    return side


def _start_console() -> Side:
    port = free_port()
    web = Process("-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log")
    base = f"http://127.0.0.1:{port}"
    started(web, lambda: _answers(base))
    headers = {"Authorization": f"Bearer {_token()}", "Cookie": _session(), "Accept-Encoding": "gzip"}
    return Side(base, headers, web, Process("manage.py", "watch"), Process("-m", "tests.bench.ticker"))


def _reachable(base: str) -> bool:
    try:
        return httpx.get(base).status_code == 200
    except httpx.HTTPError:
        return False


def _shown(side: Side, path: str) -> Shown:
    """Sequential requests, then four clients at once."""
    from concurrent.futures import ThreadPoolExecutor

    def ask(times: int) -> tuple[list[float], bytes]:
        caller = Caller(side.base, side.headers)
        found = [caller.get(path) for _ in range(times)]
        caller.close()
        return [took_s for took_s, _ in found], found[-1][1]

    one, body = ask(20)
    with ThreadPoolExecutor(4) as pool:
        four = [each for took, _ in pool.map(ask, [8] * 4) for each in took]
    return Shown(p50(one), percentile(one, 0.95), p50(four), len(gzip.compress(body, 6)) / 1000)


def _rows(what: str, pair: list[Shown]) -> list[tuple[str, ...]]:
    return [
        _row(f"{what}: p50", [shown.p50_s * 1000 for shown in pair], "{:.0f} ms"),
        _row("  p95", [shown.p95_s * 1000 for shown in pair], "{:.0f} ms"),
        _row("  p50 of four clients", [shown.four_s * 1000 for shown in pair], "{:.0f} ms"),
        _row("  compressed", [shown.kb for shown in pair], "{:.1f} kB"),
    ]


def _row(what: str, pair: Sequence[float], form: str) -> tuple[str, ...]:
    ratio = f"{pair[0] / pair[1]:.1f}×" if pair[1] else "–"
    return (what, *(form.format(value) for value in pair), ratio)


def _flowers_workers(side: Side) -> list[dict[str, Any]]:
    try:
        answer = httpx.get(f"{side.base}/workers?json=1", timeout=60)
        return [row for row in answer.json()["data"] if row.get("status")]
    except (httpx.HTTPError, ValueError, KeyError):
        return []


def _alive(side: Side) -> float:
    return float(len(_flowers_workers(side)))


def _ours_alive() -> float:
    from console.fleets.models import Worker

    return float(Worker.objects.filter(state="in_service").count())


def _newest(at_s: Callable[[], float]) -> float:
    """The median of a few looks."""
    ages = []
    for _ in range(7):
        ages.append(time.time() - at_s())
        time.sleep(0.31)
    return p50(ages)


def _newest_flower(side: Side) -> float:
    return _newest(lambda: max(max(row.get("heartbeats") or [0]) for row in _flowers_workers(side)))


def _newest_ours() -> float:
    from django.db.models import Max

    from console.fleets.models import Worker

    def at_s() -> float:
        newest = Worker.objects.aggregate(at=Max("seen_at"))["at"]
        return (newest or datetime(1970, 1, 1, tzinfo=UTC)).timestamp()

    return _newest(at_s)

"""Freshness with 10,000 tables: what a poll costs, and the check of 100 tables while polls go on."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx

from tests.bench.harness import Process, p50, percentile, started, table
from tests.services import free_port

TABLES, ASKED, POLL_EVERY_S = 10_000, 100, 3.0
GOAL = "goals: check p50 under 15 ms, p99 under 60 ms; a poll of 10,000 tables under 2 s"


def run(*, seconds: float, **_: object) -> None:
    from django.utils import timezone

    from tests.bench.pages import _answers, _token
    from tests.freshness import made
    from tests.freshness.story import Story

    names = [made.table(f"t{number:05}") for number in range(TABLES)]
    story = Story(timezone.now() - timedelta(minutes=4), names)
    for _ in range(18):
        _in_transaction(story.step)
    port = free_port()
    server = Process("-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log")
    base = f"http://127.0.0.1:{port}"
    started(server, lambda: _answers(base))
    polls: list[float] = []
    stop = threading.Event()

    def poll() -> None:
        from django.db import connection

        while not stop.is_set():
            story.now = timezone.now()
            _in_transaction(story.write)
            story.arrived = story.log[-1]
            began_s = time.perf_counter()
            _in_transaction(story.poll)
            polls.append(time.perf_counter() - began_s)
            stop.wait(POLL_EVERY_S)
        connection.close()

    polling = threading.Thread(target=poll)
    polling.start()
    headers = {"Authorization": f"Bearer {_token()}"}
    pick = random.Random(1)
    rows = []
    try:
        time.sleep(2 * POLL_EVERY_S)
        for kind in ("the same cutoff again", "a cutoff that is new each time", "a cutoff to come"):
            took = _ask(f"{base}/api/v1/freshness/check", headers, names, kind, pick, max(seconds, 10))
            figures = [
                f"{value * 1000:.1f} ms" for value in (p50(took), percentile(took, 0.95), percentile(took, 0.99))
            ]
            rows.append((kind, len(took), *figures))
    finally:
        stop.set()
        polling.join()
        server.stop()
    table((f"check of {ASKED} tables", "requests", "p50", "p95", "p99"), rows)
    print(f"  a poll of {TABLES:,} tables: p50 {p50(polls):.2f} s, worst {max(polls):.2f} s of {len(polls)}")
    print(f"  {GOAL}")


def _in_transaction(work: Any) -> None:
    from django.db import transaction

    with transaction.atomic():
        work()


def _ask(
    url: str, headers: dict[str, str], names: Sequence[Any], kind: str, pick: random.Random, seconds: float
) -> list[float]:
    """How long each request took, one after the other, in seconds."""
    from django.utils import timezone

    took = []
    fixed = timezone.now() - timedelta(minutes=2)
    ends_s = time.monotonic() + seconds
    with httpx.Client(headers=headers, timeout=30) as client:
        while time.monotonic() < ends_s:
            cutoff = fixed
            if kind.startswith("a cutoff that"):
                cutoff = fixed - timedelta(milliseconds=pick.randrange(1, 30_000))
            elif kind.startswith("a cutoff to"):
                cutoff = timezone.now() + timedelta(minutes=5)
            items = [
                {"key": str(number), "table": found.name, "cutoff": cutoff.isoformat()}
                for number, found in enumerate(pick.sample(names, ASKED))
            ]
            began_s = time.perf_counter()
            answer = client.post(url, json={"items": items})
            took.append(time.perf_counter() - began_s)
            if answer.status_code != 200:
                raise SystemExit(f"{url}: {answer.status_code} {answer.text[:200]}")
    return took

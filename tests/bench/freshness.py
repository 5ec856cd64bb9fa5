"""Freshness with 10,000 tables: what a poll costs, and the check of 100 tables while polls go on.

Polls, web and client are processes of their own, as in production: three beside PostgreSQL's, on this machine's cores.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from tests.bench.harness import Process, p50, percentile, started, table
from tests.services import free_port

TABLES, ASKED, POLL_EVERY_S = 10_000, 100, 3.0
KINDS = ("the same cutoff again", "a cutoff that is new each time", "a cutoff to come")
GOAL = "goals: check p50 under 15 ms, p99 under 60 ms; a poll of 10,000 tables under 2 s"


def run(*, seconds: float, **_: object) -> None:
    from tests.bench.pages import _answers, _token
    from tests.bench.polls import names
    from tests.freshness import made

    tables = [made.table(name).name for name in names(TABLES)]
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "polls"
        polling = Process("-m", "tests.bench.polls", str(TABLES), str(POLL_EVERY_S), str(told))
        port = free_port()
        server = Process("-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log")
        base = f"http://127.0.0.1:{port}"
        try:
            started(server, lambda: _answers(base))
            started(polling, lambda: len(_polls(told)) >= 2, timeout_s=300)
            client = Client(port, _token())
            pick = random.Random(1)
            client.measure(tables, KINDS[0], pick, 2)  # what is new to the web process is no part of it
            rows = []
            for kind in KINDS:
                cpu_s, own_s = server.cpu_s(), time.process_time()
                took = client.measure(tables, kind, pick, max(seconds, 10))
                shares = [(server.cpu_s() - cpu_s) / len(took), (time.process_time() - own_s) / len(took)]
                figures = [p50(took), *(percentile(took, part) for part in (0.95, 0.99)), max(took), *shares]
                rows.append((kind, len(took), *(f"{value * 1000:.1f} ms" for value in figures)))
        finally:
            polling.stop()
            server.stop()
        polls = _polls(told)
    head = (f"check of {ASKED} tables", "requests", "p50", "p95", "p99", "worst", "web's CPU", "client's CPU")
    table(head, rows)
    print(f"  a poll of {TABLES:,} tables: p50 {p50(polls):.2f} s, worst {max(polls):.2f} s of {len(polls)}")
    print(f"  {GOAL}")


def _polls(told: Path) -> list[float]:
    return [float(line) for line in told.read_text().splitlines()] if told.exists() else []


class Client:
    """One connection that is kept, and no more work between the clock's two looks than a request needs."""

    def __init__(self, port: int, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._headers["Accept-Encoding"] = "gzip"  # as Airflow's sensor sends
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def measure(self, tables: Sequence[str], kind: str, pick: random.Random, seconds: float) -> list[float]:
        """How long each request took, one after the other, in seconds."""
        from django.utils import timezone

        took = []
        fixed = timezone.now() - timedelta(minutes=2)
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            cutoff = fixed
            if kind == KINDS[1]:
                cutoff = fixed - timedelta(milliseconds=pick.randrange(1, 30_000))
            elif kind == KINDS[2]:
                cutoff = timezone.now() + timedelta(minutes=5)
            items = [
                {"key": str(number), "table": name, "cutoff": cutoff.isoformat()}
                for number, name in enumerate(pick.sample(tables, ASKED))
            ]
            body = json.dumps({"items": items}).encode()
            began_s = time.perf_counter()
            self._connection.request("POST", "/api/v1/freshness/check", body, self._headers)
            answer = self._connection.getresponse()
            said = answer.read()
            took.append(time.perf_counter() - began_s)
            if answer.status != 200:
                raise SystemExit(f"the check was answered {answer.status}: {said[:200]!r}")
        return took

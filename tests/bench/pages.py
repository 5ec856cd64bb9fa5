"""Pages, API and metrics at each size of the fleet: time at the server by one and by four clients, weight, memory."""

from __future__ import annotations

import gzip
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

import httpx

from tests.bench.harness import Caller, Process, p50, percentile, started, table
from tests.services import free_port

PATHS = (
    "/fleets/",
    "/fleets/cpu/",
    "/fleets/cpu/?sort=oldest&page=2",
    "/fleets/cpu/chart.json",
    "/",
    "/api/v1/fleets",
    "/api/v1/fleets/cpu/workers",
    "/metrics",
)
GOAL = "goals: at 1,000 workers p50 under 25 ms and 40 kB compressed; 5,000 at most 1.3 times 100; API under 40 ms"


def run(*, sizes: Sequence[int], seconds: float, **_: object) -> None:
    port = free_port()
    server = Process("-m", "uvicorn", "console.asgi:application", "--port", str(port), "--no-access-log")
    base = f"http://127.0.0.1:{port}"
    started(server, lambda: _answers(base))
    headers = {"Authorization": f"Bearer {_token()}", "Cookie": _session(), "Accept-Encoding": "gzip"}
    found: dict[str, dict[int, tuple[float, ...]]] = {path: {} for path in PATHS}
    for size in sizes:
        _fill(size)
        for path in PATHS:
            found[path][size] = _measure(server, base, path, headers, size)
        print(f"  memory of the server with {size:,} workers: {server.memory_mb():.0f} MB", flush=True)
    server.stop()
    rows = []
    for path, by_size in found.items():
        for size, (one, one95, cpu, four, rate, wire, packed) in by_size.items():
            growth = f"{cpu / by_size[min(by_size)][2]:.2f}×"
            times = [f"{value * 1000:.1f} ms" for value in (one, one95, cpu, four)]
            rows.append((path, f"{size:,}", *times, f"{rate:.0f}/s", f"{wire:.0f} kB", f"{packed:.1f} kB", growth))
    table(("path", "workers", "p50", "p95", "CPU", "p50 of four", "four", "on the wire", "gzip", "CPU growth"), rows)
    print(f"  {GOAL}")


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz").status_code == 200
    except httpx.HTTPError:
        return False


def _user() -> object:
    from console.accounts.models import User

    return User.objects.get_or_create(username="bench", defaults={"role": "admin"})[0]


def _session() -> str:
    from django.conf import settings
    from django.test import Client

    settings.ALLOWED_HOSTS = ["*"]
    client = Client()
    client.force_login(_user())  # type: ignore[arg-type]
    return f"{settings.SESSION_COOKIE_NAME}=" + str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def _token() -> str:
    from django.utils import timezone

    from console.accounts import tokens
    from console.accounts.roles import Role

    return str(tokens.mint(_user(), Role.VIEWER, "bench", timezone.now(), None)[1])  # type: ignore[arg-type]


def _measure(server: Process, base: str, path: str, headers: dict[str, str], size: int) -> tuple[float, ...]:
    """p50 and p95 of one client, CPU of the server a request, p50 and rate of four, kB on the wire and compressed."""
    _refresh(size)
    cpu_s = server.cpu_s()
    one, bodies = _ask(base, path, headers, 40)
    cpu_s = (server.cpu_s() - cpu_s) / (len(one) + 1)
    _refresh(size)
    lists: list[list[float]] = []
    threads = [threading.Thread(target=lambda: lists.append(_ask(base, path, headers, 20)[0])) for _ in range(4)]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - began_s
    four = [each for times in lists for each in times]
    packed = len(gzip.compress(bodies[0], 6)) / 1000
    return p50(one), percentile(one, 0.95), cpu_s, p50(four), len(four) / took_s, len(bodies[0]) / 1000, packed


def _ask(base: str, path: str, headers: dict[str, str], times: int) -> tuple[list[float], list[bytes]]:
    caller = Caller(base, headers)
    caller.get(path)
    found = [caller.get(path) for _ in range(times)]
    caller.close()
    return [took_s for took_s, _ in found], [body for _, body in found]


def _refresh(size: int) -> None:
    """Let every source have been read just now: what is measured is a page that shows figures, not `unknown`."""
    from django.utils import timezone

    from console.fleets.judge import judge
    from console.fleets.models import Worker
    from console.platform.models import remember_success
    from console.platform.sources import SOURCES
    from tests.fleets.making import seen

    now = timezone.now()
    seen(now)
    for name in SOURCES:
        remember_success(name, now, 0.1)
    Worker.objects.update(seen_at=now)
    judge(now)


def _fill(size: int) -> None:
    """A fleet of this size in twenty queues, the largest share in `cpu`, with as many running tasks (500 at most)."""
    from django.utils import timezone

    from console.fleets.judge import judge
    from console.fleets.models import Instance, QueueSnapshot, Worker
    from console.fleets.poll import save_compute, save_counts
    from console.fleets.running import save_instances
    from tests.fleets.making import group, instance, seen, task, tasks, worker
    from tests.fleets.story import history

    now = timezone.now()
    for model in (Instance, Worker, QueueSnapshot):
        model.objects.all().delete()
    seen(now)
    nodes = [f"i-{number:017x}" for number in range(size)]
    running = [
        task("dag", f"task_{number}", host=node, started_at=now - timedelta(seconds=number))
        for number, node in enumerate(nodes[:500])
    ]
    waiting = [
        task("dag", f"wait_{n}", state="queued", run="w", queued_at=now - timedelta(seconds=n)) for n in range(40)
    ]
    save_instances(tasks(*running, *waiting), now)
    save_counts(tasks(*running, *waiting, counts=[("cpu", 40, size)]), now)
    save_compute([group("tests-cpu", *(instance(node, launched_at=now) for node in nodes[: size // 2]))], now)
    Worker.objects.bulk_create(
        [
            worker(f"celery@{node}", now, queue="cpu" if index % 2 else f"queue-{index % 38:02}")
            for index, node in enumerate(nodes)
        ]
    )
    judge(now)
    history(now, "cpu", 24)
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")

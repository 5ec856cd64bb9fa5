"""The watcher: CPU, memory, and the delay from a heartbeat to the database, at each size of the fleet."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.bench.harness import Process, percentile, simulate, table, until

GOAL = "goal at 5,000: under 60 % of a core, under 200 MB, under 2 s"


def run(*, sizes: Sequence[int], seconds: float, **_: object) -> None:
    from django.utils import timezone

    from console.fleets.models import Watch, Worker

    rows = []
    for size in sizes:
        Worker.objects.all().delete()
        Watch.objects.all().delete()
        watcher = Process("manage.py", "watch")
        until(lambda: Watch.objects.filter(listening_since__isnull=False).exists())
        fleet = simulate(size)
        started_s = until(lambda size=size: Worker.objects.count() == size, 60)
        time.sleep(3)
        cpu_s, sim_s, began_s = watcher.cpu_s(), fleet.cpu_s(), time.monotonic()
        delays: list[float] = []
        oldest: list[float] = []
        while time.monotonic() - began_s < seconds:
            time.sleep(0.37)  # out of step with the watcher's second
            seen = list(Worker.objects.values_list("seen_at", flat=True))
            now = timezone.now()
            ages = [(now - at).total_seconds() for at in seen if at]
            delays.append(min(ages))
            oldest.append(max(ages) - 2.0)  # each worker beats every 2 s
        took_s = time.monotonic() - began_s
        note = Watch.objects.get()
        rows.append(
            (
                size,
                f"{(watcher.cpu_s() - cpu_s) / took_s:.0%}",
                f"{watcher.memory_mb():.0f} MB",
                f"{percentile(delays, 0.5):.2f} s",
                f"{percentile(oldest, 0.5):.2f} s",
                f"{max(oldest):.2f} s",
                f"{(note.write_s or 0) * 1000:.0f} ms",
                f"{note.lag_s or 0:.3f} s",
                f"{note.missed} of {note.events}",
                f"{started_s:.1f} s",
                f"{(fleet.cpu_s() - sim_s) / took_s:.0%}",
            )
        )
        fleet.stop()
        watcher.stop()
    table(
        (
            "workers",
            "CPU",
            "memory",
            "newest p50",
            "oldest p50",
            "oldest max",
            "write",
            "lag",
            "missed",
            "all listed",
            "simulator",
        ),
        rows,
    )
    print(f"  {GOAL}")

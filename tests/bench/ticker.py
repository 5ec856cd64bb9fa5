"""What beat and the console's worker do for fleets, in one process: `python -m tests.bench.ticker`.

The broker's polls, the judgement and the history are the real ones. There is no Airflow and no AWS behind a simulated
fleet: their sources are noted as read, and empty.
"""

from __future__ import annotations

import os
import time


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    import django

    django.setup()
    from django.utils import timezone

    from console.fleets import tasks
    from console.platform.models import remember_success
    from console.platform.sources import COMPUTE, TASKS

    def elsewhere() -> None:
        for spec in (TASKS, COMPUTE):
            remember_success(spec.name, timezone.now(), 0.0)

    work = [
        (2.0, tasks.poll_queues),
        (5.0, tasks.poll_workers),
        (2.0, tasks.judge),
        (15.0, tasks.record_history),
        (2.0, elsewhere),
    ]
    due = [time.monotonic()] * len(work)
    while True:
        for index, (every_s, do) in enumerate(work):
            if time.monotonic() >= due[index]:
                due[index] = max(due[index] + every_s, time.monotonic())
                do()
        time.sleep(0.05)


if __name__ == "__main__":
    main()

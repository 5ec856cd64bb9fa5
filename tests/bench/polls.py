"""`python -m tests.bench.polls TABLES EVERY_S FILE`: a platform that is polled, in a process of its own as a worker is.

First four minutes of its story at once; then a poll every so many seconds, until a TERM. How long each took goes into
the file, in seconds, a line each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path


def main(tables: int, every_s: float, file: Path) -> None:
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = "console.settings"
    django.setup()
    from django.utils import timezone

    from tests.freshness import made
    from tests.freshness.story import Story

    told_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told_to_end.set())
    story = Story(timezone.now() - timedelta(minutes=4), [made.table(name) for name in names(tables)])
    for _ in range(18):
        in_transaction(story.step)
    while not told_to_end.is_set():
        story.now = timezone.now()
        in_transaction(story.write)
        story.arrived = story.log[-1]
        began_s = time.perf_counter()
        in_transaction(story.poll)
        with file.open("a") as told:
            told.write(f"{time.perf_counter() - began_s:.4f}\n")
        told_to_end.wait(every_s)


def names(tables: int) -> list[str]:
    return [f"t{number:05}" for number in range(tables)]


def in_transaction(work: Callable[[], object]) -> None:
    from django.db import transaction

    with transaction.atomic():
        work()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), Path(sys.argv[3]))

"""How many slots of each queue are ready, second by second, asked of the workers themselves and not of the console."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field

from console.platform.broker import Broker
from console.platform.declared import BrokerDeclared
from console.platform.ports import PlatformError
from console.platform.readings import WorkerReading
from tests.journeys.conftest import Sandbox

REMEMBERED_S = 30.0
"""A worker that is slow to answer (a busy machine, a broker that was restarted) still is what it was for so long."""


@dataclass
class ReadySlots:
    """`seen` has a sample a second: the slots of workers that live and consume, by queue."""

    sandbox: Sandbox
    seen: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    _last: dict[str, tuple[float, WorkerReading]] = field(default_factory=dict)
    _ended: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> ReadySlots:
        self._broker = Broker(BrokerDeclared(self.sandbox.env["AIRFLOW_BROKER_URL"], "", 86400.0))
        self.look()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._ended.wait(1.0):
            with contextlib.suppress(OSError, ValueError):  # the list of processes is being written
                self.look()

    def look(self) -> None:
        living = [f"celery@{name}" for name in self.sandbox.processes() if name.startswith("i-")]
        now = time.monotonic()
        try:
            answers = self._broker.workers(living, timeout_s=2.0)
        except PlatformError:  # the broker is away: nobody consumes less for it, and nobody can be asked
            answers = ()
        self._last.update({answer.node: (now, answer) for answer in answers if answer.queues is not None})
        slots: dict[str, int] = {}
        for node in living:
            at, answer = self._last.get(node, (0.0, None))
            if answer is None or now - at > REMEMBERED_S:
                continue
            for queue in answer.queues or ():
                slots[queue] = slots.get(queue, 0) + (answer.concurrency or 0)
        if answers:
            self.seen.append((now, slots))

    def fewest(self, queue: str) -> int:
        return min(slots.get(queue, 0) for _, slots in self.seen)

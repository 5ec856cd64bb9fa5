"""How many slots of each queue are ready, second by second, asked of the workers themselves and not of the console."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field, replace

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
    told: list[str] = field(default_factory=list)
    """The same in words, worker by worker, for a person who looks for the cause of a shortage."""
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
        for answer in answers:
            # The three questions of one look are answered one by one: on a busy machine the slots may miss the look.
            known = self._last[answer.node][1].concurrency if answer.node in self._last else None
            if answer.queues is not None:
                self._last[answer.node] = (now, replace(answer, concurrency=answer.concurrency or known))
        slots: dict[str, int] = {}
        found = {answer.node: answer for answer in answers}
        for node in living:
            at, answer = self._last.get(node, (0.0, None))
            if answer is None or now - at > REMEMBERED_S:
                continue
            for queue in answer.queues or ():
                slots[queue] = slots.get(queue, 0) + (answer.concurrency or 0)
        if answers:
            self.seen.append((now, slots))
            words = [self._words(node, found.get(node), now) for node in living]
            self.told.append(f"{time.strftime('%H:%M:%S')} {slots} {'; '.join(words)}")

    def _words(self, node: str, answer: WorkerReading | None, now: float) -> str:
        if answer is None:
            return f"{node} silent for {now - self._last[node][0]:.1f} s" if node in self._last else f"{node} silent"
        return f"{node} {answer.concurrency} on {answer.queues}"

    def fewest(self, queue: str) -> int:
        return min(slots.get(queue, 0) for _, slots in self.seen)

    def around_fewest(self, queue: str) -> str:
        """The words of the samples about the worst one of this queue."""
        worst = min(range(len(self.seen)), key=lambda at: self.seen[at][1].get(queue, 0))
        return "\n".join(self.told[max(0, worst - 3) : worst + 4])

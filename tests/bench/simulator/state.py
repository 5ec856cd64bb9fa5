"""A simulated worker and its tasks."""

from __future__ import annotations

import random
import time
import uuid

TASK_NAME = "execute_workload"


class Task:
    __slots__ = ("args", "argsrepr", "due", "id", "queue", "revoked", "started", "worker")

    def __init__(self, args: list, queue: str):
        self.id = str(uuid.UUID(int=random.getrandbits(128), version=4))
        self.args = args
        self.argsrepr = repr(tuple(args))
        if len(self.argsrepr) > 1024:  # celery's argsrepr_maxsize
            self.argsrepr = self.argsrepr[:1021] + "..."
        self.queue = queue
        self.worker: Worker | None = None
        self.started = 0.0
        self.due = 0.0
        self.revoked = False

    def info(self, safe: bool = False) -> dict:
        """As celery.worker.request.Request.info()."""
        w = self.worker
        return {
            "id": self.id,
            "name": TASK_NAME,
            "args": self.argsrepr if safe else self.args,
            "kwargs": "{}" if safe else {},
            "type": TASK_NAME,
            "hostname": w.name,
            "time_start": self.started or None,
            "acknowledged": False,
            "delivery_info": {"exchange": "", "routing_key": self.queue, "priority": 0, "redelivered": False},
            "worker_pid": (w.pid + 1) if self.started else None,
        }


class Worker:
    __slots__ = (
        "active",
        "born",
        "concurrency",
        "name",
        "outbox",
        "pid",
        "processed",
        "queues",
        "reserved",
        "revoked",
        "silent",
        "task_events",
        "up",
    )

    def __init__(self, name: str, queues: list[str], concurrency: int, silent: bool, task_events: bool):
        self.name = name
        self.queues = queues
        self.concurrency = concurrency
        self.silent = silent
        self.active: dict[str, Task] = {}
        self.reserved: dict[str, Task] = {}
        self.revoked: list[str] = []
        self.processed = 0
        self.outbox: list[str] = []  # task events of this tick
        self.boot(task_events)

    def boot(self, task_events: bool) -> None:
        self.pid = random.randint(100, 60000)
        self.born = time.time()
        self.up = True
        self.task_events = task_events

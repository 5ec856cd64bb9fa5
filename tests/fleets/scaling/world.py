"""A small platform in memory behind the console's real ports: a queue, workers that boot and work, a group, agents.

The console is the real one: polls save, the judge judges, decisions are made and operations tick in the database.
Time is the world's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from console.fleets.judge import judge
from console.fleets.models import Worker
from console.fleets.poll import save_compute, save_counts, save_queues, save_workers
from console.fleets.running import save_instances
from console.fleets.scaling.act import decide_all
from console.operations.engine import tick
from console.operations.models import Operation
from console.platform.agents_readings import ReceiptReading
from console.platform.readings import (
    BrokerReading,
    GroupReading,
    InstanceReading,
    QueueCount,
    QueueDepth,
    TaskIdentity,
    TaskInstance,
    TasksReading,
    WorkerReading,
)
from tests.fleets.making import seen, unseen

SLOTS, BOOT_S, STEP_S = 16, 40.0, 5.0


@dataclass
class Host:
    name: str
    number: int
    launched_at: datetime
    up_at: datetime
    tasks: dict[int, datetime] = field(default_factory=dict)  # task → its end
    consuming: bool = True
    stopping: bool = False
    exited_at: datetime | None = None
    gone: bool = False
    protected: bool = False

    @property
    def node(self) -> str:
        return f"celery@{self.name}"


@dataclass
class World:
    now: datetime
    desired: int = 2
    minimum: int = 2
    maximum: int = 4
    queue: str = "io"
    group: str = "tests-io"
    takes_s: float = 45.0
    waiting: deque[int] = field(default_factory=deque)
    queued_at: dict[int, datetime] = field(default_factory=dict)
    started: dict[int, tuple[str, datetime]] = field(default_factory=dict)
    done: list[int] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    hidden: tuple[Any, ...] = ()  # sources that can't be seen
    sizes: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        for _ in range(self.desired):
            self._launch(self.now - timedelta(hours=1))

    # -- the platform ------------------------------------------------------------------------------------------------

    def _launch(self, at: datetime) -> None:
        number = len(self.hosts) + 1
        self.hosts.append(Host(f"i-0{number:016x}", number, at, at + timedelta(seconds=BOOT_S)))

    def there(self) -> list[Host]:
        return [host for host in self.hosts if not host.gone]

    def up(self, host: Host) -> bool:
        return not host.gone and host.exited_at is None and self.now >= host.up_at

    def flood(self, number: int) -> None:
        first = len(self.queued_at)
        for task in range(first, first + number):
            self.waiting.append(task)
            self.queued_at[task] = self.now

    def pass_time(self) -> None:
        self.now += timedelta(seconds=STEP_S)
        for host in self.there():
            for task in [task for task, end in host.tasks.items() if end <= self.now]:
                del host.tasks[task]
                self.done.append(task)
            if host.stopping and not host.tasks and host.exited_at is None:
                host.exited_at = self.now
        free = [h for h in self.there() if self.up(h) and h.consuming and not h.stopping]
        while self.waiting and any(len(host.tasks) < SLOTS for host in free):
            host = min((h for h in free if len(h.tasks) < SLOTS), key=lambda h: len(h.tasks))
            task = self.waiting.popleft()
            host.tasks[task] = self.now + timedelta(seconds=self.takes_s)
            self.started[task] = (host.name, self.now)
        while len(self.there()) < self.desired:
            self._launch(self.now)
        self.sizes.append(self.desired)

    # -- the console -------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Every poll, the heartbeats and the judge."""
        seen(self.now)
        if self.hidden:
            unseen(self.now, *self.hidden)
        instances = tuple(self.instance(task) for host in self.there() for task in host.tasks)
        instances += tuple(self.instance(task) for task in list(self.waiting)[:400])
        running = sum(len(host.tasks) for host in self.there())
        counts = (QueueCount(self.queue, len(self.waiting), running),)
        reading = TasksReading(counts, instances, len(self.waiting), running, True)
        if not self.hidden:
            save_counts(reading, self.now)
            save_instances(reading, self.now)
        save_queues(BrokerReading((QueueDepth(self.queue, len(self.waiting)),), 0, 0.001), self.now)
        save_compute(self.groups([self.group]), self.now)
        for host in self.there():
            if self.up(host) and not host.stopping:
                beat = {"seen_at": self.now, "pid": host.number, "active": len(host.tasks), "progress_at": self.now}
                Worker.objects.filter(node=host.node).update(**beat)
        nodes = [host.node for host in self.there()]
        save_workers((nodes, self.workers(nodes, timeout_s=1)), self.now)
        judge(self.now)

    def work(self) -> None:
        """Every operation that is under way, one tick."""
        for pk in Operation.objects.active().values_list("pk", flat=True):
            Operation.objects.filter(pk=pk).update(next_tick_at=datetime(2020, 1, 1, tzinfo=self.now.tzinfo))
            tick(pk, self, now=lambda: self.now)  # type: ignore[arg-type]

    def run(self, seconds: float) -> None:
        for step in range(int(seconds / STEP_S)):
            self.pass_time()
            self.look()
            if step % 3 == 0:
                decide_all(self.now)
            self.work()

    # -- ports -------------------------------------------------------------------------------------------------------

    def compute(self) -> World:
        return self

    def broker(self) -> World:
        return self

    def airflow(self) -> World:
        return self

    def agents(self) -> World:
        return self

    def instance(self, task: int) -> TaskInstance:
        host, at = self.started.get(task, (None, None))
        identity = TaskIdentity("sleepers", "sleep", "manual__1", task, 1)
        state = "running" if host else "queued"
        return TaskInstance(identity, state, self.queue, "default_pool", host, self.queued_at[task], at)

    def groups(self, names: Sequence[str]) -> tuple[GroupReading, ...]:
        rows = tuple(
            InstanceReading(h.name, "InService", "Healthy", f"z{h.number % 2}", "t4g.medium", "1", h.protected,
                            h.launched_at, None)
            for h in self.there()
        )  # fmt: skip
        return (GroupReading(self.group, self.minimum, self.maximum, self.desired, "1", rows),)

    def workers(self, nodes: Sequence[str], *, timeout_s: float) -> tuple[WorkerReading, ...]:
        found = {host.node: host for host in self.there() if self.up(host) and not host.stopping}
        return tuple(self._answer(found[node]) for node in nodes if node in found)

    def _answer(self, host: Host) -> WorkerReading:
        active = tuple(self.instance(task).identity for task in host.tasks)
        queues = (self.queue,) if host.consuming else ()
        return WorkerReading(host.node, host.number, SLOTS, queues, active, (), len(self.done), ())

    def _of(self, nodes: Sequence[str]) -> list[Host]:
        assert nodes, "an empty destination would be every worker"
        return [host for host in self.there() if host.node in nodes]

    def cancel(self, nodes: Sequence[str], queues: Sequence[str]) -> None:
        for host in self._of(nodes):
            host.consuming = False

    def consume(self, nodes: Sequence[str], queues: Sequence[str]) -> None:
        for host in self._of(nodes):
            host.consuming = True

    def stop(self, nodes: Sequence[str]) -> None:
        for host in self._of(nodes):
            host.stopping = True

    def set_desired(self, group: str, desired: int) -> None:
        assert self.minimum <= desired <= self.maximum
        assert desired >= self.desired, "only drains make it smaller"
        self.desired = desired

    def set_limits(self, group: str, minimum: int, maximum: int) -> None:
        self.minimum, self.maximum = minimum, maximum

    def terminate(self, group: str, instance_id: str, *, decrement: bool) -> None:
        host = next(host for host in self.hosts if host.name == instance_id)
        self.killed += list(host.tasks)
        host.gone, host.tasks = True, {}
        self.desired -= decrement
        assert self.desired >= self.minimum

    def protect(self, group: str, instance_ids: Sequence[str], *, protected: bool) -> None:
        for host in self.there():
            host.protected = protected if host.name in instance_ids else host.protected

    def running(self, queue: str, *, limit: int) -> tuple[tuple[TaskInstance, ...], bool]:
        return tuple(self.instance(task) for host in self.there() for task in host.tasks), True

    def receipts(self, names: Sequence[str], since: datetime) -> tuple[ReceiptReading, ...]:
        return tuple(
            ReceiptReading(h.name, h.number, 0, None, True, 0, h.launched_at, h.exited_at)
            for h in self.hosts
            if h.name in names and h.exited_at is not None
        )

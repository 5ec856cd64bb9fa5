"""Made-up platforms for the tests of fleets: readings, rows, and sources that can or can't be seen."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from console.fleets.models import Worker
from console.fleets.names import host_key, host_of
from console.fleets.rules import State
from console.fleets.sources import FLEET_SOURCES
from console.platform.models import Source, remember_failure, remember_success
from console.platform.readings import (
    BrokerReading,
    GroupReading,
    InstanceReading,
    QueueCount,
    QueueDepth,
    TaskIdentity,
    TaskInstance,
    TasksReading,
    WorkerHeartbeat,
    WorkerReading,
)
from console.platform.sources import SourceSpec


def ago(now: datetime, seconds: float) -> datetime:
    return now - timedelta(seconds=seconds)


def seen(now: datetime, *specs: SourceSpec) -> None:
    """These sources (all of the fleets' by default) were read a second ago."""
    for spec in specs or FLEET_SOURCES:
        remember_success(spec.name, ago(now, 1), 0.1)


def unseen(now: datetime, *specs: SourceSpec, error: str = "nothing answers at broker:6379/0") -> None:
    """These sources were last read well past their limit, and fail since."""
    for spec in specs:
        Source.objects.filter(name=spec.name).delete()
        remember_success(spec.name, ago(now, spec.limit_s + 60), 0.1)
        remember_failure(spec.name, ago(now, 1), 0.1, error=error, code="refused", remedy="Start it.")


def task(
    dag: str = "pricing",
    name: str = "elasticity_model",
    *,
    queue: str = "cpu",
    state: str = "running",
    host: str | None = None,
    queued_at: datetime | None = None,
    started_at: datetime | None = None,
    run: str = "manual__1",
    index: int = -1,
) -> TaskInstance:
    return TaskInstance(
        TaskIdentity(dag, name, run, index, 1), state, queue, "default_pool", host, queued_at, started_at
    )


def tasks(*instances: TaskInstance, counts: Iterable[tuple[str, int, int]] = (), complete: bool = True) -> TasksReading:
    rows = tuple(QueueCount(*row) for row in counts)
    queued = sum(row.queued for row in rows)
    return TasksReading(rows, instances, queued, sum(row.running for row in rows), complete)


def depths(**by_queue: int) -> BrokerReading:
    return BrokerReading(tuple(QueueDepth(queue, waiting) for queue, waiting in by_queue.items()), 0, 0.001)


def group(name: str = "tests-cpu", *instances: InstanceReading, desired: int | None = None) -> GroupReading:
    return GroupReading(name, 0, 4, len(instances) if desired is None else desired, "r7", instances)


def instance(
    instance_id: str = "i-0aaaaaaaaaaaaaaa1",
    lifecycle: str = "InService",
    *,
    launched_at: datetime | None = None,
    ip: str | None = None,
    zone: str = "eu-north-1a",
) -> InstanceReading:
    return InstanceReading(instance_id, lifecycle, "Healthy", zone, "c7g.large", "r7", False, launched_at, ip)


def answer(
    node: str,
    *,
    queues: tuple[str, ...] | None = ("cpu",),
    active: int = 0,
    reserved: int = 0,
    slots: int = 2,
    pid: int = 7,
) -> WorkerReading:
    def some(number: int) -> tuple[TaskIdentity, ...]:
        return tuple(TaskIdentity("d", "t", f"r{each}") for each in range(number))

    return WorkerReading(node, pid, slots, queues, some(active), some(reserved), 3, ())


def heartbeat(
    node: str,
    at: datetime,
    *,
    kind: str = "heartbeat",
    active: int | None = 0,
    processed: int | None = 3,
    pid: int | None = 7,
    sent_at: datetime | None = None,
) -> WorkerHeartbeat:
    return WorkerHeartbeat(node, kind, active, processed, (0.5, 0.4, 0.3), 2.0, pid, sent_at or at, at)


def worker(
    node: str, now: datetime, *, queue: str = "cpu", state: State = State.IN_SERVICE, **fields: object
) -> Worker:
    """A worker row as the judge leaves it; not saved."""
    host = host_of(node)
    alive = state in (State.IN_SERVICE, State.DRAINING, State.QUIESCED, State.STUCK)
    values: dict[str, object] = {
        "node": node,
        "host": host,
        "host_key": host_key(host),
        "home": queue,
        "serves": [queue],
        "consumes": [queue] if state is State.IN_SERVICE else [],
        "first_seen_at": ago(now, 3600),
        "seen_at": ago(now, 1) if alive else None,
        "answered_at": ago(now, 2) if alive else None,
        "pid": 7,
        "active": 1,
        "processed": 3,
        "slots": 2,
        "state": state.value,
        "state_since": ago(now, 600),
    }
    return Worker(**(values | fields))

"""One fresh look at the workers that an operation works on: from the broker, the group, Airflow and the agents.

What can't be read is None in what is returned, never an error: the rules decide what unknown means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from console.fleets.crew import Crew
from console.fleets.draining import Receipt, Seen
from console.fleets.names import host_key, host_of
from console.platform.agents_readings import ReceiptReading
from console.platform.ports import PlatformError, Ports
from console.platform.readings import GroupReading, TaskIdentity, TaskInstance, WorkerReading

ANSWER_S = 3.0
TASKS = 3000
RECEIPTS_BACK = timedelta(days=2)


@dataclass(frozen=True)
class Wanted:
    """A worker to look at. `pid` is the process that is being drained, where it is known."""

    node: str
    instance_id: str
    pid: int | None = None
    since: datetime | None = None  # a receipt from before this is another run's


@dataclass(frozen=True)
class Look:
    """`group` None: the Auto Scaling Group can't be seen. `broker` False: the workers could not be asked."""

    group: GroupReading | None
    broker: bool
    seen: Mapping[str, Seen]  # by instance


def look(
    ports: Ports, queue: str, group: str, wanted: Callable[[GroupReading | None], Sequence[Wanted]], now: datetime
) -> Look:
    """Look once at the workers that `wanted` names, given the group: one call to each system, whatever their number."""
    reading = _group(ports, group)
    workers = wanted(reading)
    answers = _answers(ports, [each.node for each in workers])
    running = _running(ports, queue) if workers else {}
    receipts = _receipts(ports, workers, now)
    lifecycles = None if reading is None else {each.instance_id: each.lifecycle for each in reading.instances}
    seen = {
        each.instance_id: _seen(
            answers,
            each,
            None if lifecycles is None else lifecycles.get(each.instance_id, "absent"),
            None if running is None else running.get(host_key(host_of(each.node)), ()),
            receipts.get(each.instance_id, ()),
        )
        for each in workers
    }
    return Look(reading, answers is not None, seen)


def of_drains(crew: Crew) -> list[Wanted]:
    """The workers of a crew that are still at work."""
    return [Wanted(drain.node, drain.instance_id, drain.pid, drain.started_at) for drain in crew.at_work()]


def _answers(ports: Ports, nodes: list[str]) -> dict[str, WorkerReading] | None:
    try:
        return {answer.node: answer for answer in ports.broker().workers(nodes, timeout_s=ANSWER_S)}
    except PlatformError:
        return None


def _group(ports: Ports, name: str) -> GroupReading | None:
    try:
        return next(iter(ports.compute().groups([name])), None)
    except PlatformError:
        return None


def _running(ports: Ports, queue: str) -> dict[str, tuple[str, ...]] | None:
    """Names of running task instances by host; None where Airflow can't say, or not completely."""
    try:
        found, complete = ports.airflow().running(queue, limit=TASKS)
    except PlatformError:
        return None
    return by_host(found) if complete else None


def by_host(instances: Iterable[TaskInstance]) -> dict[str, tuple[str, ...]]:
    hosts: dict[str, list[str]] = {}
    for each in instances:
        hosts.setdefault(host_key(each.hostname), []).append(named(each.identity))
    return {host: tuple(names) for host, names in hosts.items()}


def _receipts(ports: Ports, wanted: Sequence[Wanted], now: datetime) -> dict[str, tuple[ReceiptReading, ...]]:
    try:
        found = ports.agents().receipts([each.instance_id for each in wanted], now - RECEIPTS_BACK)
    except PlatformError:
        return {}
    receipts: dict[str, list[ReceiptReading]] = {}
    for each in found:
        receipts.setdefault(each.name, []).append(each)
    return {name: tuple(each) for name, each in receipts.items()}


def _seen(
    answers: dict[str, WorkerReading] | None,
    wanted: Wanted,
    lifecycle: str | None,
    running: tuple[str, ...] | None,
    receipts: Sequence[ReceiptReading],
) -> Seen:
    receipt = next((_receipt(each) for each in reversed(receipts) if _of_this_run(each, wanted)), None)
    if answers is None:
        return Seen(None, running=running, lifecycle=lifecycle, receipt=receipt)
    answer = answers.get(wanted.node)
    if answer is None:
        return Seen(False, running=running, lifecycle=lifecycle, receipt=receipt)
    return Seen(
        answered=True,
        pid=answer.pid,
        queues=answer.queues,
        active=None if answer.active is None else tuple(named(each) for each in answer.active),
        reserved=_waiting(answer),
        running=running,
        lifecycle=lifecycle,
        receipt=receipt,
        canaries=answer.canaries,
    )


def _waiting(answer: WorkerReading) -> int | None:
    """Fetched and not started: what is reserved or kept until its time, less what is active.

    A task with an ETA is in neither of Celery's other two lists, and would be lost with the worker all the same.
    """
    if answer.reserved is None or answer.active is None or answer.scheduled is None:
        return None
    active = set(answer.active)
    return sum(1 for each in (*answer.reserved, *answer.scheduled) if each not in active)


def _of_this_run(receipt: ReceiptReading, wanted: Wanted) -> bool:
    if wanted.pid is not None:
        return receipt.child_pid == wanted.pid
    return wanted.since is not None and receipt.exited_at >= wanted.since


def _receipt(reading: ReceiptReading) -> Receipt:
    return Receipt(reading.child_pid, reading.exit_code, reading.signal, reading.exited_at)


def named(task: TaskIdentity) -> str:
    """`dag.task (run)`, with the index of a mapped one: how a person finds it in Airflow."""
    index = f"[{task.map_index}]" if task.map_index >= 0 else ""
    name = f"{task.dag_id}.{task.task_id}" if task.dag_id else task.task_id
    return f"{name}{index} ({task.run_id})" if task.run_id else f"{name}{index}"

"""When: each source of the fleets on its own, so that one that hangs delays no other."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from celery import shared_task
from django.utils import timezone

from console.fleets import judge as judgement
from console.fleets import poll, record, running
from console.fleets.scaling import tasks as scaling  # noqa: F401 - Celery finds its tasks from here
from console.fleets.sources import JUDGED
from console.platform import connect
from console.platform.poll import take
from console.platform.readings import TasksReading, WorkerReading
from console.platform.sources import COMPUTE, QUEUES, TASKS, WORKERS

ANSWER_S = 2.0
"""How long a pause among the workers' answers ends the wait for more of them."""


@shared_task
def poll_tasks() -> None:
    """Airflow's queued and running task instances."""

    def save(reading: TasksReading, at: datetime) -> None:
        poll.save_counts(reading, at)
        running.save_instances(reading, at)

    take(TASKS, lambda: connect.airflow().tasks(poll.queues_to_count(), limit=poll.INSTANCES_LIMIT), save)


@shared_task
def poll_queues() -> None:
    """The depth of the broker's queues."""
    take(QUEUES, lambda: connect.broker().queues(poll.queues_to_measure()), poll.save_queues)


@shared_task
def poll_workers() -> None:
    """What the workers answer when they are asked by name."""

    def ask() -> tuple[Sequence[str], Sequence[WorkerReading]]:
        nodes = poll.nodes_to_ask(timezone.now())
        return nodes, connect.broker().workers(nodes, timeout_s=ANSWER_S)

    take(WORKERS, ask, poll.save_workers)


@shared_task
def poll_compute() -> None:
    """The declared Auto Scaling Groups."""
    take(COMPUTE, lambda: connect.compute().groups(poll.declared_groups()), poll.save_compute)


@shared_task
def judge() -> None:
    """What is concluded from all of it."""
    take(JUDGED, lambda: None, lambda _, at: judgement.judge(at))


@shared_task
def record_history() -> None:
    """The fleets' figures into their time series; old past runs are forgotten."""
    record.record(timezone.now())


@shared_task
def forget() -> None:
    running.forget_past_runs(timezone.now())

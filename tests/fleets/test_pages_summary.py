from __future__ import annotations

from datetime import datetime

import pytest

from console.fleets.judge import judge
from console.fleets.models import Worker
from console.fleets.pages import fleets_summary
from console.fleets.poll import save_compute, save_counts, save_queues, save_workers
from console.platform.sources import COMPUTE, HEARTBEATS, QUEUES, TASKS, WORKERS
from tests.fleets.making import ago, answer, depths, group, instance, seen, tasks, unseen, worker

pytestmark = pytest.mark.django_db

NODES = ["celery@i-0aaaaaaaaaaaaaaa1", "celery@i-0aaaaaaaaaaaaaaa2"]


@pytest.fixture
def calm(now: datetime) -> None:
    """Two workers serve cpu, one task waits and two run."""
    seen(now)
    save_counts(tasks(counts=[("cpu", 1, 2), ("default", 0, 0), ("io", 0, 0)]), ago(now, 1))
    save_queues(depths(cpu=1, default=0, io=0), ago(now, 1))
    save_compute([group("tests-cpu", *(instance(node.removeprefix("celery@")) for node in NODES))], ago(now, 1))
    Worker.objects.bulk_create([worker(node, now) for node in NODES])
    save_workers((NODES, [answer(node, active=1) for node in NODES]), ago(now, 1))
    judge(now)


def test_it_tells_work_and_workers_of_each_declared_fleet(calm: None, now: datetime) -> None:
    cpu = {fleet.queue: fleet for fleet in fleets_summary(now).fleets}["cpu"]
    assert (cpu.outstanding, cpu.running, cpu.slots, cpu.in_service) == (1, 2, 4, 2)
    assert (cpu.baseline, cpu.desired, cpu.maximum) == (2, 2, 4)
    assert cpu.status == "healthy"


def test_what_cannot_be_seen_is_none_and_the_rest_goes_on(calm: None, now: datetime) -> None:
    unseen(now, COMPUTE)
    cpu = {fleet.queue: fleet for fleet in fleets_summary(now).fleets}["cpu"]
    assert (cpu.desired, cpu.in_service, cpu.outstanding, cpu.status) == (None, 2, 1, "healthy")
    unseen(now, QUEUES, WORKERS, HEARTBEATS)
    cpu = {fleet.queue: fleet for fleet in fleets_summary(now).fleets}["cpu"]
    assert (cpu.in_service, cpu.slots, cpu.depth, cpu.outstanding, cpu.running) == (None, None, None, 1, 2)
    assert cpu.status == "unknown"
    assert "broker" in cpu.reason
    seen(now)
    unseen(now, TASKS)
    cpu = {fleet.queue: fleet for fleet in fleets_summary(now).fleets}["cpu"]
    assert (cpu.in_service, cpu.outstanding, cpu.running, cpu.status) == (2, None, None, "unknown")

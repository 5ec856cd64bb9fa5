"""A whole made-up platform, well unless a test breaks something of it."""

from __future__ import annotations

from datetime import datetime

from console.fleets.judge import judge
from console.fleets.models import Worker
from console.fleets.poll import save_compute, save_counts, save_queues, save_workers
from console.platform.models import remember_success
from console.platform.sources import SOURCES
from console.pools.poll import save_pools
from tests.datastores.made import CACHE, RDS
from tests.datastores.made import polled as datastores_polled
from tests.fleets.making import ago, answer, depths, group, instance, seen, tasks, worker
from tests.freshness.made import level
from tests.pools.made import DEFAULT
from tests.scheduler.made import airflow, helpers, job
from tests.scheduler.made import polled as scheduler_polled
from tests.storage.made import well as storage_well

QUEUES = ("default", "cpu", "io")


def nodes(queue: str, number: int) -> list[str]:
    return [f"celery@i-0{queue.encode().hex()[:6]}{index:010x}" for index in range(number)]


def whole(now: datetime, *, workers: int = 2) -> None:
    """Everything that is declared was read a second ago, and is well; `workers` serve each queue
    (0: the fleets are left to the test)."""
    seen(now)
    for spec in SOURCES.values():
        remember_success(spec.name, ago(now, 1), 0.1)
    at = ago(now, 1)
    scheduler_polled(at, airflow(job(1, "scheduler-a", ago(now, 2)), *helpers(at)))
    datastores_polled(at, RDS, CACHE)
    storage_well(at)
    save_pools([DEFAULT], at)
    level(at)
    if workers:
        fleets(now, workers)


def fleets(now: datetime, workers: int) -> None:
    at = ago(now, 1)
    save_counts(tasks(counts=[(queue, 0, 1) for queue in QUEUES]), at)
    save_queues(depths(**dict.fromkeys(QUEUES, 0)), at)
    fleet = {queue: nodes(queue, workers) for queue in QUEUES}
    groups = [
        group(f"tests-{queue}", *(instance(node.removeprefix("celery@")) for node in names))
        for queue, names in fleet.items()
    ]
    save_compute(groups, at)
    Worker.objects.bulk_create([worker(node, now, queue=queue) for queue, names in fleet.items() for node in names])
    everyone = [node for names in fleet.values() for node in names]
    answers = [answer(node, queues=(queue,), active=1) for queue, names in fleet.items() for node in names]
    save_workers((everyone, answers), at)
    judge(now)

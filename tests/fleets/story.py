"""A busy night to look at: cpu is behind, io lost a worker, default is calm, and queues that nobody declared."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.fleets.judge import judge
from console.fleets.models import PastRuns, Worker
from console.fleets.poll import save_compute, save_counts, save_queues, save_workers
from console.fleets.record import series_name
from console.fleets.running import save_instances
from console.history import series
from console.platform.readings import BrokerReading, QueueDepth
from tests.fleets.making import ago, answer, group, instance, seen, task, tasks, worker

NASTY = "celery@<script>alert(1)</script>"
LONG = "queue-" + "ü" * 294


def ids(queue: str, number: int) -> list[str]:
    return [f"i-0{queue.encode().hex()[:6]}{index:010x}" for index in range(number)]


def tell(now: datetime, *, workers: int = 4) -> None:
    """Write the whole night into the database, as polls and the judge would."""
    seen(now)
    at = ago(now, 1)
    cpu, io, default = ids("cpu", workers), ids("io", 3), ids("default", 2)
    fleet = {"cpu": cpu, "io": io, "default": default}
    running = [
        task("pricing", f"elasticity_{i}", queue="cpu", host=host, started_at=ago(now, 2460 - 60 * i))
        for i, host in enumerate(cpu * 2)
    ]
    running += [task("sensors", f"wait_{i}", queue="io", host=io[0], started_at=ago(now, 300)) for i in range(9)]
    waiting = [
        task(
            "pricing",
            f"rebuild_shard_{i}",
            queue="cpu",
            state="queued",
            run=f"manual__{i}",
            queued_at=ago(now, 250 - i),
        )
        for i in range(41)
    ]
    extra = [task("adhoc", "x", queue=LONG, state="queued", queued_at=ago(now, 20))]
    reading = tasks(
        *running,
        *waiting,
        *extra,
        counts=[("cpu", 41, len(cpu) * 2), ("io", 0, 9), ("default", 0, 0), (LONG, 1, 0)],
    )
    save_counts(reading, ago(now, 120))
    save_counts(reading, at)
    save_instances(reading, at)
    save_queues(
        BrokerReading(
            tuple(QueueDepth(q, n) for q, n in (("cpu", 41), ("io", 0), ("default", 0), (LONG, 1))), 8, 0.001
        ),
        at,
    )
    groups = [
        group(
            f"tests-{queue}",
            *(
                instance(name, launched_at=ago(now, 86400), zone=f"eu-north-1{'abc'[i % 3]}")
                for i, name in enumerate(names)
            ),
            desired=len(names),
        )
        for queue, names in fleet.items()
    ]
    groups[0] = group(
        "tests-cpu", *groups[0].instances, instance("i-0cccccccccccccccc", "Pending", launched_at=ago(now, 90)),
        instance("i-0dddddddddddddddd", "InService", launched_at=ago(now, 900)), desired=workers + 2,
    )  # fmt: skip
    save_compute(groups, at)
    rows = [worker(f"celery@{name}", now, queue=queue, slots=16 if queue == "io" else 2, active=2)
            for queue, names in fleet.items() for name in names]  # fmt: skip
    rows[-3].seen_at = rows[-3].answered_at = ago(now, 400)
    rows[-3].unanswered = 9
    rows.append(worker(NASTY, now, queue="", serves=["nobody"], consumes=["nobody"]))
    Worker.objects.bulk_create(rows)
    answering = [row.node for row in rows if row.unanswered == 0]
    answers = [
        answer(
            node,
            queues=("nobody",)
            if node == NASTY
            else (next((q for q, names in fleet.items() if node[7:] in names), "cpu"),),
            active=2,
            slots=16 if node[7:] in io else 2,
        )
        for node in answering
    ]
    save_workers((answering, answers), at)
    from console.fleets.models import Watch

    Watch.objects.update_or_create(id=1, defaults={
        "holder": "here:1", "fence": 3, "noted_at": at, "listening_since": ago(now, 7200), "lag_s": 0.01,
        "events": 40_000, "missed": 3, "gaps": 0, "nodes": len(rows), "write_s": 0.004})  # fmt: skip
    PastRuns.objects.create(
        dag_id="pricing", task_id="elasticity_0", durations_s=[2400.0, 2700.0, 3000.0], updated_at=at
    )
    judge(now)


def history(now: datetime, queue: str = "cpu", hours: int = 24) -> None:
    """A day of points, with a hole in it."""
    for step in range(hours * 12):
        at = now - timedelta(minutes=5 * step)
        if 90 < step < 100:
            continue
        wave = abs((step % 96) - 48)
        figures = {"outstanding": max(0, 41 - step * 5), "running": wave / 6, "slots": 8 + wave // 12 * 2}
        series.record([(series_name(queue, what), value) for what, value in figures.items()], at)

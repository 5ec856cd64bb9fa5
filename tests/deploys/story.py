"""A deploy half done, to look at: some replaced, two draining, the others wait; as ticks would leave it."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.deploys import foretell
from console.deploys.memory import dump
from console.deploys.models import Forecast
from console.deploys.state import Deploy, Fresh, Rollout
from console.fleets.crew import Crew
from console.fleets.draining import Drain, Phase
from console.fleets.models import GroupSnapshot, Instance, PastRuns, RunningTask, Watch, Worker
from console.fleets.sources import FLEET_SOURCES
from console.operations.models import Note, Operation, Target
from console.platform.models import remember_success
from console.platform.sources import SOURCES

GROUP = "tests-cpu"
TASKS = (("pricing", "elasticity_model"), ("orders_cdc", "reconcile_counts"), ("dq", "profile_shipments"))


def instance(number: int) -> str:
    return f"i-0c{number:015x}"


def seen(now: datetime) -> None:
    for name in {*SOURCES, *(spec.name for spec in FLEET_SOURCES)}:
        remember_success(name, now, 0.1)


def machine(name: str, version: str, launched_at: datetime, *, gone_at: datetime | None = None) -> None:
    Instance.objects.create(
        instance_id=name,
        group=GROUP,
        lifecycle="Terminated" if gone_at else "InService",
        version=version,
        zone="eu-north-1a",
        first_seen_at=launched_at,
        launched_at=launched_at,
        gone_at=gone_at,
    )


def worker(
    name: str,
    now: datetime,
    *,
    tasks: int = 1,
    state: str = "in_service",
    version: str = "418",
    born: datetime | None = None,
) -> None:
    Worker.objects.create(
        node=f"celery@{name}",
        host=name,
        host_key=name,
        instance_id=name,
        home="cpu",
        serves=["cpu"],
        consumes=["cpu"] if state == "in_service" else [],
        version=version,
        first_seen_at=born + timedelta(seconds=80) if born else now - timedelta(hours=2),
        seen_at=now - timedelta(seconds=1),
        answered_at=now - timedelta(seconds=1),
        state=state,
        state_since=now,
        slots=8,
        active=tasks,
    )
    for number in range(tasks):
        dag, task = TASKS[number % len(TASKS)]
        RunningTask.objects.create(
            key=f"{name[-8:]}-{number}",
            dag_id=dag,
            task_id=task,
            run_id=f"scheduled__2026-11-22T0{number}",
            state="running",
            queue="cpu",
            hostname=name,
            host_key=name,
            started_at=now - timedelta(minutes=41 - 11 * number),
        )


def drained(name: str, phase: Phase, begun: datetime, *, minutes: float = 0, deadline: datetime | None = None) -> Drain:
    """A worker whose drain began then, and took so long where it has ended."""
    entered = [(Phase.QUIESCING, begun), (Phase.DRAINING, begun + timedelta(seconds=4))]
    since = begun + timedelta(seconds=4)
    if phase is Phase.GONE:
        since = begun + timedelta(minutes=minutes)
        entered += [(Phase.STOPPING, since - timedelta(seconds=20)), (Phase.GONE, since)]
    return Drain(
        node=f"celery@{name}",
        instance_id=name,
        queues=("cpu",),
        phase=phase,
        since=since,
        started_at=begun,
        deadline_at=deadline or begun + timedelta(minutes=90),
        remaining=("pricing.elasticity_model",) if phase is Phase.DRAINING else (),
        entered=tuple(entered),
    )


def half_done(now: datetime, *, workers: int = 12, state: str = "running", overdue: bool = False) -> Operation:
    """`workers` old ones: seven in twelve replaced, two draining, the others waiting."""
    seen(now)
    began = now - timedelta(minutes=72)
    done, draining = workers * 7 // 12, max(1, min(2, workers // 6))
    olds = [instance(n) for n in range(workers)]
    GroupSnapshot.objects.create(
        name=GROUP,
        minimum=4,
        maximum=max(18, workers * 2),
        desired=workers + 1,
        version="419",
        as_of=now,
        desired_changed_at=began,
    )
    drains: dict[str, Drain] = {}
    fresh: dict[str, Fresh] = {}
    for n, name in enumerate(olds):
        at = began + timedelta(minutes=60 * n / max(1, done + draining))
        if n < done + draining:
            new = instance(1000 + n)
            ready = at + timedelta(seconds=90)
            fresh[new] = Fresh(new, at, ready, proven=True)
            machine(new, "419", at)
            worker(new, now, tasks=0, version="419", born=at)
        if n < done:
            drains[name] = drained(name, Phase.GONE, at + timedelta(seconds=100), minutes=2 + n % 12)
            machine(name, "418", began - timedelta(days=2), gone_at=now)
        else:
            machine(name, "418", began - timedelta(days=2))
            if n < done + draining:
                late = overdue and n == done
                deadline = now - timedelta(minutes=3) if late else None
                drains[name] = drained(name, Phase.DRAINING, at + timedelta(seconds=100), deadline=deadline)
            worker(
                name, now, tasks=3 if n < done + draining else 2, state="draining" if name in drains else "in_service"
            )
    for (dag, task), base in zip(TASKS, (2500, 1900, 1400), strict=True):
        durations = [base + 37.0 * k for k in range(30)]
        PastRuns.objects.create(dag_id=dag, task_id=task, durations_s=durations, updated_at=now)
    rollout = Rollout(
        crew=Crew("cpu", GROUP, drains),
        wanted="419",
        desired=workers,
        old=tuple(olds),
        surge=2,
        expected_new=done + 2,
        fresh=fresh,
        surged_at=began,
        surges=1,
        replaced=tuple(olds[:done]),
        before="418",
        waits=f"{workers} ready, {workers} must stay",
    )
    question = None
    if overdue:
        text = f"celery@{olds[done]} still has work at its deadline. A force would lose pricing.elasticity_model."
        question = {
            "text": text,
            "choices": [
                ["wait", "give it as long again"],
                ["undrain", "put it back in service"],
                ["force", "terminate it now and lose what runs on it"],
            ],
        }
    operation = Operation.objects.create(
        kind="deploy",
        target="fleet:cpu",
        reason="Airflow 3.1.2 with the ML image",
        requested_by_name="jonas.lindqvist",
        state="paused" if question else state,
        question=question,
        parameters={
            "version": "419",
            "fleets": [{"queue": "cpu", "group": GROUP}],
            "max_surge": 2,
            "max_unavailable": 0,
            "drain_deadline_s": 5400.0,
            "on_deadline": "wait",
            "min_ready_s": 10.0,
            "ready_timeout_s": 600.0,
        },
        memory=dump(Deploy({"cpu": rollout}, True)),
        memory_version=1,
        progress={"done": done, "total": workers, "text": "cpu: waits"},
        started_at=began,
        created_at=began,
        next_tick_at=now + timedelta(seconds=1),
    )
    Target.objects.create(operation=operation, target="fleet:cpu")
    Target.objects.bulk_create(Target(operation=operation, target=f"worker:{name}") for name in olds)
    for words in (
        "cpu: 12 workers to replace by version 419, 0 new already.",
        "celery@i-0c8 takes no new work from now on.",
    ):
        Note.objects.create(operation=operation, text=words, at=began)
    foretell.update(operation, now)
    Forecast.objects.filter(operation=operation, subject="").update(
        first_made_at=began, first_likely_at=now + timedelta(minutes=40), first_at_worst_at=now + timedelta(minutes=75)
    )
    return operation


def ended(now: datetime) -> Operation:
    """One that ended a while ago, seven minutes later than was predicted at first."""
    began = now - timedelta(hours=5)
    names = [instance(n) for n in range(500, 504)]
    drains = {n: drained(n, Phase.GONE, began + timedelta(minutes=12 * k), minutes=9) for k, n in enumerate(names)}
    fresh = {
        instance(600 + k): Fresh(
            instance(600 + k), began + timedelta(minutes=12 * k), began + timedelta(minutes=12 * k + 1), True
        )
        for k in range(4)
    }
    rollout = Rollout(Crew("io", "tests-io", drains), "418", 4, tuple(names), 1, 4, fresh, before="417", done=True)
    finished = began + timedelta(minutes=50)
    operation = Operation.objects.create(
        kind="deploy",
        target="fleet:io",
        reason="security update of the base image",
        requested_by_name="mira",
        state="succeeded",
        outcome="4 workers replaced, no task lost.",
        parameters={
            "version": "",
            "fleets": [{"queue": "io", "group": "tests-io"}],
            "max_surge": 1,
            "max_unavailable": 0,
            "drain_deadline_s": 3600.0,
            "on_deadline": "wait",
            "min_ready_s": 10.0,
            "ready_timeout_s": 600.0,
        },
        memory=dump(Deploy({"io": rollout}, True)),
        memory_version=1,
        progress={"done": 4, "total": 4, "text": "4 of 4 replaced"},
        started_at=began,
        finished_at=finished,
        created_at=began,
    )
    Forecast.objects.create(
        operation=operation,
        subject="",
        made_at=finished,
        likely_at=finished,
        at_worst_at=finished,
        first_made_at=began,
        first_likely_at=finished - timedelta(minutes=7),
        first_at_worst_at=finished + timedelta(minutes=5),
        ended_at=finished,
    )
    return operation


def freshen(operation: Operation, now: datetime) -> None:
    """What would be too old by now is of a moment ago."""
    seen(now)
    Worker.objects.update(seen_at=now - timedelta(seconds=1), answered_at=now - timedelta(seconds=1))
    Watch.objects.update_or_create(id=1, defaults={"noted_at": now, "listening_since": now - timedelta(hours=1)})
    Operation.objects.filter(pk=operation.pk).update(next_tick_at=now + timedelta(seconds=1))
    operation.refresh_from_db()
    foretell.update(operation, now)

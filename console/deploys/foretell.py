"""From what a deploy remembers and what runs now to its predictions, which are kept beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

from console.deploys import memory
from console.deploys.models import Forecast
from console.deploys.predict import End, FleetPlan, Running, Spread, foretell, until_empty
from console.deploys.state import Deploy, Rollout
from console.fleets.draining import Phase
from console.fleets.models import Instance, PastRuns, RunningTask, Worker
from console.fleets.running import past_runs
from console.operations.models import Operation
from console.operations.rules import ACTIVE
from console.platform.models import Source
from console.platform.ports import AirflowPort, PlatformError
from console.platform.sources import TASKS

BOOT_S = 60.0
"""How long a new worker takes where none has been seen to start yet."""
SLOWEST_BOOT_S = 1800.0
ENOUGH_RUNS = 5
ASKED_AT_ONCE = 8
ASK_AGAIN = timedelta(hours=6)
EMPTYING = frozenset({Phase.QUIESCING, Phase.DRAINING, Phase.STOPPING, Phase.EXITED, Phase.TERMINATING})

Pair = tuple[str, str]


def waiting_of(rollout: Rollout) -> list[str]:
    """Old workers whose turn has not come."""
    known = set(rollout.crew.drains) | set(rollout.vanished)
    return [instance for instance in rollout.old if instance not in known]


def update(operation: Operation, now: datetime) -> None:
    """Predict anew, while Airflow's tasks can be seen; and note what has ended. Eight queries, however many workers."""
    deploy = memory.load(operation.memory, operation.memory_version)
    if not deploy.planned:
        return
    rows = {row.subject: row for row in Forecast.objects.filter(operation=operation)}
    _note_ends(operation, deploy, rows)
    if operation.state not in ACTIVE or not Source.objects.sights(now, (TASKS,))[TASKS.name].seen:
        return
    whole, each = _foretell(operation, deploy, now)
    begun = {i for rollout in deploy.rollouts.values() for i in rollout.crew.drains}
    made = [_row(operation, rows.get(""), "", whole, True, now)]
    made += [_row(operation, rows.get(i), i, end, i in begun, now) for i, end in sorted(each.items())]
    fields = ["made_at", "likely_at", "at_worst_at", "starts_at", "guessed"]
    Forecast.objects.bulk_create(
        made,
        update_conflicts=True,
        unique_fields=["operation", "subject"],
        update_fields=[*fields, "first_made_at", "first_likely_at", "first_at_worst_at"],
    )


def _row(operation: Operation, row: Forecast | None, subject: str, end: End, begun: bool, now: datetime) -> Forecast:
    row = row or Forecast(operation=operation, subject=subject)
    row.made_at = now
    row.likely_at = now + timedelta(seconds=end.likely_s)
    row.at_worst_at = now + timedelta(seconds=end.at_worst_s)
    waits = end.starts_s is not None and not begun
    row.starts_at = now + timedelta(seconds=end.starts_s) if waits and end.starts_s is not None else None
    row.guessed = end.guessed
    if row.first_made_at is None and begun:
        row.first_made_at, row.first_likely_at, row.first_at_worst_at = now, row.likely_at, row.at_worst_at
    return row


def _note_ends(operation: Operation, deploy: Deploy, rows: Mapping[str, Forecast]) -> None:
    """When each worker was gone, and the whole was over: what the predictions are measured by."""
    ended = []
    for rollout in deploy.rollouts.values():
        for instance, drain in rollout.crew.drains.items():
            row = rows.get(instance)
            if row is not None and row.ended_at is None and (at := drain.at(Phase.GONE)) is not None:
                row.ended_at = at
                ended.append(row)
    whole = rows.get("")
    if whole is not None and whole.ended_at is None and operation.finished_at is not None:
        whole.ended_at = operation.finished_at
        ended.append(whole)
    Forecast.objects.bulk_update(ended, ["ended_at"], batch_size=500)


def _foretell(operation: Operation, deploy: Deploy, now: datetime) -> tuple[End, dict[str, End]]:
    instances = [i for rollout in deploy.rollouts.values() for i in (*waiting_of(rollout), *rollout.crew.drains)]
    tasks = tasks_by_instance(instances)
    past = past_runs(pair for pairs in tasks.values() for pair, _ in pairs)
    others = [took for runs in past.values() for took in runs[-5:]]

    def spread(instance: str) -> Spread:
        running = [
            Running(max(0.0, (now - started_at).total_seconds()) if started_at else 0.0, past.get(pair, []))
            for pair, started_at in tasks.get(instance, ())
        ]
        return until_empty(running, others)

    boots = boot_seconds(list(deploy.rollouts), now)
    fleets = []
    for queue, rollout in deploy.rollouts.items():
        if rollout.done:
            continue
        boot_s = boots.get(queue, BOOT_S) + float(operation.parameters.get("min_ready_s", 0))
        coming = [
            max(0.0, boot_s - (now - one.since).total_seconds())
            for one in rollout.fresh.values()
            if not one.proven and not one.failed
        ]
        at_work = [drain for drain in rollout.crew.at_work() if drain.phase in EMPTYING]
        unavailable = int(operation.parameters.get("max_unavailable", 0))
        fleets.append(
            FleetPlan(
                draining={drain.instance_id: spread(drain.instance_id) for drain in at_work},
                waiting={instance: spread(instance) for instance in waiting_of(rollout)},
                at_once=max(1, rollout.surge + unavailable),
                dropped=max(0, rollout.surge - len(rollout.dropped)),
                boot_s=boot_s,
                # Before the first new ones are seen they are still to be launched.
                launching_s=coming or ([boot_s] * rollout.surge if not rollout.fresh and rollout.old else []),
            )
        )
    return foretell(fleets, operation.pk)


def tasks_by_instance(instances: Sequence[str]) -> dict[str, list[tuple[Pair, datetime | None]]]:
    """What runs on these instances, by Airflow's account; two queries."""
    hosts = dict(
        Worker.objects.filter(instance_id__in=instances).exclude(host_key="").values_list("host_key", "instance_id")
    )
    found: dict[str, list[tuple[Pair, datetime | None]]] = defaultdict(list)
    rows = RunningTask.objects.filter(state="running", host_key__in=list(hosts))
    for host, dag_id, task_id, started_at in rows.values_list("host_key", "dag_id", "task_id", "started_at"):
        found[hosts[host]].append(((dag_id, task_id), started_at))
    return dict(found)


def boot_seconds(queues: Iterable[str], now: datetime) -> dict[str, float]:
    """How long the newest workers of each queue took from their launch to their first sign of life; two queries."""
    since = now - timedelta(days=14)
    workers = Worker.objects.filter(home__in=list(queues), first_seen_at__gte=since).exclude(instance_id="")
    rows = list(workers.order_by("-first_seen_at").values_list("home", "instance_id", "first_seen_at")[:200])
    machines = Instance.objects.in_bulk([instance for _, instance, _ in rows])
    took: dict[str, list[float]] = defaultdict(list)
    for queue, instance, seen_at in rows:
        launched_at = machines[instance].launched_at if instance in machines else None
        # Much later it was not its start that was seen, but this console's.
        if launched_at is not None and launched_at < seen_at < launched_at + timedelta(seconds=SLOWEST_BOOT_S):
            took[queue].append((seen_at - launched_at).total_seconds())
    return {queue: median(values[:20]) for queue, values in took.items()}


def unknown_pairs(operation: Operation, now: datetime) -> list[Pair]:
    """Tasks on workers still to be emptied of which hardly a run is known, and that were not asked for lately."""
    deploy = memory.load(operation.memory, operation.memory_version)
    instances = [i for rollout in deploy.rollouts.values() for i in waiting_of(rollout)]
    instances += [drain.instance_id for rollout in deploy.rollouts.values() for drain in rollout.crew.at_work()]
    pairs = {pair for tasks in tasks_by_instance(instances).values() for pair, _ in tasks}
    rows = PastRuns.objects.filter(dag_id__in={dag for dag, _ in pairs}, task_id__in={task for _, task in pairs})
    known = {(row.dag_id, row.task_id): row for row in rows}

    def wanted(pair: Pair) -> bool:
        row = known.get(pair)
        return row is None or (len(row.durations_s) < ENOUGH_RUNS and row.updated_at < now - ASK_AGAIN)

    return sorted(pair for pair in pairs if wanted(pair))[:ASKED_AT_ONCE]


def learn(airflow: AirflowPort, pairs: Sequence[Pair], now: datetime) -> None:
    """Ask Airflow how long these tasks took. One that it does not know is not asked for again for a while."""
    for dag_id, task_id in pairs:
        try:
            took = airflow.durations(dag_id, task_id, limit=PastRuns.KEEP)
        except PlatformError:
            return
        row, _ = PastRuns.objects.get_or_create(dag_id=dag_id, task_id=task_id, defaults={"updated_at": now})
        row.durations_s = [*reversed(took)] if len(took) > len(row.durations_s) else row.durations_s
        row.updated_at = now
        row.save()

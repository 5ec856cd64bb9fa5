"""From what is remembered to what a decision is taken from: every fleet by a constant number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import median

from django.db.models import F, Max

from console.accounts.actor import CONSOLE
from console.fleets.facts import Sights, bounds_of, demand_of, supply_of, why_blind
from console.fleets.hands import fleet_target, holders
from console.fleets.models import (
    GroupSnapshot,
    Instance,
    PastRuns,
    QueueSnapshot,
    RunningTask,
    RunWidth,
    ScalingDecision,
    ScheduledDag,
    Worker,
)
from console.fleets.rules import State
from console.fleets.running import past_runs
from console.fleets.scaling.foresight import empty_in_s, left_s, takes_s
from console.fleets.scaling.policy import INTERVAL_S, Policy
from console.fleets.scaling.rules import LINGER_S, Demand, Past, Peak, Supply, boot_of
from console.fleets.scaling.switch import mode_of, policy_of, switches
from console.fleets.scaling.victims import Candidate
from console.fleets.sources import SCHEDULES
from console.operations.models import Operation
from console.platform.declared import FleetDeclared, declaration
from console.platform.models import Source

BOOTS_LOOKED_AT = 20
GAP_S = 4 * INTERVAL_S
"""A longer pause between two decisions, and what was needed in it is not known."""
AHEAD = timedelta(hours=2)
"""Scheduled runs further ahead than this decide nothing now."""


@dataclass(frozen=True)
class Look:
    """Everything about one fleet at one moment. `blind` and `hold` as the rules take them."""

    fleet: FleetDeclared
    mode: str
    policy: Policy
    demand: Demand
    supply: Supply
    past: Past
    blind: str
    hold: str
    candidates: tuple[Candidate, ...]
    kept: frozenset[str]  # instances in other hands
    remarks: tuple[str, ...] = ()
    own_drains: tuple[int, ...] = ()  # operations of the autoscaler that take workers away, and may be called off


@dataclass
class _Known:
    """All rows that the looks share, loaded once."""

    now: datetime
    sights: Sights
    rows: dict[str, QueueSnapshot]
    groups: dict[str, GroupSnapshot]
    instances: dict[str, Instance]
    workers: dict[str, list[Worker]]  # by home
    tasks: dict[str, list[RunningTask]]  # by queue
    past: Mapping[tuple[str, str], list[float]]
    held: Mapping[str, Operation]
    drains: dict[str, list[Operation]]  # active ones, by queue
    ended: Mapping[str, datetime]  # when the last operation on a queue's size ended
    peaks: dict[str, list[Peak]]
    schedules: str  # why schedules can't be seen; "" when they can
    needs: dict[str, list[tuple[datetime, int | None]]] = field(default_factory=dict)


def look_at(fleets: Sequence[FleetDeclared], now: datetime) -> list[Look]:
    """One look at each of these fleets; seventeen queries at most, however many there are."""
    known = _load(fleets, now)
    found = switches()
    return [_look(fleet, mode_of(fleet, found.get(fleet.queue), now), known) for fleet in fleets]


def _load(fleets: Sequence[FleetDeclared], now: datetime) -> _Known:
    queues = [fleet.queue for fleet in fleets]
    tasks: dict[str, list[RunningTask]] = defaultdict(list)
    for task in RunningTask.objects.filter(queue__in=queues).order_by(F("queued_at").asc(nulls_last=True), "key"):
        tasks[task.queue].append(task)
    workers: dict[str, list[Worker]] = defaultdict(list)
    for worker in Worker.objects.listed().filter(home__in=queues):
        workers[worker.home].append(worker)
    names = [fleet_target(queue) for queue in queues]
    names += [f"worker:{each.instance_id}" for rows in workers.values() for each in rows if each.instance_id]
    drains: dict[str, list[Operation]] = defaultdict(list)
    for operation in Operation.objects.active().filter(kind="drain", parameters__queue__in=queues):
        drains[operation.parameters["queue"]].append(operation)
    ended = (
        Operation.objects.filter(kind__in=("drain", "resize", "deploy"), finished_at__gt=now - timedelta(minutes=5))
        .values_list("parameters__queue")
        .annotate(at=Max("finished_at"))
    )
    longest_s = max((fleet.autoscaling.cooldown_s for fleet in fleets), default=0.0)
    needs: dict[str, list[tuple[datetime, int | None]]] = defaultdict(list)
    since = now - timedelta(seconds=longest_s + GAP_S)
    recent = ScalingDecision.objects.filter(queue__in=queues, at__gte=since).order_by("at")
    for queue, at, need in recent.values_list("queue", "at", "need"):
        needs[queue].append((at, need))
    sight = Source.objects.sights(now, (SCHEDULES,))[SCHEDULES.name]
    return _Known(
        now=now,
        sights=Sights.at(now),
        rows=QueueSnapshot.objects.in_bulk(queues),
        groups=GroupSnapshot.objects.in_bulk([fleet.group for fleet in fleets]),
        instances=Instance.objects.filter(group__in=[fleet.group for fleet in fleets]).in_bulk(),
        workers=workers,
        tasks=tasks,
        past=past_runs((task.dag_id, task.task_id) for rows in tasks.values() for task in rows),
        held=holders(names),
        drains=drains,
        ended=dict(ended),
        peaks=_peaks(now, tasks) if sight.seen else {},
        schedules=why_blind(sight),
        needs=needs,
    )


def _look(fleet: FleetDeclared, mode: str, known: _Known) -> Look:
    queue, now, sights = fleet.queue, known.now, known.sights
    policy = policy_of(fleet)
    row = known.rows.get(queue) or QueueSnapshot(queue=queue, first_seen_at=now, seen_at=now)
    blind = why_blind(sights.tasks, *sights.hidden_workers, sights.compute)
    group = known.groups.get(fleet.group)
    if not blind and group is not None and not group.present:
        blind = f"the Auto Scaling Group {fleet.group} does not exist"
    workers = known.workers.get(queue, [])
    leaving = _leaving(known.drains.get(queue, []), known.instances)
    supply = _supply(fleet, row, group, workers, len(leaving), known)
    boot_s = boot_of(policy, supply)
    arriving = tuple(
        max(0.0, boot_s - (now - instance.launched_at).total_seconds())
        for worker in workers
        if worker.state == State.LAUNCHING
        and (instance := known.instances.get(worker.instance_id)) is not None
        and instance.launched_at is not None
    )
    held = {
        worker.instance_id: known.held[f"worker:{worker.instance_id}"]
        for worker in workers
        if f"worker:{worker.instance_id}" in known.held
    }
    return Look(
        fleet=fleet,
        mode=mode,
        policy=policy,
        demand=_demand(row, queue, known),
        supply=Supply(**{**supply.__dict__, "arriving_s": arriving}),
        past=_past(known.needs.get(queue, []), policy, now),
        blind=blind,
        hold=_hold(queue, known),
        candidates=_candidates(workers, known),
        kept=frozenset({*held, *leaving}),
        own_drains=tuple(
            operation.pk
            for operation in known.drains.get(queue, [])
            if operation.requested_by_id is None
            and operation.requested_by_name == CONSOLE.name
            and not operation.aborting
            and not operation.parameters.get("replace")
        ),
        remarks=(f"{known.schedules}: no peak is foreseen.",) if known.schedules and policy.scheduled_peaks else (),
    )


def _leaving(drains: Sequence[Operation], instances: Mapping[str, Instance]) -> set[str]:
    """Instances that a drain under way will take out of the group's desired capacity, and has not yet."""
    named = {
        worker["instance_id"]
        for operation in drains
        if not operation.parameters.get("replace")
        for worker in operation.parameters.get("workers", [])
    }
    return {each for each in named if each in instances and instances[each].gone_at is None}


def _supply(
    fleet: FleetDeclared,
    row: QueueSnapshot,
    group: GroupSnapshot | None,
    workers: Sequence[Worker],
    leaving: int,
    known: _Known,
) -> Supply:
    seen = supply_of(row, known.sights)
    bounds = bounds_of(fleet.queue, known.groups, known.sights)
    visible = group if known.sights.compute.seen else None
    return Supply(
        desired=bounds.desired,
        minimum=visible.minimum if visible else None,
        maximum=visible.maximum if visible else None,
        in_service=seen.in_service,
        leaving=leaving,
        active=seen.active,
        boot_s=_measured_boot(workers, known.instances),
    )


def _measured_boot(workers: Sequence[Worker], instances: Mapping[str, Instance]) -> float | None:
    """The median of the newest boots that were watched from launch to service."""
    boots = [
        (worker.served_at, (worker.served_at - instance.launched_at).total_seconds())
        for worker in workers
        if worker.served_at is not None
        and (instance := instances.get(worker.instance_id)) is not None
        and instance.launched_at is not None
    ]
    newest = [took_s for _, took_s in sorted(boots, reverse=True)[:BOOTS_LOOKED_AT] if took_s > 0]
    return median(newest) if newest else None


def _demand(row: QueueSnapshot, queue: str, known: _Known) -> Demand:
    seen = demand_of(row, known.sights)
    tasks = known.tasks.get(queue, [])
    left, take = [], []
    for task in tasks:
        past_s = known.past.get((task.dag_id, task.task_id), [])
        if task.state == "running":
            ran_s = (known.now - task.started_at).total_seconds() if task.started_at else 0.0
            left.append(left_s(past_s, max(0.0, ran_s)))
        else:
            take.append(takes_s(past_s))
    exact = seen.queued if seen.exact else None
    return Demand(
        queued=exact,
        running=seen.running,
        depth=seen.depth,
        reserved=seen.reserved,
        left_s=tuple(left),
        take_s=tuple(take),
        peaks=tuple(known.peaks.get(queue, ())),
    )


def _past(needs: Sequence[tuple[datetime, int | None]], policy: Policy, now: datetime) -> Past:
    """What the decisions of the cooldown needed, as far back as they follow each other without a gap or a blind one."""
    found: list[int] = []
    watched_s, later = 0.0, now
    for at, need in reversed(needs):
        if need is None or (later - at).total_seconds() > GAP_S:
            break
        watched_s, later = (now - at).total_seconds(), at
        if watched_s <= policy.cooldown_s:
            found.append(need)
    return Past(tuple(found), watched_s)


def _hold(queue: str, known: _Known) -> str:
    """Why the fleet's size is not this autoscaler's to change now; "" when it is."""
    busy = known.held.get(fleet_target(queue))
    if busy is not None:
        return f"OP-{busy.pk} ({busy.kind}) works on the whole fleet"
    ended, as_of = known.ended.get(queue), known.sights.compute.as_of
    if ended is not None and (as_of is None or as_of <= ended):
        return "the group has not been read since the last change"
    return ""


def _candidates(workers: Sequence[Worker], known: _Known) -> tuple[Candidate, ...]:
    tasks: dict[str, list[RunningTask]] = defaultdict(list)
    for rows in known.tasks.values():
        for task in rows:
            if task.state == "running" and task.host_key:
                tasks[task.host_key].append(task)
    found = []
    for worker in workers:
        instance = known.instances.get(worker.instance_id)
        if worker.state != State.IN_SERVICE or instance is None or instance.lifecycle != "InService":
            continue
        mine = tasks.get(worker.host_key, [])
        past = [
            (known.past.get((task.dag_id, task.task_id), []), (known.now - task.started_at).total_seconds())
            for task in mine
            if task.started_at
        ]
        # By its own word or by Airflow's: whichever says that it is busy.
        active = None if worker.active is None else max(worker.active, len(mine), worker.reserved or 0)
        found.append(
            Candidate(
                instance_id=worker.instance_id,
                node=worker.node,
                active=active,
                empty_in_s=empty_in_s(past, active or 0),
                version=worker.version,
                zone=worker.zone,
                up_s=(known.now - instance.launched_at).total_seconds() if instance.launched_at else None,
                protected=instance.protected,
            )
        )
    return tuple(found)


def _peaks(now: datetime, tasks: Mapping[str, Sequence[RunningTask]]) -> dict[str, list[Peak]]:
    """What the DAGs that are due soon bring to each queue, by what their newest runs brought. Three queries."""
    due = ScheduledDag.objects.filter(next_at__gte=now - timedelta(seconds=LINGER_S), next_at__lte=now + AHEAD)
    at = dict(due.values_list("dag_id", "next_at"))
    if not at:
        return {}
    widths: dict[tuple[str, str], list[int]] = defaultdict(list)
    rows = RunWidth.objects.filter(dag_id__in=at).order_by("-first_seen_at")
    for dag_id, queue, width in rows.values_list("dag_id", "queue", "width"):
        widths[dag_id, queue].append(width)
    took: dict[str, list[float]] = defaultdict(list)
    for dag_id, durations_s in PastRuns.objects.filter(dag_id__in=at).values_list("dag_id", "durations_s"):
        took[dag_id].extend(durations_s)
    peaks: dict[str, list[Peak]] = defaultdict(list)
    for (dag_id, queue), found in widths.items():
        come = any(
            task.dag_id == dag_id and task.queued_at is not None and task.queued_at >= at[dag_id]
            for task in tasks.get(queue, ())
        )
        if not come:
            brings = round(median(found[: RunWidth.KEEP]))
            peaks[queue].append(Peak(dag_id, at[dag_id], brings, takes_s(took.get(dag_id, []))))
    return peaks


def scaled_fleets() -> tuple[FleetDeclared, ...]:
    """All declared fleets: a switch may turn on any of them."""
    return declaration().fleets

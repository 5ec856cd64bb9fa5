"""A deploy as its page and the API show it: a lane per worker, from the operation's own memory. Frozen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from console.deploys.memory import load
from console.deploys.state import Deploy, Fresh, Rollout
from console.fleets.draining import Drain, Phase
from console.fleets.models import RunningTask
from console.fleets.names import host_key, host_of
from console.fleets.running import Expected, expected_end, past_runs
from console.operations.models import Operation

MOST_LANES = 400
TASKS_SHOWN = 8
STATUS = {
    Phase.SERVING: "waiting",
    Phase.QUIESCING: "draining",
    Phase.DRAINING: "draining",
    Phase.STOPPING: "draining",
    Phase.EXITED: "draining",
    Phase.TERMINATING: "draining",
    Phase.GONE: "succeeded",
    Phase.LOST: "failing",
    Phase.UNDRAINING: "running",
    Phase.UNDRAINED: "healthy",
}


@dataclass(frozen=True)
class TaskLine:
    """A task that a draining worker still finishes."""

    name: str
    started_at: datetime | None
    ran_s: float | None
    expected: Expected


@dataclass(frozen=True)
class Lane:
    """One worker's way. `status` is a word of the vocabulary for its phase."""

    instance_id: str
    node: str
    role: str  # old, new
    phase: str
    status: str
    since: datetime | None
    waits: str
    tasks: tuple[TaskLine, ...]
    more_tasks: int
    remaining: tuple[str, ...]
    lost: tuple[str, ...]
    deadline_at: datetime | None
    overdue: bool
    ends_likely: datetime | None
    ends_at_worst: datetime | None


@dataclass(frozen=True)
class FleetLanes:
    queue: str
    wanted: str
    before: str
    done: int
    total: int
    waits: str
    lanes: tuple[Lane, ...]


@dataclass(frozen=True)
class DeployPage:
    planned: bool
    giving_up: str
    fleets: tuple[FleetLanes, ...]
    done: int
    draining: int
    waiting: int
    total: int
    overdue: int
    ends_likely: datetime | None
    ends_at_worst: datetime | None


def deploy_page(operation: Operation, now: datetime) -> DeployPage:
    """From the operation's memory, and two queries for the tasks of the workers that drain."""
    deploy = load(operation.memory, operation.memory_version)
    tasks = _tasks(deploy, now) if operation.finished_at is None else {}
    fleets = tuple(_fleet(queue, rollout, tasks, now) for queue, rollout in deploy.rollouts.items())
    lanes = [lane for fleet in fleets for lane in fleet.lanes if lane.role == "old"]
    drains = [lane for lane in lanes if lane.status == "draining"]
    return DeployPage(
        planned=deploy.planned,
        giving_up=deploy.giving_up,
        fleets=fleets,
        done=sum(fleet.done for fleet in fleets),
        draining=len(drains),
        waiting=sum(lane.status == "waiting" for lane in lanes),
        total=sum(fleet.total for fleet in fleets),
        overdue=sum(lane.overdue for lane in lanes),
        ends_likely=_latest(lane.ends_likely for lane in drains),
        ends_at_worst=_latest(lane.ends_at_worst for lane in drains),
    )


def _latest(times: Iterable[datetime | None]) -> datetime | None:
    """The last of them; None where one of them is not known: a forecast of the rest would be too early."""
    found = list(times)
    return max(time for time in found if time) if found and all(found) else None


def _tasks(deploy: Deploy, now: datetime) -> Mapping[str, list[TaskLine]]:
    """What runs on the hosts that drain, the oldest first, by host."""
    keys = {host_key(host_of(drain.node)) for rollout in deploy.rollouts.values() for drain in rollout.crew.at_work()}
    rows = list(RunningTask.objects.filter(host_key__in=keys, state="running").order_by("started_at")[:2000])
    past = past_runs((row.dag_id, row.task_id) for row in rows)
    found: dict[str, list[TaskLine]] = {}
    for row in rows:
        ran_s = max(0.0, (now - row.started_at).total_seconds()) if row.started_at else None
        expected = expected_end(row.started_at, past.get((row.dag_id, row.task_id), []), now)
        index = f"[{row.map_index}]" if row.map_index >= 0 else ""
        found.setdefault(row.host_key, []).append(
            TaskLine(f"{row.dag_id}.{row.task_id}{index}", row.started_at, ran_s, expected)
        )
    return found


def _fleet(queue: str, rollout: Rollout, tasks: Mapping[str, list[TaskLine]], now: datetime) -> FleetLanes:
    lanes = [_old(instance, rollout, tasks, now) for instance in rollout.old]
    lanes += [_new(one, rollout) for one in rollout.fresh.values()]
    order = {"failing": 0, "draining": 1, "running": 2, "waiting": 3, "healthy": 4, "succeeded": 5}
    lanes.sort(key=lambda lane: (lane.role != "old", order.get(lane.status, 9), lane.instance_id))
    done = sum(lane.role == "old" and lane.status in ("succeeded", "failing") for lane in lanes)
    return FleetLanes(
        queue=queue,
        wanted=rollout.wanted,
        before=rollout.before,
        done=done,
        total=len(rollout.old),
        waits="" if rollout.done else rollout.waits,
        lanes=tuple(lanes[:MOST_LANES]),
    )


def _old(instance: str, rollout: Rollout, tasks: Mapping[str, list[TaskLine]], now: datetime) -> Lane:
    drain = rollout.crew.drains.get(instance)
    if drain is None:
        gone = instance in rollout.vanished
        phase, status = ("taken away by the cloud", "succeeded") if gone else ("in service", "waiting")
        return Lane(
            instance, "", "old", phase, status, None, "", (), 0, (), (), None, False, None, None
        )  # fmt: skip
    found = tasks.get(host_key(host_of(drain.node)), []) if not drain.ended else []
    ends = _ends(drain, found, now)
    return Lane(
        instance_id=instance,
        node=drain.node,
        role="old",
        phase=str(drain.phase),
        status=STATUS[drain.phase],
        since=drain.since,
        waits=drain.why,
        tasks=tuple(found[:TASKS_SHOWN]),
        more_tasks=max(0, len(found) - TASKS_SHOWN),
        remaining=drain.remaining,
        lost=drain.lost,
        deadline_at=drain.deadline_at if not drain.ended else None,
        overdue=drain.overdue(now),
        ends_likely=ends[0],
        ends_at_worst=ends[1],
    )


def _ends(drain: Drain, tasks: list[TaskLine], now: datetime) -> tuple[datetime | None, datetime | None]:
    """When the last of its tasks should end; unknown when one of them has no past run to go by."""
    if drain.ended or drain.phase not in (Phase.QUIESCING, Phase.DRAINING):
        return None, None
    if not tasks:
        return (None, None) if drain.remaining else (now, now)
    likely = _latest(task.expected.likely for task in tasks)
    return likely, _latest(task.expected.at_worst for task in tasks)


def _new(one: Fresh, rollout: Rollout) -> Lane:
    if one.proven:
        phase, status = "serves", "healthy"
    elif one.failed:
        phase, status = "never ready", "failing"
    elif one.ready_since:
        phase, status = "ready, being watched", "running"
    else:
        phase, status = "launching", "running"
    return Lane(
        one.instance_id, "", "new", phase, status, one.ready_since or one.since, "", (), 0, (), (), None, False,
        None, None,
    )  # fmt: skip

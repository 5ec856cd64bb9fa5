"""Deploys as their pages and the API show them: the list, and one with a lane per worker. Frozen, few queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from statistics import median

from console.deploys.lanes import Arrival, Foretold, Lane, TaskLine, arrivals, drawn, of_rollout
from console.deploys.memory import load
from console.deploys.models import Forecast
from console.deploys.state import Deploy, Rollout
from console.deploys.track import Axis, axis
from console.fleets.draining import Drain
from console.fleets.models import Instance, RunningTask
from console.fleets.names import host_key, host_of
from console.fleets.running import expected_end, past_runs
from console.lib.words import count, duration, listed
from console.operations.models import Operation
from console.operations.pages import Row, row_of

MOST_LANES = 400
FOLDED_FROM = 12
"""More replaced workers than these are folded away below the others."""
FRESH_S = 60.0
"""A prediction older than this is not shown as one: nobody foretells at the moment."""
LISTED = 50


@dataclass(frozen=True)
class FleetLanes:
    """One fleet's part. `done` lanes are those of workers that are gone, where they are many."""

    queue: str
    wanted: str
    before: str
    done: int
    total: int
    waits: str
    lanes: tuple[Lane, ...]
    folded: tuple[Lane, ...]
    left_out: int

    @property
    def all(self) -> tuple[Lane, ...]:
        return (*self.folded, *self.lanes)


@dataclass(frozen=True)
class DeployPage:
    """`end` is the newest prediction of the whole; None before the first one. `ends_…` are None when it is too old."""

    planned: bool
    giving_up: str
    heading: str
    text: str
    fleets: tuple[FleetLanes, ...]
    axis: Axis
    done: int
    draining: int
    waiting: int
    total: int
    overdue: int
    lost: tuple[str, ...]
    elapsed_s: float | None
    oldest: tuple[TaskLine, Lane] | None
    end: Foretold | None
    ends_likely: datetime | None
    ends_at_worst: datetime | None
    seen_at: datetime | None  # of the last tick: what the figures are about
    policy: tuple[tuple[str, str, str], ...]
    worker_off_s: float | None  # how far off the predictions of single workers were, half of them less

    @property
    def lanes(self) -> tuple[Lane, ...]:
        return tuple(lane for fleet in self.fleets for lane in fleet.all)


def deploy_page(operation: Operation, now: datetime) -> DeployPage:
    """From the operation's memory, and four queries: predictions, new instances, running tasks, their past."""
    deploy = load(operation.memory, operation.memory_version)
    rows = {row.subject: _foretold(row) for row in Forecast.objects.filter(operation=operation)}
    end = rows.get("")
    ended = operation.finished_at is not None
    fresh = [instance for rollout in deploy.rollouts.values() for instance in rollout.fresh]
    launched = {
        i: at
        for i, at in Instance.objects.filter(instance_id__in=fresh).values_list("instance_id", "launched_at")
        if at
    }
    tasks = {} if ended else _tasks(deploy, now)
    began = operation.started_at or operation.created_at
    new = {queue: arrivals(rollout, launched, began) for queue, rollout in deploy.rollouts.items()}
    lanes = {
        queue: of_rollout(queue, rollout, new[queue], tasks, rows, now) for queue, rollout in deploy.rollouts.items()
    }
    everything = [lane for found in lanes.values() for lane in found]
    current = end is not None and not ended and (now - end.made_at).total_seconds() <= FRESH_S
    until = operation.finished_at or _latest(everything, end if current else None, now)
    drawing = axis(began, until, operation.finished_at or now)
    fleets = tuple(
        _fleet(queue, deploy.rollouts[queue], found, new[queue], drawing, ended) for queue, found in lanes.items()
    )
    old = [lane for lane in everything if lane.role == "old"]
    offs = [lane.off_s for lane in old if lane.off_s is not None]
    page = DeployPage(
        planned=deploy.planned,
        giving_up=deploy.giving_up,
        heading="",
        text="",
        fleets=fleets,
        axis=drawing,
        done=sum(fleet.done for fleet in fleets),
        draining=sum(lane.active for lane in old),
        waiting=sum(lane.status == "waiting" for lane in old),
        total=sum(fleet.total for fleet in fleets),
        overdue=sum(bool(lane.overdue or lane.stuck) for lane in old),
        lost=tuple(task for lane in everything for task in lane.lost),
        elapsed_s=max(0.0, ((operation.finished_at or now) - operation.started_at).total_seconds())
        if operation.started_at
        else None,
        oldest=_oldest(old),
        end=end,
        ends_likely=end.likely_at if end and current else None,
        ends_at_worst=end.at_worst_at if end and current else None,
        seen_at=None if operation.started_at is None else min(now, operation.next_tick_at),
        policy=_policy(operation, deploy),
        worker_off_s=median(abs(off) for off in offs) if offs else None,
    )
    return replace(page, heading=_heading(page, operation), text=_text(page, operation))


def _foretold(row: Forecast) -> Foretold:
    return Foretold(
        likely_at=row.likely_at,
        at_worst_at=row.at_worst_at,
        made_at=row.made_at,
        starts_at=row.starts_at,
        guessed=row.guessed,
        first_likely_at=row.first_likely_at,
        first_at_worst_at=row.first_at_worst_at,
        ended_at=row.ended_at,
    )


def _latest(lanes: Sequence[Lane], end: Foretold | None, now: datetime) -> datetime:
    """How far the axis reaches: to the worst case of the whole, or of the drains that run."""
    known = [lane.ends_at_worst for lane in lanes if lane.ends_at_worst]
    known += [end.at_worst_at] if end else []
    return max([*known, now + timedelta(seconds=30)])


def _tasks(deploy: Deploy, now: datetime) -> Mapping[str, list[TaskLine]]:
    """What runs on the workers that drain, the oldest first, by instance."""
    hosts = {
        host_key(host_of(drain.node)): drain.instance_id
        for rollout in deploy.rollouts.values()
        for drain in rollout.crew.at_work()
    }
    rows = list(RunningTask.objects.filter(host_key__in=hosts, state="running").order_by("started_at")[:5000])
    past = past_runs((row.dag_id, row.task_id) for row in rows)
    found: dict[str, list[TaskLine]] = {}
    for row in rows:
        ran_s = max(0.0, (now - row.started_at).total_seconds()) if row.started_at else None
        runs = past.get((row.dag_id, row.task_id), [])
        index = f"[{row.map_index}]" if row.map_index >= 0 else ""
        name = f"{row.dag_id}.{row.task_id}{index}"
        line = TaskLine(name, row.run_id, row.started_at, ran_s, expected_end(row.started_at, runs, now), tuple(runs))
        found.setdefault(hosts[row.host_key], []).append(line)
    return found


def _fleet(
    queue: str, rollout: Rollout, found: Sequence[Lane], new: Sequence[Arrival], drawing: Axis, ended: bool
) -> FleetLanes:
    by_id = {arrival.instance_id: arrival for arrival in new}
    drains: Mapping[str, Drain] = rollout.crew.drains
    lanes = [
        drawn(lane, drains.get(lane.instance_id), by_id.get(lane.replaced_by), drawing, ended)
        for lane in found[:MOST_LANES]
    ]
    done = [lane for lane in lanes if lane.role == "old" and lane.word in ("replaced", "lost", "taken away")]
    quiet = [lane for lane in done if lane.word == "replaced"]
    folded = quiet if len(quiet) > FOLDED_FROM else []
    return FleetLanes(
        queue=queue,
        wanted=rollout.wanted,
        before=rollout.before,
        done=len(done),
        total=len(rollout.old),
        waits="" if rollout.done else rollout.waits,
        lanes=tuple(lane for lane in lanes if lane not in folded),
        folded=tuple(folded),
        left_out=max(0, len(found) - MOST_LANES),
    )


def _oldest(lanes: Sequence[Lane]) -> tuple[TaskLine, Lane] | None:
    found = [(lane.tasks[0], lane) for lane in lanes if lane.tasks and lane.tasks[0].ran_s is not None]
    return max(found, key=lambda pair: pair[0].ran_s or 0.0, default=None)


def _policy(operation: Operation, deploy: Deploy) -> tuple[tuple[str, str, str], ...]:
    """Word, value, remark."""
    given = operation.parameters
    versions = sorted({rollout.wanted for rollout in deploy.rollouts.values()} or {given.get("version") or ""})
    then = "asks a person; never kills by itself" if given.get("on_deadline") == "wait" else "stops it by force"
    return (
        ("Version", listed(versions) or "what each group launches", ""),
        ("Max surge", f"{count(int(given.get('max_surge', 0)), 'worker')} above desired", "per fleet"),
        ("Max unavailable", count(int(given.get("max_unavailable", 0)), "worker"), "per fleet"),
        ("Drain deadline", duration(given.get("drain_deadline_s")), "for each worker"),
        ("At the deadline", then, ""),
        ("Order", "idle workers first, then the fewest tasks", ""),
        ("A new worker counts", f"after {duration(given.get('min_ready_s'))} in service", _proof(given)),
        ("Stops by itself", "after two new workers in a row that are never ready", ""),
    )


def _proof(given: Mapping[str, object]) -> str:
    return "answering, on its queue" + (", and its canary task has run" if given.get("canary") else "")


def _heading(page: DeployPage, operation: Operation) -> str:
    if operation.finished_at is not None:
        return operation.outcome.split(". ")[0].rstrip(".")
    if page.giving_up:
        return "It gives up: what can be put back in service is"
    if not page.planned:
        return "The fleets are looked at first"
    return f"{page.done} of {count(page.total, 'worker')} replaced"


def _text(page: DeployPage, operation: Operation) -> str:
    if operation.finished_at is not None:
        return operation.outcome
    if operation.question is not None:
        return "It waits for a person: nothing further begins until then."
    if operation.held:
        return "It is paused: nothing further begins; what drains goes on."
    if not page.planned:
        return str((operation.progress or {}).get("text", ""))
    waits = [f"{fleet.queue}: {fleet.waits}" for fleet in page.fleets if fleet.waits]
    running = (
        f"{count(page.draining, 'worker')} {'is' if page.draining == 1 else 'are'} draining." if page.draining else ""
    )
    return " ".join(filter(None, (running, f"{listed(waits)}." if waits and not page.draining else "")))


@dataclass(frozen=True)
class DeployRow:
    """A deploy in the list, and how far off its first prediction was."""

    row: Row
    queues: tuple[str, ...]
    version: str
    end: Foretold | None


@dataclass(frozen=True)
class DeploysPage:
    heading: str
    text: str
    rows: tuple[DeployRow, ...]
    earlier: int | None  # the id to page on from


def deploys_page(now: datetime, query: Mapping[str, str]) -> DeploysPage:
    """The newest deploys, by two queries."""
    found = Operation.objects.filter(kind="deploy").order_by("-pk")
    if (before := query.get("before", "")).isdecimal():
        found = found.filter(pk__lt=int(before[:18]))
    operations = list(found[: LISTED + 1])
    shown = operations[:LISTED]
    ends = {row.operation_id: _foretold(row) for row in Forecast.objects.filter(operation__in=shown, subject="")}
    rows = tuple(
        DeployRow(
            row_of(one, now),
            tuple(fleet["queue"] for fleet in one.parameters.get("fleets", ())),
            str(one.parameters.get("version") or ""),
            ends.get(one.pk),
        )
        for one in shown
    )
    active = [row for row in rows if row.row.state in ("queued", "running", "paused")]
    heading = "No deploy is under way"
    if len(active) == 1:
        heading = f"{active[0].row.title} is under way"
    elif active:
        heading = f"{count(len(active), 'deploy')} are under way"
    return DeploysPage(heading, _accuracy(rows), rows, shown[-1].pk if len(operations) > LISTED else None)


def _accuracy(rows: Sequence[DeployRow]) -> str:
    """How good the predictions of the newest deploys were."""
    ends = [
        row.end for row in rows if row.end is not None and row.end.off_s is not None and row.row.state == "succeeded"
    ]
    if not ends:
        return "New workers first; old ones go only when their running work is done."
    offs = [abs(end.off_s) for end in ends if end.off_s is not None]
    within = sum(bool(end.within) for end in ends)
    return (
        f"Of the last {count(len(ends), 'deploy')} that succeeded the first prediction was off by "
        f"{duration(median(offs))} (median); {within} ended within its worst case."
    )

"""Workers as they are shown: a page of them with their tasks, by five queries however large the fleet is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db.models import Count, F, Min, OuterRef, QuerySet, Subquery

from console.fleets import census
from console.fleets import rows as ask
from console.fleets.facts import Sights
from console.fleets.figures import escaped, workers_url
from console.fleets.models import Instance, RunningTask, Worker, WorkerQuerySet
from console.fleets.names import shortened
from console.fleets.rules import OVER, State
from console.fleets.running import Expected, expected_end, past_runs
from console.lib.status import Status

TASKS_SHOWN = 200
"""Tasks shown of one worker: more than any has slots, in case a host is shared by many."""
STATUS: Mapping[str, Status] = {
    State.LOST: Status.FAILING,
    State.STUCK: Status.FAILING,
    State.UNKNOWN: Status.UNKNOWN,
}
COLUMNS = (
    # key, heading, falls at first
    ("worker", "Worker", False),
    ("state", "State", False),
    ("zone", "AZ", False),
    ("release", "Release", False),
    ("slots", "Slots", True),
    ("oldest", "Oldest task", False),
    ("up", "Up", False),
    ("heartbeat", "Heartbeat", False),
)
ORDERS = {
    "worker": "node",
    "state": "state",
    "zone": "zone",
    "release": "version",
    "slots": "active",
    "oldest": "oldest_at",
    "up": "up_at",
    "heartbeat": "seen_at",
}
TABS: tuple[tuple[str, str, tuple[State, ...]], ...] = (
    ("in_service", "In service", (State.IN_SERVICE,)),
    ("launching", "Launching", (State.LAUNCHING,)),
    ("draining", "Draining", (State.DRAINING, State.QUIESCED)),
    ("trouble", "Lost or stuck", (State.LOST, State.STUCK)),
    ("unknown", "Unknown", (State.UNKNOWN,)),
    ("over", "Stopped", (State.STOPPED, State.TERMINATED)),
)


class TaskRow(NamedTuple):
    """A running task instance, by Airflow's word. Its arguments are nowhere: they hold a token."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int | None
    pool: str
    started_at: datetime | None
    ran_s: float | None
    expected: Expected

    @property
    def name(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}.{self.task_id}{index}"

    @property
    def label(self) -> str:
        return shortened(self.name, 60)


class WorkerRow(NamedTuple):
    """One worker. Figures of None can't be seen now; `tasks` is None while Airflow's task instances can't."""

    node: str
    host: str
    url: str
    instance_id: str
    zone: str
    version: str
    lifecycle: str
    gone: bool  # its instance is no more
    state: State
    status: Status
    reason: str
    remark: str  # where a task would stand, of a worker that is not simply in service
    overdue: bool
    since: datetime
    active: int | None
    slots: int | None
    reserved: int | None
    processed: int | None
    load1: float | None
    pid: int | None
    consumes: tuple[str, ...] | None
    serves: tuple[str, ...]
    tasks: tuple[TaskRow, ...] | None  # oldest first
    seen_at: datetime | None
    seen_age_s: float | None
    answered_at: datetime | None
    up_at: datetime | None
    up_s: float | None
    as_of: datetime | None

    @property
    def label(self) -> str:
        return shortened(self.host, 60)

    @property
    def wraps(self) -> bool:
        return len(self.host) > 24

    @property
    def release(self) -> str:
        return shortened(self.version, 16)

    @property
    def drainable(self) -> bool:
        return bool(self.instance_id) and not self.gone and self.state not in (State.LAUNCHING, State.TERMINATED)

    @property
    def short_id(self) -> str:
        return self.instance_id[-6:]

    @property
    def short_zone(self) -> str:
        """`1a` of `eu-north-1a`: the region is the same for all."""
        return self.zone.rsplit("-", 1)[-1] or "–"

    @property
    def oldest(self) -> TaskRow | None:
        return self.tasks[0] if self.tasks else None

    @property
    def used(self) -> int:
        return min(self.active or 0, self.slots or 0)


def counted(workers: WorkerQuerySet) -> dict[str, int]:
    """How many there are in each state."""
    return dict(workers.order_by().values_list("state").annotate(number=Count("node")))


def spread(queue: str, sights: Sights) -> tuple[Counter[str], Counter[str], dict[str, int]]:
    """How many workers of a queue there are in each zone, of each release and in each state; one query."""
    zones: Counter[str] = Counter()
    releases: Counter[str] = Counter()
    states: Counter[str] = Counter()
    for tally in census.of_queue(queue, sights):
        zones[tally.zone] += tally.workers
        releases[tally.version] += tally.workers
        states[tally.state] += tally.workers
    del zones[""], releases[""]
    return zones, releases, dict(states)


def ordered(workers: WorkerQuerySet, sort: str) -> QuerySet[Worker]:
    """By a column's key, `-` before it when it falls; what has no value comes last, names break ties."""
    column = ORDERS.get(sort.removeprefix("-"), "node")
    rows: QuerySet[Worker] = workers
    if column == "oldest_at":
        oldest = (
            RunningTask.objects.filter(state="running", host_key=OuterRef("host_key"))
            .order_by()
            .values("host_key")
            .annotate(first=Min("started_at"))
            .values("first")
        )
        rows = rows.annotate(oldest_at=Subquery(oldest))
    if column == "up_at":
        instance = Instance.objects.filter(instance_id=OuterRef("instance_id")).values("launched_at")
        rows = rows.annotate(up_at=Subquery(instance[:1]))
    order = F(column).desc(nulls_last=True) if sort.startswith("-") else F(column).asc(nulls_last=True)
    return rows.order_by(order, "node")


def worker_rows(workers: Iterable[Worker], queue: str, sights: Sights) -> tuple[WorkerRow, ...]:
    """These workers with their instances, tasks and the ends to expect: three queries."""
    workers = list(workers)
    ids = [worker.instance_id for worker in workers if worker.instance_id]
    rows = ask.instances(ids) if ids else []
    instances = {id_: (lifecycle, up_at, gone_at) for id_, lifecycle, up_at, gone_at in rows}
    tasks = tasks_on([worker.host_key for worker in workers if worker.host_key], sights) if workers else {}
    url = workers_url(queue)
    return tuple(
        _row(worker, *instances.get(worker.instance_id, ("", None, None)), tasks, url, sights) for worker in workers
    )


def tasks_on(hosts: Sequence[str], sights: Sights) -> dict[str, tuple[TaskRow, ...]]:
    """The running tasks of these hosts, the oldest first, by host; two queries. Empty while they can't be seen."""
    if not sights.tasks.seen or not hosts:
        return {}
    found: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for host, *row in ask.tasks_on(list(hosts)):
        found[host].append(tuple(row))
    past = past_runs((row[0], row[1]) for rows_ in found.values() for row in rows_)
    return {host: tuple(_task(row, past, sights.now) for row in rows_[:TASKS_SHOWN]) for host, rows_ in found.items()}


def _task(row: tuple[Any, ...], past: Mapping[tuple[str, str], list[float]], now: datetime) -> TaskRow:
    started_at: datetime | None = row[-1]
    ran_s = max(0.0, (now - started_at).total_seconds()) if started_at else None
    dag_id, task_id, run_id, map_index, try_number, pool, _ = row
    expected = expected_end(started_at, past.get((dag_id, task_id), []), now)
    return TaskRow(dag_id, task_id, run_id, map_index, try_number, pool, started_at, ran_s, expected)


def _row(
    worker: Worker,
    lifecycle: str,
    up_at: datetime | None,
    gone_at: datetime | None,
    tasks: Mapping[str, tuple[TaskRow, ...]],
    url: str,
    sights: Sights,
) -> WorkerRow:
    seen = sights.workers_seen
    state, reason, was = State(worker.state), worker.reason, ""
    if not seen:
        was = "" if state is State.UNKNOWN else f"it was {state.replace('_', ' ')}"
        state, reason = State.UNKNOWN, "; ".join(filter(None, (sights.workers_blind, was)))
    live = seen and state is not State.UNKNOWN and state not in OVER  # what it said last is no figure of now
    moments = [at for at in (worker.seen_at, worker.answered_at) if at]
    return WorkerRow(
        node=worker.node,
        host=worker.host,
        url=f"{url}{escaped(worker.node)}/",
        instance_id=worker.instance_id,
        zone=worker.zone,
        version=worker.version,
        lifecycle=lifecycle if sights.compute.seen else "",
        gone=gone_at is not None,
        state=state,
        status=Status.DEGRADED if worker.overdue and live else STATUS.get(state, Status.HEALTHY),
        reason=reason,
        remark=was if not seen else "" if state is State.IN_SERVICE else reason,
        overdue=worker.overdue and live,
        since=worker.state_since,
        active=worker.active if live else None,
        slots=worker.slots,
        reserved=worker.reserved if live else None,
        processed=worker.processed,
        load1=worker.load1 if live else None,
        pid=worker.pid,
        consumes=tuple(worker.consumes) if worker.consumes is not None and sights.answers.seen else None,
        serves=tuple(worker.serves),
        tasks=tasks.get(worker.host_key, ()) if sights.tasks.seen else None,
        seen_at=worker.seen_at,
        seen_age_s=max(0.0, (sights.now - worker.seen_at).total_seconds()) if worker.seen_at else None,
        answered_at=worker.answered_at,
        up_at=up_at,
        up_s=max(0.0, (sights.now - up_at).total_seconds()) if up_at else None,
        as_of=max(moments) if moments else None,
    )

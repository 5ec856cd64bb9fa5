"""What is concluded from all of it, every other second: each worker's state, each queue's supply, who leaves the list.

The conclusions are kept so that a page of fifty workers reads fifty rows, however large the fleet is. Pages turn them
unknown by themselves when their sources, or this judgement, are too old.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Q

from console.fleets import census, sql
from console.fleets.facts import Sights, fleet_facts, why_blind
from console.fleets.models import GroupSnapshot, Instance, QueueSnapshot, RunningTask, Watch, Worker
from console.fleets.names import address_of, host_key, host_of, instance_of, node_of
from console.fleets.rules import Evidence, InstanceSeen, Judged, State, View, Waiting, judge_worker, to_archive
from console.fleets.verdicts import judge_fleet
from console.live.changes import publish
from console.platform.declared import FleetDeclared, declaration

_WORKER_COLUMNS = {
    "instance_id": "text",
    "zone": "text",
    "version": "text",
    "home": "text",
    "serves": "text[]",
    "state": "text",
    "state_since": "timestamptz",
    "reason": "text",
    "overdue": "bool",
    "served_at": "timestamptz",
    "archived_at": "timestamptz",
}
_COUNTS = ("in_service", "launching", "quiesced", "draining", "stopped", "lost", "stuck", "unknown")
_QUEUE_COLUMNS = dict.fromkeys((*_COUNTS, "overdue", "slots", "active", "reserved", "rank"), "int") | {
    "mismatch_since": "timestamptz"
}
FORGET_QUEUE = timedelta(days=1)


@dataclass
class _Known:
    """Everything that a judgement looks at, loaded once."""

    now: datetime
    view: View
    sights: Sights
    queues: dict[str, QueueSnapshot]
    groups: dict[str, GroupSnapshot]
    queue_of_group: dict[str, str]
    slots_of_queue: dict[str, int]
    tasks_on_host: dict[str, int]
    by_id: dict[str, Instance] = field(default_factory=dict)
    by_address: dict[str, Instance] = field(default_factory=dict)


def judge(now: datetime) -> None:
    """Judge every listed worker and every queue; write only what changed. Runs in the caller's transaction."""
    known = _load(now)
    workers = list(Worker.objects.listed())
    expected = _expected(workers, known)
    changed = [row for worker in workers if (row := _judge_one(worker, known))]
    sql.update_rows("fleets_worker", "node", _WORKER_COLUMNS, changed)
    standing = [*_without_replaced(workers), *expected]
    news = _judge_queues(standing, known)
    census.take(standing, now)
    if news or changed or expected:
        publish("fleets")


def _load(now: datetime) -> _Known:
    sights = Sights.at(now)
    watch = Watch.objects.first()
    fleets = declaration().fleets
    hosts = RunningTask.objects.filter(state="running").exclude(host_key="").values("host_key")
    known = _Known(
        now=now,
        view=View(
            now=now,
            heartbeats_as_of=sights.heartbeats.as_of if sights.heartbeats.seen else None,
            listening_since=watch.listening_since if watch else None,
            answers_as_of=sights.answers.as_of if sights.answers.seen else None,
            compute_as_of=sights.compute.as_of if sights.compute.seen else None,
            tasks_seen=sights.tasks.seen,
            blind_because=why_blind(sights.alive),
        ),
        sights=sights,
        queues={row.queue: row for row in QueueSnapshot.objects.filter(_worth_judging(fleets))},
        groups=GroupSnapshot.objects.in_bulk(),
        queue_of_group={fleet.group: fleet.queue for fleet in fleets},
        slots_of_queue={fleet.queue: fleet.concurrency for fleet in fleets},
        tasks_on_host=dict(hosts.annotate(n=Count("key")).values_list("host_key", "n")),
    )
    for instance in Instance.objects.filter(Q(gone_at=None) | Q(gone_at__gt=now - timedelta(days=1))):
        known.by_id[instance.instance_id] = instance
        if instance.private_ip and instance.gone_at is None:
            known.by_address[instance.private_ip] = instance
    return known


def _worth_judging(fleets: Sequence[FleetDeclared]) -> Q:
    """Queues that have, or had, work, workers or a verdict: of ten thousand idle ones there is nothing to say."""
    found = Q(queue__in=[fleet.queue for fleet in fleets]) | Q(rank__gt=1) | Q(mismatch_since__isnull=False)
    for name in ("queued", "running", "depth", *_COUNTS):
        found |= Q(**{f"{name}__gt": 0})
    return found


def _instance(worker: Worker, known: _Known) -> Instance | None:
    """By the id in its name, else by EC2's own host name; once joined it stays joined."""
    found = known.by_id.get(worker.instance_id) or known.by_id.get(instance_of(worker.host))
    return found or known.by_address.get(address_of(worker.host))


def _waiting(worker: Worker, known: _Known) -> Waiting | None:
    """The longest wait among the queues that it is there for; None while the broker's depths can't be seen."""
    if not known.sights.depths.seen:
        return None
    rows = [row for queue in worker.serves if (row := known.queues.get(queue)) and row.depth and row.waiting_since]
    if not rows:
        return None
    row = min(rows, key=lambda row: row.waiting_since or known.now)
    return Waiting(row.queue, row.depth or 0, row.waiting_since or known.now)


def _evidence(worker: Worker, instance: Instance | None, known: _Known) -> Evidence:
    behind = None
    if instance is not None:
        since = instance.launched_at or instance.first_seen_at
        behind = InstanceSeen(instance.lifecycle, instance.gone_at is not None, since)
    return Evidence(
        seen_at=worker.seen_at,
        goodbye_at=worker.goodbye_at,
        answered_at=worker.answered_at,
        unanswered=worker.unanswered,
        consumes=None if worker.consumes is None else tuple(worker.consumes),
        active=worker.active,
        slots=worker.slots,
        progress_at=worker.progress_at,
        tasks_on_host=known.tasks_on_host.get(worker.host_key, 0),
        instance=behind,
        waiting=_waiting(worker, known),
        first_seen_at=worker.first_seen_at,
    )


def _judge_one(worker: Worker, known: _Known) -> dict[str, Any] | None:
    """The row to write when anything changed; the worker itself is brought up to date either way."""
    before = [getattr(worker, name) for name in _WORKER_COLUMNS]
    instance = _instance(worker, known)
    _place(worker, instance, known)
    _settle(worker, judge_worker(_evidence(worker, instance, known), known.view), known.now)
    stands = instance is not None and instance.gone_at is None
    if to_archive(State(worker.state), worker.state_since, stands, known.now):
        worker.archived_at = known.now
    after = [getattr(worker, name) for name in _WORKER_COLUMNS]
    return None if before == after else {"node": worker.node, **dict(zip(_WORKER_COLUMNS, after, strict=True))}


def _place(worker: Worker, instance: Instance | None, known: _Known) -> None:
    """Where it belongs: its instance, zone, version, its home queue and the queues under which it is listed."""
    if instance is not None:
        worker.instance_id, worker.zone, worker.version = instance.instance_id, instance.zone, instance.version
        worker.home = known.queue_of_group.get(instance.group, worker.home)
    if not worker.home and worker.consumes:
        declared = [queue for queue in worker.consumes if queue in known.slots_of_queue]
        worker.home = (declared or worker.consumes)[0]
    home = [worker.home] if worker.home else []
    serves = list(dict.fromkeys([*home, *(worker.consumes or [])]))
    # One that consumes nothing now stays listed where it consumed last: that is where it is missed.
    worker.serves = serves if worker.consumes or not worker.serves else list(dict.fromkeys([*home, *worker.serves]))


def _settle(worker: Worker, judged: Judged, now: datetime) -> None:
    if worker.state == State.LAUNCHING and judged.state is State.IN_SERVICE and worker.served_at is None:
        worker.served_at = now
    if worker.state != judged.state:
        worker.state, worker.state_since = judged.state.value, now
    worker.reason, worker.overdue = judged.reason, judged.overdue


def _expected(workers: Sequence[Worker], known: _Known) -> list[Worker]:
    """A row for each instance from which no worker has reported: it is launching, and may become overdue."""
    taken = {worker.node for worker in workers} | set(
        Worker.objects.filter(archived_at__isnull=False, instance_id__in=known.by_id).values_list("node", flat=True)
    )
    claimed = {instance.instance_id for worker in workers if (instance := _instance(worker, known))}
    rows = []
    for instance in known.by_id.values():
        node = node_of(instance.instance_id)
        if instance.gone_at is not None or instance.instance_id in claimed or node in taken:
            continue
        host = host_of(node)
        row = Worker(
            node=node, host=host, host_key=host_key(host), first_seen_at=known.now, state=State.UNKNOWN,
            state_since=known.now, instance_id=instance.instance_id,
        )  # fmt: skip
        _judge_one(row, known)
        rows.append(row)
    Worker.objects.bulk_create(sorted(rows, key=lambda row: row.node), ignore_conflicts=True)
    return rows


def _without_replaced(workers: Sequence[Worker]) -> list[Worker]:
    """A row that only stood for an instance goes once a worker by another name reports from there: what is left."""
    reported = {w.instance_id for w in workers if w.instance_id and (w.seen_at or w.answered_at)}
    stale = {
        worker.node
        for worker in workers
        if worker.instance_id in reported and worker.seen_at is None and worker.answered_at is None
    }
    if stale:
        Worker.objects.filter(node__in=stale, seen_at=None, answered_at=None).delete()
    return [worker for worker in workers if worker.node not in stale]


def _judge_queues(workers: Iterable[Worker], known: _Known) -> bool:
    """What each queue has of them; True when any of it changed."""
    supply: dict[str, Counter[str]] = defaultdict(Counter)
    for worker in workers:
        if worker.archived_at is not None:
            continue
        for queue in worker.serves:
            counts = supply[queue]
            counts[worker.state] += 1
            counts["overdue"] += worker.overdue
            if worker.state == State.IN_SERVICE:
                counts["slots"] += worker.slots or known.slots_of_queue.get(queue, 0)
                counts["active"] += worker.active or 0
                counts["reserved"] += worker.reserved or 0
    wanted = supply.keys() | known.slots_of_queue.keys()
    known.queues |= QueueSnapshot.objects.in_bulk(list(wanted - known.queues.keys()))
    names = sorted(wanted - known.queues.keys())
    new = [QueueSnapshot(queue=name, first_seen_at=known.now, seen_at=known.now) for name in names]
    QueueSnapshot.objects.bulk_create(new, ignore_conflicts=True)
    for row in new:
        known.queues[row.queue] = row
    changed = [fields for row in known.queues.values() if (fields := _judge_queue(row, supply[row.queue], known))]
    sql.update_rows("fleets_queuesnapshot", "queue", _QUEUE_COLUMNS, changed)
    if known.sights.tasks.seen:
        idle = QueueSnapshot.objects.filter(seen_at__lt=known.now - FORGET_QUEUE).exclude(queue__in=wanted)
        forgotten = list(idle.exclude(queued__gt=0).exclude(running__gt=0).values_list("queue", flat=True)[:1000])
        if forgotten:
            QueueSnapshot.objects.filter(queue__in=forgotten).delete()
    return bool(changed)


def _judge_queue(row: QueueSnapshot, supply: Counter[str], known: _Known) -> dict[str, Any] | None:
    before = [getattr(row, name) for name in _QUEUE_COLUMNS]
    for name in (*_COUNTS, "overdue", "slots", "active", "reserved"):
        setattr(row, name, supply[name])
    row.mismatch_since = (row.mismatch_since or known.now) if _disagrees(row, known.sights) else None
    row.rank = judge_fleet(fleet_facts(row, known.groups, known.sights)).rank
    after = [getattr(row, name) for name in _QUEUE_COLUMNS]
    return None if before == after else {"queue": row.queue, **dict(zip(_QUEUE_COLUMNS, after, strict=True))}


def _disagrees(row: QueueSnapshot, sights: Sights) -> bool:
    """Airflow's queued tasks are in the broker's lists or held by a worker; more or fewer messages need explaining."""
    if not (sights.tasks.seen and sights.depths.seen and sights.answers.seen):
        return False
    if row.queued is None or row.depth is None or not row.exact:
        return False
    return row.queued > row.depth + row.reserved or row.depth > row.queued

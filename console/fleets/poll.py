"""What is seen: a reading of Airflow, of the broker or of the Auto Scaling Groups becomes snapshots.

Each `save_…` runs in the transaction of its poll, and writes only what changed: an idle fleet of thousands costs
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import F, Q

from console.fleets import sql
from console.fleets.models import GroupSnapshot, Instance, QueueSnapshot, Worker
from console.fleets.names import int4, int8, kept
from console.platform.declared import declaration
from console.platform.readings import (
    BrokerReading,
    GroupReading,
    InstanceReading,
    TasksReading,
    WorkerReading,
)

INSTANCES_LIMIT = 500
"""Task instances read in one poll: the oldest ones. The counts are exact all the same."""
EXTRA_COUNTED = 10
"""Queues that nobody declared and that are still counted exactly: the busiest."""
MEASURED_LIMIT = 2000
"""Queues whose depth is measured in one poll."""
ASKED_LIMIT = 300
"""Workers asked in one poll; a larger fleet is asked in turns."""
SUSPECT_S = 15.0
LOST_ASKED_S = 60.0
"""A lost worker is asked so often: each time the poll waits for it in vain. A heartbeat brings it back at once."""
MARK_S = 90.0
"""The distance of the marks from which a backlog's pace is worked out."""
MENTION_S = 600.0


def declared_queues() -> list[str]:
    return [fleet.queue for fleet in declaration().fleets]


def declared_groups() -> list[str]:
    return [fleet.group for fleet in declaration().fleets]


# --- Airflow's task instances --------------------------------------------------------------------------------------


def queues_to_count() -> list[str]:
    """Queues asked of Airflow one by one: all declared ones, and the busiest of the others."""
    declared = declared_queues()
    busy = (
        QueueSnapshot.objects.filter(Q(queued__gt=0) | Q(running__gt=0))
        .exclude(queue__in=declared)
        .order_by((F("queued") + F("running")).desc(nulls_last=True))
        .values_list("queue", flat=True)
    )
    return declared + list(busy[:EXTRA_COUNTED])


def save_counts(reading: TasksReading, at: datetime) -> None:
    """Queued and running per queue. A queue that was not asked for is counted from the instances that were read."""
    counted = {kept(row.queue): (row.queued, row.running, True) for row in reading.counts}
    listed: Counter[tuple[str, bool]] = Counter()
    oldest: dict[str, datetime] = {}
    for task in reading.instances:
        queue = kept(task.queue)
        listed[queue, task.state == "running"] += task.state in ("queued", "running")
        if task.state == "queued" and task.queued_at and task.queued_at < oldest.get(queue, at):
            oldest[queue] = task.queued_at
    for queue in {queue for queue, _ in listed} - counted.keys():
        counted[queue] = (listed[queue, False], listed[queue, True], reading.complete)
    # What was busy and is not named any more: at rest if everything was read, else out of sight.
    rest = (0, 0, True) if reading.complete else (None, None, True)
    stale = QueueSnapshot.objects.exclude(queue__in=list(counted)).filter(
        ~Q(queued=rest[0]) | ~Q(running=rest[1]) if reading.complete else Q(queued__isnull=False)
    )
    wanted: dict[str, tuple[int | None, int | None, bool]] = {**counted}
    wanted.update((queue, rest) for queue in stale.values_list("queue", flat=True))

    rows = QueueSnapshot.objects.in_bulk(list(wanted))
    changed, new = [], []
    for queue in sorted(wanted):
        row = rows.get(queue)
        is_new = row is None
        row = row or QueueSnapshot(queue=queue, first_seen_at=at, seen_at=at)
        before = (row.queued, row.running, row.exact, row.oldest_queued_at, row.mark_at, row.seen_at)
        _count(row, wanted[queue], oldest.get(queue), at)
        if queue in counted and (at - row.seen_at).total_seconds() > MENTION_S:
            row.seen_at = at
        if is_new:
            new.append(row)
        elif before != (row.queued, row.running, row.exact, row.oldest_queued_at, row.mark_at, row.seen_at):
            changed.append(row)
    QueueSnapshot.objects.bulk_create(new, ignore_conflicts=True)
    sql.update_rows("fleets_queuesnapshot", "queue", _COUNT_COLUMNS, [_fields(row, _COUNT_COLUMNS) for row in changed])


_COUNT_COLUMNS = {
    "seen_at": "timestamptz",
    "queued": "int",
    "running": "int",
    "exact": "bool",
    "oldest_queued_at": "timestamptz",
    "backlog_since": "timestamptz",
    "mark_at": "timestamptz",
    "mark_queued": "int",
    "prior_at": "timestamptz",
    "prior_queued": "int",
}


def _fields(row: QueueSnapshot, columns: Iterable[str]) -> dict[str, Any]:
    return {"queue": row.queue, **{name: getattr(row, name) for name in columns}}


def _count(
    row: QueueSnapshot, counts: tuple[int | None, int | None, bool], oldest: datetime | None, at: datetime
) -> None:
    row.queued, row.running, row.exact = counts
    row.oldest_queued_at = oldest if row.queued else None
    row.backlog_since = (row.backlog_since or oldest or at) if row.queued else None
    if row.queued is None:
        row.mark_at = row.mark_queued = row.prior_at = row.prior_queued = None
    elif row.mark_at is None or (at - row.mark_at).total_seconds() >= MARK_S:
        if row.queued or row.mark_queued:  # a queue at rest is not rewritten for its marks
            row.prior_at, row.prior_queued = row.mark_at, row.mark_queued
            row.mark_at, row.mark_queued = at, row.queued
        else:
            row.prior_at = row.prior_queued = None


# --- the broker's queues -------------------------------------------------------------------------------------------


def queues_to_measure() -> list[str]:
    """Declared queues, then those that were named most recently."""
    declared = declared_queues()
    others = QueueSnapshot.objects.exclude(queue__in=declared).order_by("-seen_at", "queue")
    return declared + list(others.values_list("queue", flat=True)[: MEASURED_LIMIT - len(declared)])


def save_queues(reading: BrokerReading, at: datetime) -> None:
    """Depth per queue; a queue that was not measured this time is unknown."""
    depths = {kept(row.queue): row.waiting for row in reading.depths}
    known = dict(QueueSnapshot.objects.values_list("queue", "depth"))
    new = [
        QueueSnapshot(queue=queue, first_seen_at=at, seen_at=at, depth=depth, waiting_since=at if depth else None)
        for queue, depth in sorted(depths.items())
        if queue not in known
    ]
    QueueSnapshot.objects.bulk_create(new, ignore_conflicts=True)
    changed = [
        {"queue": queue, "depth": depths.get(queue), "at": at}
        for queue, depth in known.items()
        if depth != depths.get(queue)
    ]
    if changed:
        with connection.cursor() as cursor:
            names, values = [row["queue"] for row in changed], [row["depth"] for row in changed]
            cursor.execute(_LOCK_QUEUES, [names])
            cursor.execute(_DEPTHS, [at, names, values])


_LOCK_QUEUES = "SELECT 1 FROM fleets_queuesnapshot WHERE queue = ANY(%s) ORDER BY queue FOR UPDATE"
_DEPTHS = """
UPDATE fleets_queuesnapshot q SET
    depth = d.depth,
    waiting_since = CASE WHEN d.depth > 0 THEN coalesce(q.waiting_since, %s) END
FROM unnest(%s::text[], %s::int[]) AS d(queue, depth) WHERE q.queue = d.queue
"""


# --- the workers' answers ------------------------------------------------------------------------------------------


def nodes_to_ask(now: datetime) -> list[str]:
    """Whom to ask in this poll, at most `ASKED_LIMIT`: half of them those with news, half in turn.

    News: never asked, silent for a moment, restarted, or left without an answer. Those who said goodbye and those that
    are over are not asked: they can't answer; lost ones seldom.
    """
    given_up = Q(state="lost", asked_at__gt=now - timedelta(seconds=LOST_ASKED_S))
    listed = Worker.objects.listed().exclude(state__in=["stopped", "terminated"]).exclude(given_up)
    turn = F("asked_at").asc(nulls_first=True)
    news = listed.filter(
        Q(asked_at=None)
        | Q(seen_at__lt=now - timedelta(seconds=SUSPECT_S))
        | Q(unanswered__gt=0)
        | ~Q(pid=F("answered_pid"))
    )
    urgent = list(news.order_by(turn, "node").values_list("node", flat=True)[: ASKED_LIMIT // 2])
    others = listed.exclude(node__in=urgent).order_by(turn, "node").values_list("node", flat=True)
    return urgent + list(others[: ASKED_LIMIT - len(urgent)])


def save_workers(asked_and_answered: tuple[Sequence[str], Sequence[WorkerReading]], at: datetime) -> None:
    """The answers. Only where somebody answered does a silence count against the others."""
    asked, answers = asked_and_answered
    answered = {answer.node: answer for answer in answers}
    rows: list[dict[str, Any]] = [
        {
            "node": node,
            "asked_at": at,
            "pid": int4(answered[node].pid),
            "processed": int8(answered[node].processed),
            "slots": int4(answered[node].concurrency),
            "consumes": None if (consumes := answered[node].queues) is None else [kept(queue) for queue in consumes],
            "active": None if (active := answered[node].active) is None else len(active),
            "reserved": None if (reserved := answered[node].reserved) is None else len(reserved),
        }
        for node in asked
        if node in answered
    ]
    silent = [node for node in asked if node not in answered]
    if rows:
        with connection.cursor() as cursor:
            cursor.execute(_LOCK_WORKERS, [list(asked)])
            cursor.execute(_ANSWERS, [sql.as_json(rows)])
            cursor.execute(_NO_ANSWER, [at, silent])
    elif silent:
        Worker.objects.filter(node__in=silent).update(asked_at=at)
    _mention({queue for row in rows for queue in row["consumes"] or ()}, at)


_LOCK_WORKERS = "SELECT 1 FROM fleets_worker WHERE node = ANY(%s) ORDER BY node FOR UPDATE"
# Active and processed are the heartbeat's where there is one: it is younger than an answer.
_ANSWERS = """
UPDATE fleets_worker w SET
    asked_at = a.asked_at, answered_at = a.asked_at, unanswered = 0, answered_pid = coalesce(w.pid, a.pid),
    pid = coalesce(w.pid, a.pid), processed = coalesce(w.processed, a.processed),
    active = CASE WHEN w.seen_at IS NULL OR w.seen_at < a.asked_at - interval '10 seconds'
                  THEN coalesce(a.active, w.active) ELSE coalesce(w.active, a.active) END,
    slots = coalesce(a.slots, w.slots), consumes = coalesce(a.consumes, w.consumes),
    reserved = coalesce(a.reserved, w.reserved), archived_at = NULL
FROM jsonb_to_recordset(%s::jsonb) AS a(node text, asked_at timestamptz, pid int, processed bigint, slots int,
     consumes text[], active int, reserved int)
WHERE w.node = a.node
"""
_NO_ANSWER = "UPDATE fleets_worker SET asked_at = %s, unanswered = least(unanswered + 1, 1000) WHERE node = ANY(%s)"


def _mention(queues: set[str], at: datetime) -> None:
    """Queues that a worker consumes exist, whether anybody declared them or not."""
    if not queues:
        return
    known = dict(QueueSnapshot.objects.filter(queue__in=queues).values_list("queue", "seen_at"))
    fresh = [QueueSnapshot(queue=queue, first_seen_at=at, seen_at=at) for queue in sorted(queues - known.keys())]
    QueueSnapshot.objects.bulk_create(fresh, ignore_conflicts=True)
    old = [queue for queue, seen_at in known.items() if (at - seen_at).total_seconds() > MENTION_S]
    if old:
        QueueSnapshot.objects.filter(queue__in=old).update(seen_at=at)


# --- Auto Scaling Groups -------------------------------------------------------------------------------------------


def save_compute(reading: Sequence[GroupReading], at: datetime) -> None:
    """Declared groups and their instances; one that left its group is remembered as gone."""
    groups = {group.name: group for group in reading}
    before = GroupSnapshot.objects.in_bulk()
    GroupSnapshot.objects.bulk_create(
        [_group(name, groups.get(name), before.get(name), at) for name in sorted(set(declared_groups()))],
        update_conflicts=True,
        unique_fields=["name"],
        update_fields=[field.name for field in GroupSnapshot._meta.concrete_fields if not field.primary_key],
    )
    rows = Instance.objects.in_bulk()
    seen: dict[str, Instance] = {}
    for group in reading:
        for instance in group.instances:
            seen[instance.instance_id] = _instance(instance, group.name, rows.get(instance.instance_id), at)
    fresh = [row for name, row in seen.items() if name not in rows]
    changed = [row for name, row in seen.items() if name in rows and _content(row) != _content(rows[name])]
    fields = [field.name for field in Instance._meta.concrete_fields if not field.primary_key]
    Instance.objects.bulk_create(
        sorted([*fresh, *changed], key=lambda row: row.instance_id),
        update_conflicts=True,
        unique_fields=["instance_id"],
        update_fields=fields,
    )
    gone = [name for name, row in rows.items() if name not in seen and row.gone_at is None]
    if gone:
        Instance.objects.filter(instance_id__in=gone).update(gone_at=at, lifecycle="Terminated")
    if any(row.gone_at and at - row.gone_at > timedelta(days=7) for row in rows.values()):
        Instance.objects.filter(gone_at__lt=at - timedelta(days=7)).delete()


def _group(name: str, group: GroupReading | None, before: GroupSnapshot | None, at: datetime) -> GroupSnapshot:
    desired = group.desired if group else None
    moved = before is None or before.desired != desired
    return GroupSnapshot(
        name=name,
        present=group is not None,
        minimum=group.minimum if group else None,
        maximum=group.maximum if group else None,
        desired=desired,
        version=kept((group.version or "") if group else ""),
        desired_changed_at=at if moved or before is None else before.desired_changed_at,
        as_of=at,
    )


def _instance(it: InstanceReading, group: str, before: Instance | None, at: datetime) -> Instance:
    over = it.lifecycle == "Terminated"
    return Instance(
        instance_id=it.instance_id,
        group=group,
        lifecycle=it.lifecycle[:40],
        health=it.health[:40],
        zone=it.zone,
        instance_type=it.instance_type or "",
        version=kept(it.version or ""),
        protected=it.protected,
        launched_at=it.launched_at or (before.launched_at if before else None),
        private_ip=it.private_ip or (before.private_ip if before else ""),
        first_seen_at=before.first_seen_at if before else at,
        gone_at=((before.gone_at if before else None) or at) if over else None,
    )


def _content(row: Instance) -> tuple[Any, ...]:
    return tuple(getattr(row, field.attname) for field in Instance._meta.concrete_fields)

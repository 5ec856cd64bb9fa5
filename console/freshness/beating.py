"""The heartbeats at the sources: written every few seconds, each source on its own; remembered with why not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from console.freshness.models import Heartbeat
from console.platform.declared import TaskDeclared
from console.platform.ports import PlatformError, PulsePort
from console.platform.readings import BeatOrder, PulseReading

log = logging.getLogger(__name__)

_WRITTEN = [
    "source",
    "written_at",
    "epoch",
    "seq",
    "beat_at",
    "row_safe_before",
    "prepared_count",
    "own_xid",
    "snapshot_xmin",
    "mark_xid",
    "mark_at",
    "holder_pid",
    "holder_user",
    "holder_since",
    "blind",
    "error",
    "remedy",
]


@dataclass(frozen=True)
class Written:
    """What came of one source's heartbeats. `at`: before they were written, on the console's clock."""

    source: str
    tasks: tuple[str, ...]
    at: datetime
    reading: PulseReading | None
    error: str = ""
    remedy: str = ""


def orders(tasks: Sequence[TaskDeclared]) -> dict[str, tuple[BeatOrder, ...]]:
    """What to write into each source. One query."""
    known = {row.task: (row.epoch, row.seq) for row in Heartbeat.objects.all()}
    found: dict[str, tuple[BeatOrder, ...]] = {}
    for task in tasks:
        epoch, seq = known.get(task.name, (0, 0))
        found[task.source] = (*found.get(task.source, ()), BeatOrder(task.name, task.beats, epoch, seq))
    return found


def write(
    wanted: Mapping[str, Sequence[BeatOrder]],
    connect: Callable[[str], PulsePort],
    now: Callable[[], datetime] = timezone.now,
) -> tuple[Written, ...]:
    """Every source at the same time, so that one that hangs delays no other."""

    def beat(source: str) -> Written:
        tasks, at = tuple(order.task for order in wanted[source]), now()
        try:
            return Written(source, tasks, at, connect(source).beat(source, wanted[source]))
        except PlatformError as error:
            log.warning("heartbeats of %s: %s (%s)", source, error.message, error.code)
            return Written(source, tasks, at, None, error.message, error.remedy)

    with ThreadPoolExecutor(max_workers=max(1, min(8, len(wanted))), thread_name_prefix="beat") as pool:
        return tuple(pool.map(beat, sorted(wanted)))


def save(results: Sequence[Written], as_of: datetime) -> None:
    """Remember them; a beat that is older than the one that is remembered changes nothing."""
    known = {row.task: row for row in Heartbeat.objects.select_for_update()}
    rows = []
    for result in results:
        beats = {beat.task: beat for beat in result.reading.beats} if result.reading else {}
        for task in result.tasks:
            row = known.get(task) or Heartbeat(task=task)
            row.source = result.source
            rows.append(row)
            beat = beats.get(task)
            if beat is None or result.reading is None:
                row.error = result.error or f"its heartbeat table is not at the source {result.source}"
                row.remedy = result.remedy or f"Run manage.py freshness install {result.source}"
                continue
            if (beat.epoch, beat.seq) <= (row.epoch, row.seq):
                continue
            holder = result.reading.holder
            row.written_at = result.at
            row.epoch, row.seq, row.beat_at = beat.epoch, beat.seq, beat.beat_at
            row.row_safe_before, row.prepared_count = beat.row_safe_before, beat.prepared_count
            row.own_xid, row.snapshot_xmin = beat.own_xid, beat.xmin
            row.mark_xid, row.mark_at = result.reading.mark or (None, None)
            row.holder_pid = holder.pid if holder else None
            row.holder_user = holder.user if holder else ""
            row.holder_since = holder.since if holder else None
            row.blind, row.error, row.remedy = result.reading.blind, "", result.reading.remedy
    Heartbeat.objects.bulk_create(rows, update_conflicts=True, unique_fields=["task"], update_fields=_WRITTEN)

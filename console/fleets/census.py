"""How many workers there are of each zone, release and state, in each queue and altogether: counted by the judge.

A page that counted them itself would read every worker's row, and these are rewritten by each heartbeat, so that no
index spares the reading. The census belongs to a judgement: where that of another console is newer (one that does not
take it yet, while the hosts are rolled), or can't be seen, the workers are counted as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.db import connection

from console.fleets.facts import Sights
from console.fleets.models import Census, Worker

ALL = ""
"""In place of a queue's name: every worker, once."""


class Tally(NamedTuple):
    """So many workers are alike; `slots` are those of them together, as far as they said."""

    zone: str
    version: str
    state: str
    workers: int
    slots: int


def take(workers: Iterable[Worker], now: datetime) -> None:
    """Count the listed workers as they are judged at `now`; write what changed. In the judge's transaction."""
    seen = Counter(  # five thousand workers, a handful of sorts: counted in C, added up below
        (queue, worker.zone, worker.version, worker.state, worker.slots)
        for worker in workers
        if worker.archived_at is None
        for queue in (ALL, *worker.serves)
    )
    found: dict[str, dict[tuple[str, str, str], list[int]]] = {ALL: {}}
    for (queue, zone, version, state, slots), number in seen.items():
        sums = found.setdefault(queue, {}).setdefault((zone, version, str(state)), [0, 0])
        sums[0] += number
        sums[1] += number * (slots or 0)
    counts = {queue: [[*kind, *sums] for kind, sums in sorted(kinds.items())] for queue, kinds in found.items()}
    known = dict(Census.objects.values_list("queue", "counts"))
    changed = [
        Census(queue=name, counts=counts[name], as_of=now) for name in sorted(counts) if counts[name] != known.get(name)
    ]
    Census.objects.bulk_create(
        changed, update_conflicts=True, unique_fields=["queue"], update_fields=["counts", "as_of"]
    )
    Census.objects.filter(queue=ALL).update(as_of=now)
    if gone := known.keys() - counts.keys():
        Census.objects.filter(queue__in=gone).delete()


STATEMENT = """
(SELECT coalesce(
    (SELECT census.counts FROM fleets_census census, fleets_census every
     WHERE census.queue = %(queue)s AND every.queue = '' AND every.as_of >= %(judged)s),
    (SELECT jsonb_agg(jsonb_build_array(zone, version, state, workers, slots)) FROM (
        SELECT zone, version, state, count(*) AS workers, coalesce(sum(slots), 0) AS slots FROM fleets_worker
        WHERE archived_at IS NULL AND {of_queue} GROUP BY zone, version, state) live),
    '[]')::json)"""
_OF_QUEUE = f"SELECT {STATEMENT.format(of_queue='serves @> ARRAY[%(queue)s]')}"
OF_ALL = STATEMENT.format(of_queue="true")
"""An expression: the census of all workers. Its parameters are `asked`'s."""


def asked(queue: str, sights: Sights) -> dict[str, str | datetime | None]:
    """The parameters of a census: what is not seen to be judged is counted."""
    return {"queue": queue, "judged": sights.judged.as_of if sights.judged.seen else None}


def of_queue(queue: str, sights: Sights) -> list[Tally]:
    """The workers that serve a queue. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_OF_QUEUE, asked(queue, sights))
        [rows] = cursor.fetchone()
        return [Tally(*row) for row in rows]

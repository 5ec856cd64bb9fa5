"""One fleet as it is told: by a page, by the API, by the overview and to Prometheus. The same figures everywhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from django.db import connection

from console.fleets import census
from console.fleets.facts import Sights, fleet_facts
from console.fleets.models import GroupSnapshot, QueueSnapshot
from console.fleets.rules import State
from console.fleets.verdicts import Clearing, clears, judge_fleet
from console.lib.status import Status
from console.platform.declared import declaration

CELLS = 24
"""More workers than these are drawn as parts of a bar, not one by one."""


@lru_cache(maxsize=16_384)  # each name is drawn again and again, and `quote` looks at its every byte
def escaped(name: str) -> str:
    """As a part of an address. Whatever it holds is escaped, a slash too."""
    return quote(name, safe="")


def fleet_url(queue: str) -> str:
    """The page of a queue."""
    return f"/fleets/{escaped(queue)}/"


def workers_url(queue: str) -> str:
    """Where the pages of a queue's workers begin."""
    return f"{fleet_url(queue)}workers/"


def worker_url(queue: str, node: str) -> str:
    return f"{workers_url(queue)}{escaped(node)}/"


@dataclass(frozen=True)
class Fleet:
    """One queue and its workers. A figure of None can't be seen now, whatever it was before.

    `word` is short (a pill), `reason` a sentence without its full stop. `outstanding` waits, by Airflow's count;
    `depth` are the broker's messages. `slots` are those of the workers in service. For a queue that nobody declared
    `baseline`, `desired` and `maximum` are None because there are none.
    """

    queue: str
    url: str
    declared: bool
    status: Status
    word: str
    reason: str
    rank: int  # severity, worst highest: for ordering
    outstanding: int | None
    running: int | None
    exact: bool  # False: at least that many
    depth: int | None
    oldest_outstanding_s: float | None  # None: nothing waits, or it can't be seen
    clears: Clearing
    slots: int | None
    in_service: int | None
    launching: int | None
    overdue: int | None
    quiesced: int | None
    draining: int | None
    lost: int | None
    stuck: int | None
    unknown: int | None
    baseline: int | None
    desired: int | None
    maximum: int | None
    group: str  # the declared Auto Scaling Group
    instance_type: str
    hardware: str
    concurrency: int | None
    price_per_hour: float | None
    as_of: datetime | None
    age_s: float | None

    @property
    def free(self) -> int | None:
        return None if self.slots is None or self.running is None else max(0, self.slots - self.running)

    @property
    def leaving(self) -> int | None:
        """Workers that take nothing new: draining or quiesced."""
        return None if self.draining is None else self.draining + (self.quiesced or 0)

    @property
    def broken(self) -> int | None:
        """Workers that are of no use as they are: lost or stuck."""
        return None if self.lost is None else self.lost + (self.stuck or 0)

    @property
    def drawn(self) -> bool:
        """Whether there are few enough workers to draw a cell for each."""
        return max(self.listed or 0, self.maximum or 0) <= CELLS

    @property
    def amounts(self) -> tuple[tuple[str, int], ...]:
        """Workers by state, for a bar of parts."""
        parts = (("in_service", self.in_service), ("launching", self.launching), ("draining", self.leaving))
        return tuple((word, number or 0) for word, number in (*parts, ("lost", self.broken), ("unknown", self.unknown)))

    @property
    def listed(self) -> int | None:
        """Workers on the list: all but those that are over."""
        if self.in_service is None:
            return None
        parts = (self.in_service, self.launching, self.quiesced, self.draining, self.lost, self.stuck, self.unknown)
        return sum(part or 0 for part in parts)


def fleet_of(row: QueueSnapshot, groups: Mapping[str, GroupSnapshot], sights: Sights) -> Fleet:
    """The fleet of one row, as far as it can be seen at `sights.now`."""
    facts = fleet_facts(row, groups, sights)
    verdict = judge_fleet(facts)
    fleet = declaration().fleet(row.queue)
    supply, seen = facts.supply, facts.supply.in_service is not None
    as_of = sights.as_of
    return Fleet(
        queue=row.queue,
        url=fleet_url(row.queue),
        declared=facts.declared,
        status=verdict.status,
        word=verdict.word,
        reason=verdict.reason,
        rank=verdict.rank,
        outstanding=facts.demand.queued,
        running=facts.demand.running,
        exact=facts.demand.exact,
        depth=facts.demand.depth,
        oldest_outstanding_s=_age_s(row.oldest_queued_at, sights.now) if facts.demand.queued else None,
        clears=clears(facts),
        slots=supply.slots,
        in_service=supply.in_service,
        launching=supply.launching if seen else None,
        overdue=supply.overdue if seen else None,
        quiesced=supply.quiesced if seen else None,
        draining=supply.draining if seen else None,
        lost=supply.lost if seen else None,
        stuck=supply.stuck if seen else None,
        unknown=supply.unknown if seen else None,
        baseline=facts.bounds.baseline,
        desired=facts.bounds.desired,
        maximum=facts.bounds.maximum,
        group=fleet.group if fleet else "",
        instance_type=fleet.instance_type if fleet else "",
        hardware=fleet.hardware if fleet else "",
        concurrency=fleet.concurrency if fleet else None,
        price_per_hour=fleet.price_per_hour if fleet else None,
        as_of=as_of,
        age_s=_age_s(as_of, sights.now),
    )


def _age_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


@dataclass(frozen=True)
class Totals:
    """Over all queues. A worker that serves two queues counts once. None: can't be seen."""

    queues: int
    outstanding: int | None
    running: int | None
    exact: bool
    busiest: str  # the queue with most outstanding; "" when nothing waits
    busiest_outstanding: int | None
    in_service: int | None
    launching: int | None
    draining: int | None
    lost: int | None
    stuck: int | None
    unknown: int | None
    slots: int | None


def totals(sights: Sights) -> Totals:
    """One query, however many queues and workers there are."""
    with connection.cursor() as cursor:
        cursor.execute(_TOTALS, census.asked(census.ALL, sights))
        queues, outstanding, running, exact, busiest, busiest_outstanding, workers = cursor.fetchone()
    found: Counter[str] = Counter()
    slots = 0
    for tally in (census.Tally(*row) for row in workers):
        found[tally.state] += tally.workers
        slots += tally.slots if tally.state == State.IN_SERVICE else 0

    def counted(*wanted: State) -> int | None:
        return sum(found[state.value] for state in wanted) if sights.workers_seen else None

    seen = sights.tasks.seen
    return Totals(
        queues=queues,
        outstanding=outstanding if seen else None,
        running=running if seen else None,
        exact=exact,
        busiest=busiest or "" if seen else "",
        busiest_outstanding=busiest_outstanding if seen else None,
        in_service=counted(State.IN_SERVICE),
        launching=counted(State.LAUNCHING),
        draining=counted(State.DRAINING, State.QUIESCED),
        lost=counted(State.LOST),
        stuck=counted(State.STUCK),
        unknown=counted(State.UNKNOWN),
        slots=slots if sights.workers_seen else None,
    )


_TOTALS = f"""
WITH work AS (
    SELECT count(*) AS queues, coalesce(sum(queued), 0) AS outstanding, coalesce(sum(running), 0) AS running,
           coalesce(bool_and(exact AND queued IS NOT NULL), true) AS exact
    FROM fleets_queuesnapshot),
busiest AS (
    SELECT queue, queued FROM fleets_queuesnapshot WHERE queued > 0 ORDER BY queued DESC, queue LIMIT 1)
SELECT work.queues, work.outstanding, work.running, work.exact, busiest.queue, busiest.queued, {census.OF_ALL}
FROM work LEFT JOIN busiest ON true
"""  # noqa: S608 - the code's own text

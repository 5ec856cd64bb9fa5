"""All fleets: their page, and their summary for the overview. Frozen values, by a constant number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.fleets.facts import Sights, why_blind
from console.fleets.figures import Fleet, Totals, fleet_of, totals
from console.fleets.models import GroupSnapshot, QueueSnapshot
from console.fleets.poll import declared_queues
from console.lib.status import Status, worst
from console.lib.words import count
from console.platform.rules import Sight

WORST = 6
"""Undeclared queues in the summary: the worst ones."""


@dataclass(frozen=True)
class FleetsSummary:
    """All fleets in a few lines.

    `fleets` are the declared ones in their order, then the worst of the others; `hidden` says how many are left out.
    `headline` is the worst statement as a sentence without its full stop ("cpu: 41 tasks wait and no worker is in
    service"), "" when there is nothing to say; `worst` is the fleet it is about.
    """

    status: Status
    headline: str
    worst: Fleet | None
    fleets: tuple[Fleet, ...]
    hidden: int
    totals: Totals
    as_of: datetime | None
    age_s: float | None
    sights: tuple[Sight, ...]

    @property
    def reason(self) -> str:
        return self.headline or _calm(self.totals, len(self.fleets) + self.hidden)


def _calm(it: Totals, queues: int) -> str:
    if it.in_service is None or it.outstanding is None:
        return "it can't be seen"
    return f"{count(queues, 'queue')}, {count(it.in_service, 'worker')} in service, {it.outstanding} outstanding"


def fleets_summary(now: datetime) -> FleetsSummary:
    """What the overview shows of the fleets; six queries."""
    sights = Sights.at(now)
    declared = declared_queues()
    others = QueueSnapshot.objects.exclude(queue__in=declared).filter(rank__gt=1).order_by("-rank", "queue")[:WORST]
    rows = {row.queue: row for row in [*QueueSnapshot.objects.filter(queue__in=declared), *others]}
    groups = GroupSnapshot.objects.in_bulk()
    blank = {queue: QueueSnapshot(queue=queue, first_seen_at=now, seen_at=now) for queue in declared}
    fleets = tuple(fleet_of(row, groups, sights) for row in {**blank, **rows}.values())
    everything = totals(sights)
    bad = max((fleet for fleet in fleets if fleet.rank > 1), key=lambda fleet: fleet.rank, default=None)
    return FleetsSummary(
        status=worst(fleet.status for fleet in fleets) if fleets else Status.UNKNOWN,
        headline=f"{bad.queue}: {bad.reason}" if bad and bad.status is not Status.UNKNOWN else blind_headline(sights),
        worst=bad,
        fleets=fleets,
        hidden=max(0, everything.queues - len(rows)),
        totals=everything,
        as_of=sights.as_of,
        age_s=None if sights.as_of is None else max(0.0, (now - sights.as_of).total_seconds()),
        sights=sights.all,
    )


def blind_headline(sights: Sights) -> str:
    """What can't be seen of all fleets at once; "" when both work and workers can."""
    hidden = [why_blind(sight) for sight in sights.essential if not sight.seen]
    return "; ".join(hidden)

"""From rows to the facts that a verdict is worked out from; what can't be seen becomes None here, and only here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from console.fleets.models import GroupSnapshot, QueueSnapshot
from console.fleets.sources import FLEET_SOURCES, JUDGED
from console.fleets.verdicts import TREND_S, Blind, Bounds, Demand, Facts, Supply
from console.lib.words import listed
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import COMPUTE, HEARTBEATS, QUEUES, TASKS, WORKERS


def why_blind(*sights: Sight) -> str:
    """`Airflow's task instances can't be seen: nothing answers at …`; "" when all can. One reason is said once."""
    hidden: dict[str, list[str]] = {}
    for sight in sights:
        if not sight.seen:
            hidden.setdefault(sight.reason, []).append(sight.title)
    return "; ".join(f"{listed(titles)} can't be seen: {reason}" for reason, titles in hidden.items())


@dataclass(frozen=True)
class Sights:
    """Which of the fleets' sources can be seen at `now`, in one query."""

    now: datetime
    tasks: Sight
    depths: Sight
    answers: Sight
    heartbeats: Sight
    compute: Sight
    judged: Sight

    @classmethod
    def at(cls, now: datetime) -> Sights:
        found = Source.objects.sights(now, FLEET_SOURCES)
        return cls(
            now=now,
            tasks=found[TASKS.name],
            depths=found[QUEUES.name],
            answers=found[WORKERS.name],
            heartbeats=found[HEARTBEATS.name],
            compute=found[COMPUTE.name],
            judged=found[JUDGED.name],
        )

    @cached_property
    def alive(self) -> Sight:
        """Where signs of life come from: heartbeats, or the answers where only they can be seen."""
        return self.heartbeats if self.heartbeats.seen or not self.answers.seen else self.answers

    @cached_property
    def hidden_workers(self) -> tuple[Sight, ...]:
        """What is missing to say anything of the workers: signs of life first, then the judgement of them."""
        return (self.alive,) if not self.alive.seen else () if self.judged.seen else (self.judged,)

    @cached_property
    def workers_blind(self) -> str:
        """Why nothing can be said of the workers; "" when it can."""
        return why_blind(*self.hidden_workers)

    @cached_property
    def blind(self) -> Blind:
        """Why each kind of figure can't be seen."""
        return Blind(
            work=why_blind(self.tasks),
            workers=self.workers_blind,
            both=why_blind(self.tasks, *self.hidden_workers),
            bounds=why_blind(self.compute),
        )

    @cached_property
    def blind_without_bounds(self) -> Blind:
        """The same for a queue that nobody declared: it has no group that could be unseen."""
        return replace(self.blind, bounds="")

    @cached_property
    def workers_seen(self) -> bool:
        return not self.hidden_workers

    @property
    def essential(self) -> tuple[Sight, ...]:
        """What a verdict on a fleet rests on."""
        return (self.tasks, self.alive, self.judged)

    @cached_property
    def as_of(self) -> datetime | None:
        """The oldest of the readings behind a verdict; None when one of them was never read."""
        moments = [sight.as_of for sight in self.essential]
        return None if None in moments else min(moment for moment in moments if moment is not None)

    @property
    def all(self) -> tuple[Sight, ...]:
        return (self.tasks, self.depths, self.heartbeats, self.answers, self.compute, self.judged)


def pace_per_s(row: QueueSnapshot, now: datetime) -> float | None:
    """Tasks a second by which the backlog grows (or shrinks, negative) since the earlier mark."""
    if row.prior_at is None or row.prior_queued is None or row.queued is None or not row.exact:
        return None
    span_s = (now - row.prior_at).total_seconds()
    return (row.queued - row.prior_queued) / span_s if TREND_S <= span_s <= 10 * TREND_S else None


def demand_of(row: QueueSnapshot, sights: Sights) -> Demand:
    seen = sights.tasks.seen
    return Demand(
        queued=row.queued if seen else None,
        running=row.running if seen else None,
        exact=row.exact,
        depth=row.depth if sights.depths.seen else None,
        reserved=row.reserved if sights.answers.seen and sights.judged.seen else None,
        backlog_since=(row.oldest_queued_at or row.backlog_since) if seen else None,
        mismatch_since=row.mismatch_since if seen and sights.depths.seen and sights.answers.seen else None,
        pace_per_s=pace_per_s(row, sights.now) if seen else None,
    )


def supply_of(row: QueueSnapshot, sights: Sights) -> Supply:
    if not sights.workers_seen:
        return Supply()
    return Supply(
        in_service=row.in_service,
        launching=row.launching,
        overdue=row.overdue,
        quiesced=row.quiesced,
        draining=row.draining,
        stopped=row.stopped,
        lost=row.lost,
        stuck=row.stuck,
        unknown=row.unknown,
        slots=row.slots,
        active=row.active,
    )


def bounds_of(queue: str, groups: Mapping[str, GroupSnapshot], sights: Sights) -> Bounds:
    fleet = declaration().fleet(queue)
    if fleet is None:
        return Bounds()
    group = groups.get(fleet.group) if sights.compute.seen else None
    # A resize sets the group's own limits: these count. A minimum of 0 says nothing, the declared baseline stands.
    return Bounds(
        baseline=(group.minimum if group else None) or fleet.baseline,
        desired=group.desired if group else None,
        maximum=fleet.max if group is None or group.maximum is None else group.maximum,
        group=fleet.group,
        missing=bool(group and not group.present),
    )


def fleet_facts(row: QueueSnapshot, groups: Mapping[str, GroupSnapshot], sights: Sights) -> Facts:
    """Everything that the verdict on one queue looks at."""
    declared = declaration().fleet(row.queue) is not None
    return Facts(
        queue=row.queue,
        declared=declared,
        now=sights.now,
        demand=demand_of(row, sights),
        supply=supply_of(row, sights),
        bounds=bounds_of(row.queue, groups, sights),
        blind=sights.blind if declared else sights.blind_without_bounds,
    )

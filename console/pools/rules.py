"""What a pool's figures mean. Pure.

In Airflow a task first needs a slot of its pool (it is *scheduled*), then a worker (*queued*: it holds its slot
already). So a pool starves its tasks when scheduled ones wait and no slot is open.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime

from console.lib.status import Status
from console.lib.words import NBSP, count, duration

UNLIMITED = -1
"""Airflow's number of slots for a pool without a limit."""


@dataclass(frozen=True)
class PoolFacts:
    """One pool as it was read; the counts are slots, as Airflow counts them."""

    name: str
    slots: int  # UNLIMITED: no limit
    include_deferred: bool
    running: int
    queued: int  # hold a slot and wait for a worker
    scheduled: int  # wait for a slot
    deferred: int
    occupied: int
    open: int
    starving_since: datetime | None  # seen starving at every reading since

    @property
    def unlimited(self) -> bool:
        return self.slots == UNLIMITED


@dataclass(frozen=True)
class Verdict:
    status: Status
    word: str  # open, full, starving, over, closed, unlimited, unknown
    reason: str  # one sentence


def starves(slots: int, scheduled: int, open_slots: int) -> bool:
    """Whether tasks wait for a slot that the pool can't give."""
    return slots != UNLIMITED and scheduled > 0 and open_slots <= 0


def starving_since(
    before: datetime | None,
    seen_at: datetime | None,
    starving: bool,
    as_of: datetime,
    limit_s: float,
) -> datetime | None:
    """Since when a pool has starved: the first of an unbroken row of readings that say so.

    `before` is what was said at the previous reading (`seen_at`). After a longer gap than `limit_s` the row begins
    anew: nobody saw what happened in between.
    """
    if not starving:
        return None
    if before is None or seen_at is None or (as_of - seen_at).total_seconds() > limit_s:
        return as_of
    return before


def verdict(pool: PoolFacts, now: datetime) -> Verdict:
    """The first that applies."""
    waiting = f"tasks for {count(pool.scheduled, 'slot')} wait"
    for_how_long = ""
    if pool.starving_since is not None:
        for_how_long = f", for at least {duration(max(0.0, (now - pool.starving_since).total_seconds()))}"
    if pool.unlimited:
        return Verdict(Status.HEALTHY, "unlimited", f"No limit: {pool.occupied} slots are in use.")
    starving = starves(pool.slots, pool.scheduled, pool.open)
    if pool.slots == 0 and starving:
        return Verdict(Status.DEGRADED, "closed", f"It has no slots at all: {waiting}{for_how_long}.")
    if starving:
        reason = f"All {count(pool.slots, 'slot')} are taken and {waiting}{for_how_long}."
        if pool.open < 0:
            reason = (
                f"{pool.occupied} slots are taken of {pool.slots}: nothing starts until {1 - pool.open} of them "
                f"end, and {waiting}{for_how_long}."
            )
        return Verdict(Status.DEGRADED, "starving", reason)
    if pool.open < 0:
        return Verdict(
            Status.HEALTHY,
            "over",
            f"{pool.occupied} slots are taken of {pool.slots} (it was made smaller, or deferred tasks came back); "
            "nothing waits.",
        )
    if pool.slots == 0:
        return Verdict(Status.HEALTHY, "closed", "It has no slots; nothing waits for one.")
    if pool.open == 0:
        return Verdict(Status.HEALTHY, "full", f"All {count(pool.slots, 'slot')} are taken; nothing waits.")
    left = f"{pool.open} of {pool.slots} slots {'is' if pool.open == 1 else 'are'} open"
    if pool.scheduled:
        return Verdict(Status.HEALTHY, "open", f"{left}; {waiting} for the scheduler, not for the pool.")
    return Verdict(Status.HEALTHY, "open", f"{left}.")


def unseen(reason: str) -> Verdict:
    """The verdict on any pool while Airflow's pools can't be seen."""
    return Verdict(Status.UNKNOWN, "unknown", f"Airflow's pools can't be seen: {reason}.")


def revision(slots: int, description: str, include_deferred: bool) -> str:
    """A name for these settings: an edit that was begun on others is refused. Counts don't change it."""
    settings = json.dumps([slots, description, include_deferred], ensure_ascii=False)
    return hashlib.sha256(settings.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Tally:
    """Pools by verdict. `worst`: those that starve, the most waited-for first."""

    total: int
    starving: int
    full: int
    waiting: int  # slots waited for in pools that starve
    worst: tuple[PoolFacts, ...]


def tally(pools: tuple[PoolFacts, ...]) -> Tally:
    starving = [pool for pool in pools if starves(pool.slots, pool.scheduled, pool.open)]
    full = [pool for pool in pools if not pool.unlimited and pool.slots > 0 and pool.open <= 0]
    worst = sorted(starving, key=lambda pool: (-pool.scheduled, pool.name))
    return Tally(len(pools), len(starving), len(full), sum(pool.scheduled for pool in starving), tuple(worst))


def statement(found: Tally) -> str:
    """The finding in a few words, for a heading."""
    if not found.total:
        return "Airflow has no pools"
    if not found.starving:
        if found.full:
            return f"{count(found.full, 'pool')} {'is' if found.full == 1 else 'are'} full, nothing waits"
        if found.total == 1:
            return "The only pool has room"
        return f"All {found.total}{NBSP}pools have room"
    first = found.worst[0]
    state = "has no slots" if first.slots == 0 else "is full"
    if found.starving == 1:
        return f"{first.name} {state} and starves its tasks"
    return f"{first.name} and {count(found.starving - 1, 'other pool')} are full and starve their tasks"

"""How is a datastore of the platform: available, and with somebody to take over. Pure.

Invariant: what AWS does not say is unknown, never good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from console.lib.status import Status, worst
from console.lib.words import count, listed
from console.platform.readings import DatastoreReading
from console.platform.rules import Sight

KINDS = {"rds": "RDS", "elasticache": "ElastiCache"}

SERVING = frozenset({"available", "backing-up", "storage-optimization", "storage-initialization", "snapshotting"})
"""AWS' words for a datastore that serves as always."""
BUSY = frozenset(
    {
        "modifying",
        "maintenance",
        "upgrading",
        "update-secondary",
        "moving-to-vpc",
        "renaming",
        "resetting-master-credentials",
        "converting-to-vpc",
    }
)
"""It serves, but a short interruption is to be expected."""


class What(StrEnum):
    """What changed between two readings."""

    ROLE = "role"  # another node or zone is the primary: a failover
    STATE = "state"  # AWS' word


@dataclass(frozen=True)
class Facts:
    """One declared datastore and what AWS told of it; `reading` is None where AWS knows no such thing."""

    id: str
    kind: str
    identifier: str
    reading: DatastoreReading | None


@dataclass(frozen=True)
class Verdict:
    """`says` completes the datastore's name to a finding ("has no replica"), `reason` is a sentence, `remedy` what to
    do ("" when nothing).
    """

    status: Status
    says: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Change:
    what: What
    was: str
    became: str


def redundant(reading: DatastoreReading) -> bool | None:
    """Is there a standby that would take over? None: AWS does not say."""
    if reading.kind == "elasticache":
        if reading.replicas == 0:
            return False
        return None if reading.replicas is None else reading.multi_az
    if reading.multi_az or not reading.engine.startswith("aurora"):
        return reading.multi_az
    return None if reading.replicas is None else reading.replicas > 0


def _missing(facts: Facts) -> Verdict | None:
    if facts.reading:
        return None
    return Verdict(
        Status.FAILING,
        "does not exist",
        f"AWS knows no {KINDS.get(facts.kind, facts.kind)} {facts.identifier} in this region.",
        "Correct its identifier in platform.yaml, or create it.",
    )


def _unavailable(facts: Facts) -> Verdict | None:
    state = facts.reading.status if facts.reading else ""
    if state in SERVING | BUSY:
        return None
    if not state:
        return Verdict(Status.UNKNOWN, "may be down", "AWS does not say how it is.")
    name = KINDS.get(facts.kind, facts.kind)
    return Verdict(
        Status.FAILING, f"is {state}", f"{name} says {state}, not available.", "Look at its events in the AWS console."
    )


def _alone(facts: Facts) -> Verdict | None:
    if facts.reading is None or redundant(facts.reading) is not False:
        return None
    if facts.kind != "elasticache":
        says, remedy = "has no standby in another zone", "Turn on Multi-AZ."
    elif facts.reading.replicas:
        says, remedy = "does not fail over to another zone by itself", "Turn on Multi-AZ with automatic failover."
    else:
        says, remedy = "has no replica", "Add a replica in another zone and turn on Multi-AZ."
    return Verdict(Status.DEGRADED, says, f"Available, but it {says}: if it fails, nothing takes over.", remedy)


def _busy(facts: Facts) -> Verdict | None:
    state = facts.reading.status if facts.reading else ""
    if state not in BUSY:
        return None
    reason = f"AWS is at work on it ({state}): a short interruption may follow."
    return Verdict(Status.DEGRADED, f"is {state}", reason, "Wait for it.")


def _untold(facts: Facts) -> Verdict | None:
    if facts.reading is None or redundant(facts.reading) is not None:
        return None
    return Verdict(
        Status.UNKNOWN, "may have no standby", "Available, but AWS does not say whether a standby would take over."
    )


def _well(facts: Facts) -> Verdict:
    zone = f" in {facts.reading.standby_zone}" if facts.reading and facts.reading.standby_zone else ""
    return Verdict(Status.HEALTHY, "is available", f"Available, with a standby{zone}.")


RULES: tuple[Callable[[Facts], Verdict | None], ...] = (_missing, _unavailable, _alone, _busy, _untold)


def judge(facts: Facts | None, sight: Sight) -> Verdict:
    """The verdict on one datastore: unknown while AWS can't be seen, else the first rule that applies.

    `facts` are None for one that has been declared since the last reading.
    """
    if not sight.seen:
        return Verdict(Status.UNKNOWN, "is unknown", f"{sight.title} can't be seen: {sight.reason}.", sight.remedy)
    if facts is None:
        return Verdict(Status.UNKNOWN, "is not read yet", "It has been declared since the last reading.")
    return next((said for rule in RULES if (said := rule(facts))), None) or _well(facts)


def changes(before: DatastoreReading | None, after: DatastoreReading | None) -> tuple[Change, ...]:
    """What changed from one reading to the next; the first reading of a datastore changes nothing."""
    if before is None or after is None:
        return ()
    found = []
    if before.status != after.status:
        found.append(Change(What.STATE, before.status, after.status))
    was, became = (before.primary, before.primary_zone), (after.primary, after.primary_zone)
    moved = [old != new and None not in (old, new) for old, new in zip(was, became, strict=True)]
    if any(moved):
        found.append(Change(What.ROLE, _place(before), _place(after)))
    return tuple(found)


def _place(reading: DatastoreReading) -> str:
    return " in ".join(filter(None, (reading.primary, reading.primary_zone)))


def statement(verdicts: Sequence[tuple[str, Verdict]], sight: Sight) -> str:
    """All of them as a finding, the worst first: `queue has no replica`, `queue and cache are failing`."""
    if not verdicts:
        return "No datastore is declared"
    if not sight.seen:
        return f"{sight.title} can't be seen"
    bad = worst(verdict.status for _, verdict in verdicts)
    if bad is Status.HEALTHY:
        return f"{count(len(verdicts), 'datastore')} available, each with a standby"
    hit = [(name, verdict) for name, verdict in verdicts if verdict.status is bad]
    if len(hit) == 1:
        return f"{hit[0][0]} {hit[0][1].says}"
    return f"{listed([name for name, _ in hit])} are {bad}"

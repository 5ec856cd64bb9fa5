"""A whole fleet at one look: its group, its instances, and what each worker answered. Pure values and predicates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from console.fleets.draining import Seen


@dataclass(frozen=True)
class Member:
    """One instance of the group, and one look at its worker."""

    instance_id: str
    node: str
    version: str | None
    lifecycle: str
    launched_at: datetime | None
    seen: Seen

    @property
    def leaving(self) -> bool:
        """Its instance is on the way out."""
        return self.lifecycle.startswith(("Terminat", "Detach"))

    def serves(self, queue: str) -> bool:
        """In service, answering, and consuming the queue it is there for."""
        return self.lifecycle == "InService" and bool(self.seen.answered) and queue in (self.seen.queues or ())


@dataclass(frozen=True)
class FleetSeen:
    """One look at a fleet. `visible` False: the group or the broker can't be seen, and nothing begins."""

    visible: bool
    desired: int = 0
    version: str | None = None  # what the group launches now
    members: tuple[Member, ...] = ()
    drained: Mapping[str, Seen] = field(default_factory=dict)  # of instances that are no longer members
    minimum: int = 0
    maximum: int = 0

    @property
    def live(self) -> list[Member]:
        return [member for member in self.members if not member.leaving]

    def of(self, instance_id: str) -> Seen:
        """The look at one worker, a member or one that left; all unknown where there was none."""
        for member in self.members:
            if member.instance_id == instance_id:
                return member.seen
        return self.drained.get(instance_id, Seen(None))


def ends_soonest(member: Member) -> tuple[Any, ...]:
    """For sorting: idle first, then the fewest tasks, then the longest in service."""
    launched = member.launched_at.timestamp() if member.launched_at else float("inf")
    return (len(member.seen.active or ()), launched, member.instance_id)

"""What a deploy remembers, and what one look at its fleets says. Pure values; the rules are in `rules` and `turn`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.fleets.crew import Crew
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


@dataclass(frozen=True)
class FleetSeen:
    """One look at a fleet. `visible` False: the group or the broker can't be seen, and nothing begins."""

    visible: bool
    desired: int = 0
    version: str | None = None  # what the group launches now
    members: tuple[Member, ...] = ()
    drained: Mapping[str, Seen] = field(default_factory=dict)  # of instances that are no longer members


@dataclass(frozen=True)
class Fresh:
    """A new worker on its way to PROVEN. `failed`: it was not ready in time, which it may still make good."""

    instance_id: str
    since: datetime
    ready_since: datetime | None = None
    proven: bool = False
    failed: bool = False


@dataclass(frozen=True)
class Rollout:
    """One fleet's part: what it was at the start, the drains, the new workers, how many new ones are expected."""

    crew: Crew
    wanted: str
    desired: int
    old: tuple[str, ...]
    surge: int
    expected_new: int
    fresh: Mapping[str, Fresh] = field(default_factory=dict)
    failures: int = 0  # new workers in a row that were never ready
    surged_at: datetime | None = None
    surges: int = 0
    versioned_at: datetime | None = None
    vanished: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()  # terminated so that the group launches another
    dropped: tuple[str, ...] = ()  # terminated with the desired capacity going down
    done: bool = False
    waits: str = ""
    before: str = ""  # the version that the group launched at the start; "" when it could not be told
    sized_at: datetime | None = None  # when the desired capacity was last put right, at the end
    sizes: int = 0


@dataclass(frozen=True)
class Deploy:
    """The whole: a rollout per queue, and why it gives up, if it does. `planned` False: nothing was looked at yet."""

    rollouts: Mapping[str, Rollout]
    planned: bool = False
    giving_up: str = ""

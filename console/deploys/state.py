"""What a deploy remembers. Pure values; the rules are in `rules`, `turn` and `arrivals`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from console.fleets.crew import Crew


@dataclass(frozen=True)
class Fresh:
    """A new worker on its way to PROVEN. `failed`: it was not ready in time, which it may still make good."""

    instance_id: str
    since: datetime
    ready_since: datetime | None = None
    proven: bool = False
    failed: bool = False
    canary_at: datetime | None = None  # when it was last sent a canary task
    canary_key: str = ""  # of that step


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
    versions: int = 0
    vanished: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()  # terminated so that the group launches another
    dropped: tuple[str, ...] = ()  # terminated with the desired capacity going down
    done: bool = False
    waits: str = ""
    before: str = ""  # the version that the group launched at the start; "" when it could not be told
    sized_at: datetime | None = None  # when the desired capacity was last put right, at the end
    sizes: int = 0
    canaries: int = 0  # how often canary tasks were sent


@dataclass(frozen=True)
class Deploy:
    """The whole: a rollout per queue, and why it gives up, if it does. `planned` False: nothing was looked at yet."""

    rollouts: Mapping[str, Rollout]
    planned: bool = False
    giving_up: str = ""

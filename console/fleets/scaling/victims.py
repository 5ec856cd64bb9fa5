"""Which worker goes when fewer are needed. Pure.

Idle before busy; then the one that is predicted to be empty soonest; then the oldest version; then from the zone with
most workers; then the longest in service. A busy one never goes while an idle one is there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True)
class Candidate:
    """A worker in service. `active` None: what it runs can't be seen, and it is not chosen."""

    instance_id: str
    node: str
    active: int | None
    empty_in_s: float | None  # by its tasks' history; None: not known
    version: str = ""
    zone: str = ""
    up_s: float | None = None
    protected: bool = False  # the group itself may not choose it

    @property
    def idle(self) -> bool:
        return self.active == 0


@dataclass(frozen=True)
class Victim:
    candidate: Candidate
    why: str


def choose(candidates: Sequence[Candidate], number: int, *, keep: Collection[str] = ()) -> tuple[Victim, ...]:
    """The workers that go, in order, at most `number`; those in `keep` (in other hands) never, nor the last one."""
    free = [each for each in candidates if each.active is not None and each.instance_id not in keep]
    zones = Counter(each.zone for each in candidates)
    age = version_ages(candidates)
    chosen: list[Victim] = []
    while free and len(chosen) < min(number, len(candidates) - 1):
        free.sort(key=lambda each: _order(each, age, zones))
        one = free.pop(0)
        zones[one.zone] -= 1
        chosen.append(Victim(one, _why(one, age, zones)))
    return tuple(chosen)


def version_ages(candidates: Sequence[Candidate]) -> dict[str, int]:
    """0 for the oldest version among them. Launch templates count up; other names are ordered as text."""

    def order(version: str) -> tuple[int, str]:
        return (int(version), "") if version.isdecimal() else (0, version)

    return {version: index for index, version in enumerate(sorted({each.version for each in candidates}, key=order))}


def _order(it: Candidate, age: dict[str, int], zones: Counter[str]) -> tuple[object, ...]:
    empty_in_s = 0.0 if it.idle else inf if it.empty_in_s is None else it.empty_in_s
    return (
        not it.idle,
        empty_in_s,
        it.active if it.empty_in_s is None else 0,
        age[it.version],
        -zones[it.zone],
        -(it.up_s or 0.0),
        it.instance_id,
    )


def _why(it: Candidate, age: dict[str, int], zones: Counter[str]) -> str:
    if not it.idle:
        return "empty soonest" if it.empty_in_s is not None else "fewest tasks"
    if age[it.version] == 0 and len(age) > 1:
        return "idle, of the oldest version"
    fuller = it.zone and zones[it.zone] + 1 > max((n for zone, n in zones.items() if zone != it.zone), default=0)
    return "idle, in the fullest zone" if fuller and len([z for z in zones if z]) > 1 else "idle"

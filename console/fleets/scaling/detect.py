"""How autoscaling fails, beside what the fleets' own verdicts say. Pure.

At its maximum with a growing backlog, workers that boot and never serve, and a baseline that is not kept are rules of
`console.fleets.verdicts`, whoever scales the fleet. Here: the cloud does not give what the group wants, the autoscaler
is blind or silent for long, its wishes come to nothing, and tasks wait beyond their target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from console.fleets.scaling.waits import Level
from console.lib.words import count, duration

MISSING_S = 180.0
"""An instance is in its group within seconds; after so long the cloud does not give it."""
BLIND_S = 300.0
SILENT_S = 120.0
VAIN_S = 300.0
BURN = 2.0
"""Of the last hours twice as many tasks were late as the objective allows."""
STARTED = 20
"""Of fewer starts nothing is concluded."""


@dataclass(frozen=True)
class Scaled:
    """One scaled fleet as far as it is known. Times: since when without interruption; None: it is not so."""

    queue: str
    desired: int | None
    instances: int | None  # in the group, leaving ones not counted; None: can't be seen
    desired_since: datetime | None  # when the group's desired capacity last changed
    decided_at: datetime | None
    on_since: datetime | None  # when it was switched on; None: by declaration, from the start
    blind_since: datetime | None
    blind_because: str = ""
    vain_since: datetime | None = None  # it wants another number, and nothing comes of it
    vain_because: str = ""
    hour: Level | None = None


@dataclass(frozen=True)
class Trouble:
    """A kind of failure: its word, a sentence without a full stop, and what it is bad for."""

    kind: str
    word: str
    text: str
    severe: bool = False


def troubles(it: Scaled, now: datetime) -> Iterable[Trouble]:
    """Each way in which it fails now."""
    for rule in (_refused, _silent, _blind, _in_vain, _late):
        found = rule(it, now)
        if found is not None:
            yield found


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else (now - since).total_seconds()


def _refused(it: Scaled, now: datetime) -> Trouble | None:
    if it.desired is None or it.instances is None or it.instances >= it.desired:
        return None
    age_s = _age_s(it.desired_since, now)
    if age_s < MISSING_S:
        return None
    missing = count(it.desired - it.instances, "instance")
    text = f"the group has wanted {it.desired} for {duration(age_s)} and has {it.instances}"
    text += f": the cloud does not give {missing}"
    return Trouble("capacity-refused", "no capacity", text, severe=it.instances == 0)


def _silent(it: Scaled, now: datetime) -> Trouble | None:
    since = it.decided_at or it.on_since
    if since is None or _age_s(since, now) < SILENT_S:
        return None
    return Trouble("scaler-silent", "no decisions", f"nothing was decided for {duration(_age_s(since, now))}")


def _blind(it: Scaled, now: datetime) -> Trouble | None:
    if _age_s(it.blind_since, now) < BLIND_S:
        return None
    text = f"its size has been held for {duration(_age_s(it.blind_since, now))}: {it.blind_because}"
    return Trouble("scaler-blind", "scaler blind", text)


def _in_vain(it: Scaled, now: datetime) -> Trouble | None:
    if _age_s(it.vain_since, now) < VAIN_S:
        return None
    text = f"it has wanted another number for {duration(_age_s(it.vain_since, now))}: {it.vain_because}"
    return Trouble("scaler-in-vain", "can't scale", text)


def _late(it: Scaled, now: datetime) -> Trouble | None:
    level = it.hour
    if level is None or level.burn is None or level.started < STARTED or level.burn < BURN:
        return None
    text = (
        f"{level.late} of {count(level.started, 'task')} of the last hours were queued for over "
        f"{duration(level.target_s)}, {level.burn:.1f} times what its objective allows"
    )
    return Trouble("waits-long", "waits too long", text)

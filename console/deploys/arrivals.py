"""The new workers of a deploy: from launched over serving to PROVEN, or never ready. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from console.deploys.state import Fresh, Rollout
from console.fleets.members import Member

CANARY_S = 20.0
"""A canary task that was not run within this time is sent again."""


def watch(
    rollout: Rollout, live: Sequence[Member], parameters: Mapping[str, Any], now: datetime
) -> tuple[Rollout, list[str]]:
    """What became of the new workers at this look, and what is to be told of it.

    One that is not ready in time counts as a failure, and as another one after as long again: so a single bad one ends
    a deploy without a surge for a second. A worker that is proven sets the count back.
    """
    fresh: dict[str, Fresh] = {}
    failures = rollout.failures
    notes: list[str] = []
    for member in live:
        if member.version != rollout.wanted or member.instance_id in rollout.old:
            continue
        before = rollout.fresh.get(member.instance_id, Fresh(member.instance_id, now))
        one = _progressed(before, member, rollout.crew.queue, parameters, now)
        if one.proven and not before.proven:
            failures = 0
            notes.append(f"{member.node} serves {rollout.crew.queue}.")
        elif one.failed and one.since > before.since:
            failures += 1
            notes.append(f"{member.node} was not ready after {parameters['ready_timeout_s']:.0f} s.")
        fresh[member.instance_id] = one
    present = {member.instance_id for member in live}
    drained = set(rollout.crew.drains)
    for instance, one in rollout.fresh.items():
        if instance not in present and instance not in drained and not one.proven and not one.failed:
            failures += 1
            notes.append(f"New worker {instance} ended before it was ready.")
    return replace(rollout, fresh=fresh, failures=failures), notes


def unseen(rollout: Rollout, now: datetime) -> Rollout:
    """The time in which nothing can be seen is not held against a new worker."""
    fresh = {
        instance: one if one.proven else replace(one, since=now, ready_since=None)
        for instance, one in rollout.fresh.items()
    }
    return replace(rollout, fresh=fresh)


def _progressed(one: Fresh, member: Member, queue: str, parameters: Mapping[str, Any], now: datetime) -> Fresh:
    if one.proven:
        return one
    if member.seen.answered is None:
        return replace(one, since=now, ready_since=None)
    if not member.serves(queue):
        if (now - one.since).total_seconds() >= parameters["ready_timeout_s"]:
            return replace(one, since=now, ready_since=None, failed=True)
        return replace(one, ready_since=None)
    ready_since = one.ready_since or now
    proven = (now - ready_since).total_seconds() >= parameters["min_ready_s"]
    if parameters.get("canary") and not member.seen.canaries:
        proven = False
        if (now - one.since).total_seconds() >= parameters["ready_timeout_s"]:  # it consumes, and runs nothing
            return replace(one, since=now, ready_since=None, failed=True, canary_at=None)
    return replace(one, ready_since=ready_since, proven=proven, failed=one.failed and not proven)


def want_canary(rollout: Rollout, live: Sequence[Member], parameters: Mapping[str, Any], now: datetime) -> list[Member]:
    """New workers that serve and have not shown yet that they run a task; each is asked again after `CANARY_S`."""
    if not parameters.get("canary"):
        return []
    return [
        member
        for member in live
        if (one := rollout.fresh.get(member.instance_id)) is not None
        and not one.proven
        and one.ready_since is not None
        and not member.seen.canaries
        and (one.canary_at is None or abs((now - one.canary_at).total_seconds()) >= CANARY_S)
    ]

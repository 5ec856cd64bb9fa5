"""A deploy's state as JSON, for the operation's memory, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.deploys.state import Deploy, Fresh, Rollout
from console.fleets.crew import dump_crew, load_crew


def dump(deploy: Deploy) -> dict[str, Any]:
    rollouts = {queue: _dump_rollout(rollout) for queue, rollout in deploy.rollouts.items()}
    return {"rollouts": rollouts, "planned": deploy.planned, "giving_up": deploy.giving_up}


def load(memory: Mapping[str, Any], version: int) -> Deploy:
    """Of this or an earlier version: what is missing takes its default, what is not known is left out."""
    rollouts = {queue: _load_rollout(rollout) for queue, rollout in memory.get("rollouts", {}).items()}
    return Deploy(rollouts, bool(memory.get("planned")), str(memory.get("giving_up", "")))


def _dump_rollout(rollout: Rollout) -> dict[str, Any]:
    plain = {
        name: getattr(rollout, name)
        for name in Rollout.__dataclass_fields__
        if name not in ("crew", "fresh", "surged_at", "versioned_at", "sized_at")
    }
    return plain | {
        "crew": dump_crew(rollout.crew),
        "fresh": [_times(vars(one)) for one in rollout.fresh.values()],
        "surged_at": _written(rollout.surged_at),
        "versioned_at": _written(rollout.versioned_at),
        "sized_at": _written(rollout.sized_at),
    }


def _load_rollout(memory: Mapping[str, Any]) -> Rollout:
    known = {name: value for name, value in memory.items() if name in Rollout.__dataclass_fields__}
    fresh = [_load_fresh(one) for one in memory.get("fresh", ())]
    known["crew"] = load_crew(memory["crew"])
    known["fresh"] = {one.instance_id: one for one in fresh}
    for name in ("old", "vanished", "replaced", "dropped"):
        known[name] = tuple(memory.get(name) or ())
    for name in ("surged_at", "versioned_at", "sized_at"):
        known[name] = _read(memory.get(name))
    return Rollout(**known)


def _load_fresh(memory: Mapping[str, Any]) -> Fresh:
    since = _read(memory["since"])
    assert since is not None
    return Fresh(
        memory["instance_id"],
        since,
        _read(memory.get("ready_since")),
        bool(memory.get("proven")),
        bool(memory.get("failed")),
        _read(memory.get("canary_at")),
        str(memory.get("canary_key") or ""),
    )


def _times(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _written(value) if isinstance(value, datetime) else value for name, value in values.items()}


def _written(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _read(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

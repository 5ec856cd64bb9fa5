"""A worker's drain as JSON, for the memory of an operation, and back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.fleets.draining import Drain, Phase

_TIMES = ("since", "started_at", "cancelled_at", "silent_since", "deadline_at", "asked_at")


def dump(drain: Drain) -> dict[str, Any]:
    """As JSON, for the operation's memory."""
    values = {name: getattr(drain, name) for name in Drain.__dataclass_fields__}
    for name in _TIMES:
        values[name] = values[name].isoformat() if values[name] else None
    values["entered"] = [[phase, at.isoformat()] for phase, at in drain.entered]
    return values


def load(memory: Mapping[str, Any]) -> Drain:
    """From JSON of this or an earlier version: fields that are not known are left out, new ones take their default."""
    known = {name: value for name, value in memory.items() if name in Drain.__dataclass_fields__}
    for name in _TIMES:
        known[name] = datetime.fromisoformat(known[name]) if known.get(name) else None
    for name in ("queues", "remaining", "lost"):
        known[name] = tuple(known.get(name) or ())
    known["phase"] = Phase(known.get("phase", Phase.SERVING))
    known["entered"] = tuple((Phase(phase), datetime.fromisoformat(at)) for phase, at in known.get("entered") or ())
    return Drain(**known)

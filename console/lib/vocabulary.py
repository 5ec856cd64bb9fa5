"""The status vocabulary of the pages: each word has one tone and one icon, so that colour never speaks alone.

Six words say how a thing is (healthy, degraded, failing, unknown, draining, paused), two more how far work is
(running, waiting). Every other word is an alias of one of them. A word nobody declared looks unknown: a new
state must never come out green by accident.
"""

from __future__ import annotations

from typing import NamedTuple


class Look(NamedTuple):
    """How a state is drawn: `tone` names the colour (`qd-pill-{tone}`), `icon` the symbol in the sprite."""

    tone: str
    icon: str


UNKNOWN = Look("unk", "help-circle")
_LOOKS = {
    "healthy": Look("ok", "circle-check-f"),
    "degraded": Look("warn", "alert-triangle-f"),
    "failing": Look("bad", "alert-octagon-f"),
    "unknown": UNKNOWN,
    "draining": Look("drain", "circle-arrow-down-f"),
    "paused": Look("pause", "player-pause-f"),
    "running": Look("work", "progress"),
    "waiting": Look("mute", "circle"),
}
_ALIASES = {
    "healthy": "ok in_service ready succeeded done active on_time complete available leading standing_by fresh "
    "resolved",
    "degraded": "warn warning full late slow drift rolled_back stale_config hung retrying open",
    "failing": "bad critical lost stuck failed missing at_risk error automatic down absent unhealthy expired",
    "unknown": "stale not_tested no_data blind unseen",
    "draining": "quiesced quiescing planned_switchover terminating",
    "paused": "snoozed held needs_approval suspended acknowledged",
    "running": "launching pending_start in_progress starting catching_up",
    "waiting": "mute pending queued scheduled due idle cancelled aborted stopped terminated planned none",
}
_WORDS = {alias: word for word, aliases in _ALIASES.items() for alias in aliases.split()}


def canonical(status: object) -> str:
    """The word for a status or an alias of it (case, spaces and dashes don't matter); else `unknown`."""
    key = str(status if status is not None else "").strip().lower().replace(" ", "_").replace("-", "_")
    return key if key in _LOOKS else _WORDS.get(key, "unknown")


def look(status: object) -> Look:
    """How a status is drawn; what nobody declared, and None, look unknown."""
    return _LOOKS[canonical(status)]

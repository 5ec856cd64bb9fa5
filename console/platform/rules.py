"""How old may a thing be before it is unknown. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from console.lib.words import duration
from console.platform.sources import SourceSpec

CLOCK_TOLERANCE_S = 5.0
"""A reading this far in the future is a clock that jumped, not a fresh figure."""


@dataclass(frozen=True)
class SourceState:
    """What is remembered of one source's polls. Times are on the console's clock."""

    as_of: datetime | None = None  # when the last good reading was begun
    attempted_at: datetime | None = None
    failing_since: datetime | None = None
    error: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Sight:
    """Can this source be seen now, and if not, why: what each page shows beside its figures."""

    name: str
    title: str
    seen: bool
    as_of: datetime | None
    age_s: float | None
    limit_s: float
    since: datetime | None  # blind since: when the figures turned unknown
    reason: str  # "" when seen; else one sentence's second half
    remedy: str
    failing: bool  # the last attempt failed, even if the figures are still young enough


def sight(spec: SourceSpec, state: SourceState, now: datetime) -> Sight:
    """The verdict on one source: seen while its last good reading is at most `limit_s` old."""
    failing = state.failing_since is not None
    if state.as_of is None:
        reason = state.error or "it has never been read"
        return Sight(
            spec.name, spec.title, False, None, None, spec.limit_s, state.failing_since, reason, state.remedy, failing
        )
    age_s = (now - state.as_of).total_seconds()
    if age_s < -CLOCK_TOLERANCE_S:
        reason = f"its last reading lies {duration(-age_s)} in the future: a clock has jumped"
        return Sight(spec.name, spec.title, False, state.as_of, None, spec.limit_s, None, reason, "", failing)
    age_s = max(age_s, 0.0)
    if age_s <= spec.limit_s:
        return Sight(spec.name, spec.title, True, state.as_of, age_s, spec.limit_s, None, "", state.remedy, failing)
    since = state.as_of + timedelta(seconds=spec.limit_s)
    reason = state.error or "nobody has polled it: the console's workers or beat are behind"
    return Sight(spec.name, spec.title, False, state.as_of, age_s, spec.limit_s, since, reason, state.remedy, failing)

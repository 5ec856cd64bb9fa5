"""What became of a cutoff: met in time, late, missing, or nobody knows. Pure."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    ON_TIME = "on time"
    LATE = "late"
    MISSING = "missing"
    UNKNOWN = "unknown"
    DUE = "due"
    AT_RISK = "at risk"


class Cell(NamedTuple):
    """One cutoff of one table. `late_s`: by how much at most, where it is late or missing."""

    at: datetime
    deadline: datetime
    fate: Fate
    late_s: float | None = None
    met_at: datetime | None = None


def cell(
    at: datetime,
    deadline: datetime,
    met_at: datetime | None,
    pending_at: datetime | None,
    now: datetime,
    *,
    at_risk: bool = False,
) -> Cell:
    """`met_at`: the first poll that proved it; `pending_at`: the last that knew that it was not met.

    It is late only when somebody looked after its deadline and saw that it was not there. Where nobody could look,
    it is unknown, even if it is there now.
    """
    looked = pending_at is not None and pending_at >= deadline
    if met_at is not None:
        if met_at <= deadline:
            return Cell(at, deadline, Fate.ON_TIME, met_at=met_at)
        if looked:
            return Cell(at, deadline, Fate.LATE, (met_at - deadline).total_seconds(), met_at)
        return Cell(at, deadline, Fate.UNKNOWN, met_at=met_at)
    if now < deadline:
        return Cell(at, deadline, Fate.AT_RISK if at_risk else Fate.DUE)
    if looked:
        return Cell(at, deadline, Fate.MISSING, (now - deadline).total_seconds())
    return Cell(at, deadline, Fate.UNKNOWN)

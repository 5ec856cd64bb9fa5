"""Is a table complete to a cutoff? The answer for one question, out of what is remembered of the table. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from console.freshness.outlook import Nine, eta

RETRY_S = (10.0, 300.0)
UNKNOWN_RETRY_S, BLOCKED_RETRY_S, LOST_RETRY_S = 15.0, 60.0, 30.0
ESTIMATE_MARGIN_S = 60.0


class Verdict(StrEnum):
    COMPLETE = "complete"
    PENDING = "pending"
    BLOCKED = "blocked"  # a person is needed
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Standing:
    """What is remembered of a table, for one basis. `blind`: why nothing can be said now ("": something can)."""

    nine: Nine
    watermark: datetime | None
    steady: bool
    followed: bool
    speed: float | None
    blind: str = ""
    estimate: datetime | None = None  # asked for, and by DMS' own latency only


@dataclass(frozen=True)
class Answer:
    verdict: Verdict
    status: Nine
    eta: datetime | None
    retry_after_s: int
    estimated: bool = False


def answer(standing: Standing, cutoff: datetime, now: datetime, *, proven: bool = False) -> Answer:
    """`proven`: it was called complete to this cutoff before, and that was not revoked."""
    status = Nine.UNKNOWN if standing.blind else standing.nine
    if proven or _complete(standing, cutoff):
        return Answer(Verdict.COMPLETE, status, None, 0)
    if standing.estimate is not None and standing.estimate >= cutoff and status not in (Nine.BROKEN, Nine.LOADING):
        return Answer(Verdict.COMPLETE, status, None, 0, estimated=True)
    if status in (Nine.UNKNOWN, Nine.WRITER_DOWN) or not standing.followed:
        return Answer(Verdict.UNKNOWN, status, None, round(UNKNOWN_RETRY_S))
    if status == Nine.BROKEN:
        return Answer(Verdict.BLOCKED, status, None, round(BLOCKED_RETRY_S))
    expected = None
    if standing.watermark is not None and status not in (Nine.LOADING, Nine.STALLED):
        expected = eta(standing.watermark, cutoff, standing.speed, now)
    if standing.watermark is not None and standing.watermark >= cutoff:
        expected = None  # it waits for the table to be steady, not for time
    return Answer(Verdict.PENDING, status, expected, _retry(expected, cutoff, now))


def _complete(standing: Standing, cutoff: datetime) -> bool:
    if standing.blind or not standing.followed or not standing.steady:
        return False
    return standing.watermark is not None and standing.watermark >= cutoff


def _retry(expected: datetime | None, cutoff: datetime, now: datetime) -> int:
    least_s, most_s = RETRY_S
    at = expected or max(cutoff, now + timedelta(seconds=LOST_RETRY_S))
    return round(min(most_s, max(least_s, (at - now).total_seconds())))


def estimate(measured_at: datetime | None, latency_s: float | None) -> datetime | None:
    """Up to when DMS' own latency suggests that it is complete. No proof: rows that are held open are not counted."""
    if measured_at is None or latency_s is None:
        return None
    return measured_at - timedelta(seconds=latency_s + ESTIMATE_MARGIN_S)

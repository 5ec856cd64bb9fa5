"""The least lag that can be proven, and so promised. Pure."""

from __future__ import annotations

from console.platform.sources import ARRIVALS, BEATS


def floor_s(batch_s: float, overlap: int = 0) -> float:
    """Seconds: a beat is written and carried, then another behind it (more where batches overlap), then it is seen."""
    return (2 + overlap) * (batch_s + BEATS.interval_s) + ARRIVALS.interval_s


def floor(task: str, batch_s: float, overlap: int = 0) -> str:
    """The same as arithmetic, for a message."""
    return (
        f"{2 + overlap} × ({batch_s:g} s per batch of {task} + {BEATS.interval_s:g} s between heartbeats) + "
        f"{ARRIVALS.interval_s:g} s between polls = {floor_s(batch_s, overlap):g} s"
    )

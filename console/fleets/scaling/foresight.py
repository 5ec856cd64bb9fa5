"""What a task still needs, by how long it took before. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median


def left_s(past_s: Sequence[float], ran_s: float) -> float | None:
    """Seconds that a task which ran so long still needs: the median of its past runs that took longer.

    None without any: it outlasted them all, or none is known.
    """
    longer = [took_s for took_s in past_s if took_s > ran_s]
    return median(longer) - ran_s if longer else None


def takes_s(past_s: Sequence[float]) -> float | None:
    """How long a task that has not begun will take: the median of its past runs. None where none is known."""
    return median(past_s) if past_s else None


def empty_in_s(past: Sequence[tuple[Sequence[float], float]], running: int) -> float | None:
    """When the last of a worker's tasks should end: (past runs, ran so long) of each. None when one can't be said."""
    left = [left_s(past_s, ran_s) for past_s, ran_s in past]
    known = [each for each in left if each is not None]
    return max(known, default=0.0) if len(known) == len(left) == running else None

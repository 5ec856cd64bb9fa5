"""The four words for how something is, and how they combine."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Status(StrEnum):
    """How something is. `unknown` is neither good nor bad: it can't be seen."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILING = "failing"
    UNKNOWN = "unknown"


_SEVERITY = {Status.HEALTHY: 0, Status.UNKNOWN: 1, Status.DEGRADED: 2, Status.FAILING: 3}


def worst(statuses: Iterable[Status]) -> Status:
    """The worst of them: failing, then degraded, then unknown; healthy when there is none."""
    return max(statuses, key=_SEVERITY.__getitem__, default=Status.HEALTHY)


def counted(whole: Status, parts: Iterable[Status]) -> str:
    """`1 unknown`, `2 degraded`: how many of the parts are as the whole is; or just the word, when it is healthy."""
    hit = sum(part == whole for part in parts)
    return f"{hit} {whole}" if whole != Status.HEALTHY and hit else str(whole)

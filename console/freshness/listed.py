"""Tables as lists need them: how many there are, which come first, and of each only what its line says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import QuerySet

from console.freshness.models import Summary, TableQuerySet, TableSnapshot
from console.lib.kept import kept
from console.lib.status import Status

HEAD = 50
"""So many of the worst are known without looking at all of them (migration 0012)."""


class Summed(NamedTuple):
    """All tables as the rows say at this moment: numbers by task and status, the first of two orders."""

    tally: Mapping[tuple[str, Status], int]
    worst: tuple[str, ...]  # names, HEAD at most
    slowest: tuple[str, ...]


class Listed(NamedTuple):
    """What a line of a list says of a table: the model's own fields, without what heartbeats are reckoned from."""

    name: str
    source: str
    task: str
    warehouse: str
    slo_s: float
    state: str | None
    status: str
    word: str
    reason: str
    since: datetime | None
    lag_s: float | None
    followed: bool
    nine: str
    tags: str
    commit_at: datetime | None
    row_at: datetime | None
    held: str
    limiting: str
    epoch: int | None
    generation: int


def summed() -> Summed:
    """One query, however many tables."""
    tally, worst, slowest = _summary.first() or ((), (), ())
    numbers = {(task, Status(status)): number for task, status, number in tally}
    return Summed(numbers, tuple(worst), tuple(slowest))


def of_names(names: Sequence[str]) -> list[Listed]:
    """These tables in this order, without those that are not declared any more; one query, or none for none."""
    found = {row[0]: Listed._make(row) for row in _listed(names)} if names else {}
    return [found[name] for name in names if name in found]


def between(ordered: TableQuerySet, start: int, stop: int) -> list[Listed]:
    """These of the ordered tables; two queries. A sort that carries whole rows takes four times as long at 10,000."""
    return of_names(list(ordered.values_list("pk", flat=True)[start:stop]))


@kept
def _summary() -> QuerySet[Summary, tuple[list[tuple[str, str, int]], list[str], list[str]]]:
    return Summary.objects.values_list("tally", "worst", "slowest")


@kept
def _listed(names: Sequence[str]) -> QuerySet[TableSnapshot, tuple[object, ...]]:
    return TableSnapshot.objects.filter(name__in=names).order_by().values_list(*Listed._fields)

"""Whose hands are on a fleet now: which operation holds it or one of its workers. For preflights, rules and buttons."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet

from console.fleets.crew import target as worker_target
from console.fleets.models import Worker
from console.fleets.rules import State
from console.lib.kept import kept
from console.operations.models import Operation, Target


def fleet_target(queue: str) -> str:
    """What an operation on a whole fleet holds alone."""
    return f"fleet:{queue}"


def holders(targets: Iterable[str]) -> dict[str, Operation]:
    """The active operation that holds each of these targets; those that nobody holds are left out. One query."""
    rows = Target.objects.filter(target__in=list(targets), released_at=None).select_related("operation")
    return {row.target: row.operation for row in rows}


def names_of_holders(targets: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Number and kind of the active operation that holds each of these targets, for a page. One query."""
    return {target: (pk, kind) for target, pk, kind in _holders(list(targets))}


@kept
def _holders(targets: list[str]) -> QuerySet[Target, tuple[str, int, str]]:
    rows = Target.objects.filter(target__in=targets, released_at=None)
    return rows.values_list("target", "operation_id", "operation__kind")


def holder_of_fleet(queue: str) -> Operation | None:
    """The operation that works on the whole fleet: a deploy or a resize. One query."""
    return holders([fleet_target(queue)]).get(fleet_target(queue))


def holders_of_workers(instances: Iterable[str]) -> dict[str, Operation]:
    """By instance id. One query."""
    found = holders(worker_target(each) for each in instances)
    return {name.removeprefix("worker:"): operation for name, operation in found.items()}


def drains_of(queue: str) -> list[Operation]:
    """Drains of single workers of this queue that are under way, the oldest first. One query."""
    rows = Operation.objects.active().filter(kind="drain", parameters__queue=queue)
    return list(rows.order_by("pk")[:20])


def others_serving(queue: str, without: Iterable[str]) -> int:
    """Workers of the queue in service that nobody else is about to take away, beside those. Two queries.

    A deploy holds every worker that it will replace and keeps enough of them ready by itself: its own still count.
    """
    rows = Worker.objects.serving(queue).filter(state=State.IN_SERVICE).exclude(instance_id__in=list(without))
    instances = list(rows.values_list("instance_id", flat=True))
    held = holders_of_workers(each for each in instances if each)
    return sum(1 for each in instances if each not in held or held[each].kind == "deploy")

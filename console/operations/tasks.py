"""When operations are worked on: beat picks up whatever is due; a message only says which."""

from __future__ import annotations

from celery import shared_task

from console.operations import engine
from console.operations.models import Operation
from console.platform import connect


@shared_task
def sweep() -> None:
    """Start a tick for each operation that is due: new, waiting for its next tick, or left by an executor that died."""
    for pk in Operation.objects.due().values_list("pk", flat=True)[:200]:
        tick.apply_async((pk,), expires=10)


@shared_task
def tick(pk: int) -> None:
    engine.tick(pk, connect)

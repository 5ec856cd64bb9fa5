"""Operations on the toy platform, and what a test needs to move time on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db.models.functions import Now

from console.accounts.actor import Actor
from console.accounts.roles import Role
from console.operations import engine
from console.operations.models import Operation
from console.operations.submit import submit
from console.platform.ports import Ports
from tests.operations import toy

MIRA = Actor("mira", None, Role.OPERATOR, "session")
JONAS = Actor("jonas", None, Role.OPERATOR, "session")
NO_PORTS = cast(Ports, None)


@pytest.fixture
def lamps() -> toy.Lamps:
    toy.LAMPS.__init__()  # type: ignore[misc]
    return toy.LAMPS


@pytest.fixture
def ask() -> Callable[..., Operation]:
    def ask(by: Actor = MIRA, **parameters: Any) -> Operation:
        options = {name: parameters.pop(name) for name in ("idempotency_key", "plan_id", "typed") if name in parameters}
        if "typed" in options:
            options["confirm"] = options.pop("typed")
        sent = {"room": "hall", "lamps": ["a", "b"]} | parameters
        return submit("lamps", sent, reason="it is dark", by=by, **options)

    return ask


def pass_time(operation: Operation, *, lease: bool = False) -> None:
    """Let the next tick be due; with `lease` also let the lease of an executor that died run out."""
    past = Now() - timedelta(seconds=1)
    Operation.objects.filter(pk=operation.pk).update(next_tick_at=past)
    if lease:
        Operation.objects.filter(pk=operation.pk).update(leased_until=past)


def tick(operation: Operation) -> bool:
    return engine.tick(operation.pk, NO_PORTS)


def run(operation: Operation, ticks: int = 20) -> Operation:
    """Tick until it ends; an executor that is killed on the way is followed by another after its lease."""
    for _ in range(ticks):
        pass_time(operation, lease=True)
        try:
            tick(operation)
        except toy.Killed:
            continue
        operation.refresh_from_db()
        if operation.finished_at:
            return operation
    return operation

"""Asking for an operation: one per target, once per key, only what was shown, never without a reason."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection

from console.accounts.models import AuditEntry
from console.operations import kinds
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.submit import Conflict, Refused, submit
from tests.operations.conftest import JONAS, MIRA
from tests.operations.toy import Lamps

pytestmark = pytest.mark.django_db(transaction=True)
Ask = Callable[..., Operation]


def test_two_requests_at_the_same_instant_give_one_operation_and_one_conflict(ask: Ask, lamps: Lamps) -> None:
    barrier = threading.Barrier(8)
    made: list[int] = []
    refused: list[int] = []

    def click() -> None:
        barrier.wait()
        try:
            made.append(ask().pk)
        except Conflict as conflict:
            refused.append(conflict.operation.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert refused == made * 7


def test_the_same_key_gives_the_same_operation(ask: Ask, lamps: Lamps) -> None:
    assert ask(idempotency_key="k1").pk == ask(idempotency_key="k1").pk


def test_a_key_used_for_another_request_is_refused(ask: Ask, lamps: Lamps) -> None:
    ask(idempotency_key="k1")
    with pytest.raises(Invalid, match="used for another request"):
        ask(idempotency_key="k1", room="attic")


def test_a_key_is_its_users_own(ask: Ask, lamps: Lamps) -> None:
    first = ask(idempotency_key="k1")
    assert ask(by=JONAS, idempotency_key="k1", room="attic").pk != first.pk


@pytest.mark.parametrize("reason", ["", "   ", "\n"])
def test_a_blank_reason_is_refused(lamps: Lamps, reason: str) -> None:
    with pytest.raises(Invalid, match="reason"):
        submit("lamps", {"room": "hall", "lamps": ["a"]}, reason=reason, by=MIRA)
    assert not Operation.objects.exists()


def test_a_plan_that_is_no_longer_true_is_refused_with_the_new_one(ask: Ask, lamps: Lamps) -> None:
    with pytest.raises(Refused, match="has changed since") as refused:
        ask(plan_id="0" * 32)
    assert ask(plan_id=refused.value.plan.id).pk


def test_a_failing_check_refuses_with_its_reason(ask: Ask, lamps: Lamps) -> None:
    with pytest.raises(Refused, match="broken-1 is broken"):
        ask(lamps=["broken-1"])


def test_what_needs_typing_is_not_done_without(ask: Ask, lamps: Lamps) -> None:
    with pytest.raises(Invalid, match="Type 'hall'"):
        ask(confirm="hall")
    assert ask(confirm="hall", typed="hall").pk


def test_every_operation_is_in_the_audit_with_its_reason(ask: Ask, lamps: Lamps) -> None:
    operation = ask()
    entry = AuditEntry.objects.latest("seq")
    assert (entry.action, entry.actor, entry.reason) == ("operation.lamps", "mira", "it is dark")
    assert str(operation.pk) in entry.details


def test_kinds_are_known_by_name() -> None:
    assert "lamps" in kinds.names()

"""Deploys are told to PagerDuty as changes, once each, and wake nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from console.incidents import changes
from console.incidents.models import ChangeNotice
from console.operations.models import Operation
from console.platform.declared import declaration
from tests.incidents.delivering import at
from tests.incidents.receivers import FakePagerDuty, Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _declared(monkeypatch: pytest.MonkeyPatch, pd: FakePagerDuty, other: Receiver) -> None:
    pagers = (at(pd, "on-call"), at(other, "bot", "webhook"))
    monkeypatch.setattr(changes, "declaration", lambda: replace(declaration(), pagers=pagers))


def deploy(**other: Any) -> Operation:
    given: dict[str, Any] = {
        "kind": "deploy", "target": "deploy", "parameters": {"version": "2.7.1", "queues": ["cpu"]}, "state": "running",
        "reason": "New libraries", "requested_by_name": "mira", "started_at": timezone.now(),
    }  # fmt: skip
    return Operation.objects.create(**(given | other))


def ended(operation: Operation) -> None:
    Operation.objects.filter(pk=operation.pk).update(
        state="succeeded", outcome="12 workers replaced.", finished_at=timezone.now()
    )


def look() -> None:
    ChangeNotice.objects.update(next_attempt_at=Now())
    changes.announce(timezone.now())


def test_its_beginning_and_its_end_are_told_once(pd: FakePagerDuty, other: Receiver) -> None:
    operation = deploy()
    look()
    look()
    ended(operation)
    look()
    look()
    assert [event["payload"]["summary"] for event in pd.changes] == [
        f"Deploy OP-{operation.pk} started: New libraries",
        f"Deploy OP-{operation.pk} succeeded: 12 workers replaced.",
    ]
    assert pd.changes[0]["payload"]["custom_details"]["version"] == "2.7.1"
    assert pd.changes[0]["links"][0]["href"].endswith(f"/deploys/{operation.pk}/")
    assert (pd.incidents, other.requests) == ({}, [])


def test_other_operations_and_old_ones_are_not(pd: FakePagerDuty) -> None:
    deploy(kind="resize", target="fleet:cpu")
    deploy(started_at=timezone.now() - timedelta(hours=2))
    look()
    assert pd.requests == []


@pytest.mark.parametrize("mishap", ["500", "429", "lost", "dropped"])
def test_a_bad_day_is_waited_out(pd: FakePagerDuty, mishap: str) -> None:
    pd.mishaps = [mishap]
    deploy()
    look()
    assert ChangeNotice.objects.get().state == "queued"
    look()
    assert ChangeNotice.objects.get().state == "delivered"


def test_what_is_refused_is_given_up(pd: FakePagerDuty) -> None:
    pd.mishaps = ["400"]
    deploy()
    look()
    assert ChangeNotice.objects.get().state == "failed"
    assert "answered 400" in ChangeNotice.objects.get().text


def test_nothing_to_tell_costs_two_queries(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(2):
        changes.announce(timezone.now())

"""On, off and for how long: by an operation, over the API."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.fleets.models import ScalingDecision, ScalingSwitch
from console.fleets.scaling.switch import mode_of
from console.operations.engine import tick
from console.operations.models import Operation
from console.platform import connect
from console.platform.declared import declaration
from tests.api.asking import bearer, token_for
from tests.fleets.story import tell

pytestmark = pytest.mark.django_db(transaction=True)

NOW = timezone.now()


@pytest.fixture(autouse=True)
def _now() -> None:
    """Each test is about its own moment: sources age while a long suite runs."""
    global NOW
    NOW = timezone.now()


def patch(role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = Client().patch(
        "/api/v1/fleets/cpu", json.dumps(body), content_type="application/json", headers=bearer(token_for(role))
    )
    return answer.status_code, answer.json()


def get(path: str) -> Any:
    return Client().get(f"/api/v1/fleets/{path}", headers=bearer(token_for(Role.VIEWER))).json()


def worked_off(pk: int) -> Operation:
    for _ in range(4):
        Operation.objects.filter(pk=pk).update(next_tick_at=NOW - timedelta(minutes=1))
        tick(pk, connect)
    return Operation.objects.get(pk=pk)


def test_it_is_switched_by_an_audited_operation() -> None:
    status, told = patch(autoscaling="on", reason="the night batch")
    assert status == 202, told
    done = worked_off(told["id"])
    assert (done.kind, done.state, done.target) == ("autoscaling", "succeeded", "autoscaling:cpu"), done.outcome
    assert [step.state for step in done.steps.all()] == ["verified"]
    assert get("cpu")["autoscaling"] == "on"
    assert AuditEntry.objects.filter(action="operation.autoscaling", reason="the night batch").exists()


def test_off_for_a_while_and_then_as_declared_again() -> None:
    status, told = patch(autoscaling="off", autoscaling_for_s=3600, reason="migration")
    assert status == 202
    done = worked_off(told["id"])
    assert done.state == "succeeded", done.outcome
    switch = ScalingSwitch.objects.get()
    assert switch.until is not None
    fleet = replace(declaration().fleets[0], autoscaling=replace(declaration().fleets[0].autoscaling, mode="console"))
    assert mode_of(fleet, switch, switch.until - timedelta(seconds=1)) == "off"
    assert mode_of(fleet, switch, switch.until) == "console"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"autoscaling": "off", "autoscaling_for_s": 5}, "for_s"),
        ({"desired": 3, "autoscaling_for_s": 600}, "autoscaling_for_s"),
        ({"autoscaling": "perhaps"}, "autoscaling"),
    ],
)
def test_what_can_not_be_is_refused_by_field(body: dict[str, Any], field: str) -> None:
    status, told = patch(**body, reason="x")
    assert status == 422
    assert any(field in name for name in told["errors"]), told


def test_a_viewer_may_not() -> None:
    assert patch(Role.VIEWER, autoscaling="off", reason="x")[0] == 403
    assert not Operation.objects.exists()


def test_sizes_and_switch_in_one_request_are_one_operation() -> None:
    tell(NOW)
    status, told = patch(autoscaling="off", max=9, reason="by hand now")
    assert status == 202, told
    found = Operation.objects.get(pk=told["id"])
    assert (found.kind, found.parameters["autoscaling"], found.parameters["max"]) == ("resize", "off", 9)


def test_a_desired_number_beside_the_autoscaler_is_warned_of() -> None:
    tell(NOW)
    ScalingSwitch.objects.create(queue="cpu", on=True, set_at=NOW)
    checks = get("cpu/resize/plan?desired=4")["checks"]
    assert any("moves the number again" in check["text"] and not check["blocking"] for check in checks)


def test_the_last_decision_is_told_and_all_of_them_are_listed() -> None:
    for minutes, news in ((3, True), (2, False), (1, True)):
        ScalingDecision.objects.create(
            queue="cpu", at=NOW - timedelta(minutes=minutes), action="hold", current=2, desired=2, need=2,
            because=f"{minutes} ago.", news=news,
        )  # fmt: skip
    last = get("cpu")["last_decision"]
    assert (last["desired"], last["because"]) == (2, "1 ago.")
    assert [each["because"] for each in get("cpu/decisions")] == ["1 ago.", "3 ago."]
    assert len(get("cpu/decisions?all=true")) == 3
    assert get("io")["last_decision"] is None

"""Each way in which autoscaling fails is said, and nothing while it works."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from console.fleets.facts import Sights
from console.fleets.models import GroupSnapshot, ScalingDecision, ScalingSwitch
from console.fleets.scaling.detect import Scaled, troubles
from console.fleets.scaling.findings import scaling_findings
from console.fleets.scaling.waits import counts, level
from tests.fleets.scaling.test_deciding import fleet

NOW = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


FINE = Scaled("cpu", 4, 4, ago(3600), ago(10), None, None, hour=level(counts([1.0] * 100), 0, 60.0))


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, None),
        ({"instances": 2, "desired_since": ago(60)}, None),
        ({"instances": 2, "desired_since": ago(600)}, "capacity-refused"),
        ({"instances": None, "desired_since": ago(600)}, None),
        ({"decided_at": ago(300)}, "scaler-silent"),
        ({"decided_at": None, "on_since": ago(30)}, None),
        ({"blind_since": ago(100), "blind_because": "x"}, None),
        ({"blind_since": ago(400), "blind_because": "Airflow's tasks can't be seen"}, "scaler-blind"),
        ({"vain_since": ago(400), "vain_because": "refused"}, "scaler-in-vain"),
        ({"hour": level(counts([100.0] * 30), 30, 60.0)}, "waits-long"),
        ({"hour": level(counts([100.0] * 5), 5, 60.0)}, None),
    ],
)
def test_each_trouble(changes: dict[str, object], kind: str | None) -> None:
    found = list(troubles(replace(FINE, **changes), NOW))  # type: ignore[arg-type]
    assert [each.kind for each in found] == ([kind] if kind else [])


@pytest.mark.django_db
def test_findings_name_the_queue_and_the_last_decision() -> None:
    now = timezone.now()
    fleet(now, workers=2)
    assert scaling_findings(now, Sights.at(now)) == []
    GroupSnapshot.objects.filter(name="tests-cpu").update(desired=4, desired_changed_at=now - timedelta(minutes=10))
    for step in range(30):
        ScalingDecision.objects.create(
            queue="cpu", at=now - timedelta(seconds=15 * step), action="out", current=2, desired=4, need=4,
            because="Busy.", outcome="refused: no",
        )  # fmt: skip
    found = {each.key: each for each in scaling_findings(now, Sights.at(now))}
    assert set(found) == {"fleets.capacity-refused:cpu", "fleets.scaler-in-vain:cpu"}
    assert "does not give 2" in found["fleets.capacity-refused:cpu"].sentence.replace("\N{NBSP}", " ")
    assert found["fleets.scaler-in-vain:cpu"].facts[0].value == "Busy."
    ScalingSwitch.objects.update(on=False)
    assert scaling_findings(now, Sights.at(now)) == []

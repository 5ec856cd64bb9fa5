"""Mode publish, and the protection of busy workers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from console.fleets.models import Instance, ScalingSwitch
from console.fleets.scaling.act import decide_all
from console.fleets.scaling.facts import look_at
from console.fleets.scaling.protect_kind import wanted
from console.fleets.scaling.publishing import metrics, metrics_of
from console.operations.models import Operation
from console.platform.declared import declaration
from console.platform.readings import FleetMetric
from console.platform.sources import TASKS
from tests.fleets.making import unseen
from tests.fleets.scaling.test_deciding import fleet


@pytest.mark.django_db
def test_the_work_by_worker_is_published_and_nothing_of_what_can_not_be_seen() -> None:
    now = timezone.now()
    fleet(now, queued=6, busy=(1, 1))
    assert metrics(now) is None  # nobody declared that mode
    declared = declaration().fleet("cpu")
    assert declared is not None
    publishes = replace(declared, autoscaling=replace(declared.autoscaling, mode="publish"))
    look = look_at([publishes], now)[0]
    assert list(metrics_of(look)) == [
        FleetMetric("OutstandingTasks", "tests-cpu", "cpu", 8.0),
        FleetMetric("BacklogPerWorker", "tests-cpu", "cpu", 4.0),
    ]
    unseen(now, TASKS)
    assert list(metrics_of(look_at([publishes], now)[0])) == []


@pytest.mark.django_db
def test_busy_workers_are_protected_once() -> None:
    now = timezone.now()
    names = fleet(now, busy=(1, 0))
    decide_all(now)
    operation = Operation.objects.get(kind="protect")
    assert (operation.parameters["protect"], operation.parameters["release"]) == ([names[0]], [])
    Operation.objects.all().delete()
    Instance.objects.update(protected=True)
    ScalingSwitch.objects.update(on=True)
    decide_all(now)
    assert not Operation.objects.filter(kind="protect").exists()


flags = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([True, False, None]))


@given(flags, st.dictionaries(st.sampled_from("abcdef"), st.booleans()), st.booleans())
def test_never_a_busy_one_released_nor_an_unseen_one_touched(
    busy: dict[str, bool | None], protected: dict[str, bool], release: bool
) -> None:
    protect, released = wanted(busy, protected, release=release)
    assert all(busy[each] is True for each in protect)
    assert all(busy[each] is False for each in released)
    assert release or not released

"""Auto Scaling Groups and their instances."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.fleets.models import GroupSnapshot, Instance
from console.fleets.poll import save_compute
from tests.fleets.making import ago, group, instance

pytestmark = pytest.mark.django_db


def test_a_declared_group_that_does_not_exist_is_said_to_be_missing(now: datetime) -> None:
    save_compute([group("tests-cpu", instance())], now)
    assert dict(GroupSnapshot.objects.values_list("name", "present")) == {
        "tests-cpu": True,
        "tests-io": False,
        "tests-default": False,
    }


def test_an_instance_that_left_its_group_is_gone_from_then_on(now: datetime) -> None:
    save_compute([group("tests-cpu", instance("i-0a"), instance("i-0b"))], ago(now, 10))
    save_compute([group("tests-cpu", instance("i-0a"))], ago(now, 5))
    save_compute([group("tests-cpu", instance("i-0a"))], now)
    assert dict(Instance.objects.values_list("instance_id", "gone_at")) == {"i-0a": None, "i-0b": ago(now, 5)}


def test_a_terminated_instance_is_gone_though_the_group_still_lists_it(now: datetime) -> None:
    save_compute([group("tests-cpu", instance("i-0a", "Terminated"))], now)
    assert Instance.objects.get().gone_at == now


def test_what_is_gone_is_forgotten_after_a_week(now: datetime) -> None:
    save_compute([group("tests-cpu", instance("i-0a"))], now - timedelta(days=8, hours=1))
    save_compute([group("tests-cpu")], now - timedelta(days=8))
    save_compute([group("tests-cpu")], now)
    assert not Instance.objects.exists()


def test_the_moment_at_which_the_desired_count_changed_is_kept(now: datetime) -> None:
    for age, desired in ((30, 2), (20, 3), (10, 3)):
        save_compute([group("tests-cpu", instance(), desired=desired)], ago(now, age))
    row = GroupSnapshot.objects.get(name="tests-cpu")
    assert (row.desired, row.desired_changed_at, row.as_of) == (3, ago(now, 20), ago(now, 10))


def test_five_hundred_instances_cost_as_few_queries_as_five(now: datetime, django_assert_num_queries: object) -> None:
    def of(number: int) -> list[object]:
        return [group("tests-cpu", *(instance(f"i-{number}-{i:04}", launched_at=now) for i in range(number)))]

    save_compute(of(5), now)  # type: ignore[arg-type]
    with django_assert_num_queries(3):  # type: ignore[operator]
        save_compute(of(5), now)  # type: ignore[arg-type]
    save_compute(of(500), now)  # type: ignore[arg-type]
    with django_assert_num_queries(3):  # type: ignore[operator]
        save_compute(of(500), now)  # type: ignore[arg-type]

"""Airflow's pools are remembered as it told them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.pools.models import PoolSnapshot
from console.pools.poll import save_pools
from tests.pools.made import DEFAULT, FREE, MERGE

pytestmark = pytest.mark.django_db


def test_every_figure_is_what_airflow_said(now: datetime) -> None:
    save_pools([DEFAULT, MERGE], now)
    row = PoolSnapshot.objects.get(name="warehouse_merge")
    assert {name: getattr(row, name) for name in MERGE.__dataclass_fields__} == {
        name: getattr(MERGE, name) for name in MERGE.__dataclass_fields__
    }
    assert row.as_of == now


def test_a_pool_that_is_gone_from_airflow_is_forgotten(now: datetime) -> None:
    save_pools([DEFAULT, MERGE], now)
    save_pools([DEFAULT], now + timedelta(seconds=5))
    assert list(PoolSnapshot.objects.values_list("name", flat=True)) == ["default_pool"]


def test_starving_is_dated_from_the_first_reading_that_saw_it(now: datetime) -> None:
    for seconds, scheduled in ((0, 0), (5, 4), (10, 6)):
        save_pools([replace(MERGE, scheduled=scheduled)], now + timedelta(seconds=seconds))
    assert PoolSnapshot.objects.get().starving_since == now + timedelta(seconds=5)
    save_pools([replace(MERGE, scheduled=0)], now + timedelta(seconds=15))
    assert PoolSnapshot.objects.get().starving_since is None


def test_an_unlimited_pool_never_starves(now: datetime) -> None:
    save_pools([replace(FREE, scheduled=50)], now)
    assert PoolSnapshot.objects.get().starving_since is None


@pytest.mark.parametrize("pools", [10, 1000])
def test_a_poll_takes_two_queries_however_many_pools(
    pools: int, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    readings = [replace(DEFAULT, name=f"pool_{number}") for number in range(pools)]
    with django_assert_num_queries(2):
        save_pools(readings, now)
    with django_assert_num_queries(2):
        save_pools(readings, now + timedelta(seconds=5))

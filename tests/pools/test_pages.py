"""The pools' page and their line on the overview."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.lib.status import Status
from console.platform.models import remember_failure
from console.platform.sources import POOLS
from console.pools.pages import pools_page, pools_summary
from tests.pools.made import DEFAULT, FREE, MERGE, seen

pytestmark = pytest.mark.django_db


def names(now: datetime, **query: str) -> list[str]:
    return [row.name for row in pools_page(now, query).rows]


def test_the_pool_that_most_wait_for_comes_first(now: datetime) -> None:
    seen(now, DEFAULT, FREE, MERGE)
    page = pools_page(now, {})
    assert [row.name for row in page.rows] == ["warehouse_merge", "default_pool", "free"]
    assert page.heading == "warehouse_merge is full and starves its tasks"
    assert (page.status, page.pill) == (Status.DEGRADED, "1 starving")
    assert (page.total, page.starving, page.full, page.waiting) == (3, 1, 1, 11)


def test_deferred_tasks_are_in_the_bar_only_where_they_hold_a_slot(now: datetime) -> None:
    seen(now, DEFAULT, MERGE)
    assert {row.name: row.holding for row in pools_page(now, {}).rows} == {"warehouse_merge": 2, "default_pool": 0}


def test_the_address_narrows_and_orders(now: datetime) -> None:
    seen(now, DEFAULT, FREE, MERGE)
    assert names(now, q="MERGE") == ["warehouse_merge"]
    assert names(now, q="into the warehouse") == ["warehouse_merge"]
    assert names(now, state="starving") == ["warehouse_merge"]
    assert names(now, state="open", sort="name") == ["default_pool", "free"]
    assert names(now, sort="-slots") == ["free", "default_pool", "warehouse_merge"]
    assert names(now, sort="open") == ["warehouse_merge", "default_pool", "free"]
    assert names(now, sort="-name") == ["warehouse_merge", "free", "default_pool"]
    assert names(now, sort="nonsense", state="nonsense", page="x") == names(now)


def test_past_their_limit_all_figures_are_unknown(now: datetime) -> None:
    seen(now, DEFAULT, MERGE)
    remember_failure(
        POOLS.name, now + timedelta(seconds=5), 3.0, error="it does not answer", code="timeout", remedy="Look."
    )
    later = now + timedelta(seconds=POOLS.limit_s + 1)
    page = pools_page(later, {})
    assert page.status == Status.UNKNOWN
    assert page.text == "It does not answer. Look."
    assert {(row.verdict.status, row.slots, row.open, row.running) for row in page.rows} == {
        (Status.UNKNOWN, None, None, None)
    }
    assert (page.total, page.starving, page.waiting) == (None, None, None)
    assert [tab.count for tab in page.tabs] == [None] * 4
    summary = pools_summary(later)
    assert summary.status == Status.UNKNOWN
    assert summary.reason == "Airflow's pools can't be seen: it does not answer."
    assert summary.total is None


def test_the_summary_names_the_worst(now: datetime) -> None:
    seen(now, DEFAULT, MERGE, replace(MERGE, name="partner_apis", scheduled=30))
    summary = pools_summary(now + timedelta(seconds=2))
    assert summary.status == Status.DEGRADED
    assert [row.name for row in summary.worst] == ["partner_apis", "warehouse_merge"]
    assert summary.waiting == 41
    assert summary.age_s == 2


def test_pools_with_room_are_healthy(now: datetime) -> None:
    seen(now, DEFAULT)
    assert pools_summary(now).status == Status.HEALTHY


@pytest.mark.parametrize("pools", [10, 1000])
def test_a_page_takes_two_queries_however_many_pools(
    pools: int, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    seen(now, *(replace(DEFAULT, name=f"pool_{number}") for number in range(pools)))
    with django_assert_num_queries(2):
        pools_page(now, {})
    with django_assert_num_queries(2):
        pools_summary(now)

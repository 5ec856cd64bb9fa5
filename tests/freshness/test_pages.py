"""The freshness pages and their line on the overview."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.freshness.detail import find, lag_chart, table_page
from console.freshness.pages import freshness_page, freshness_summary
from console.lib.status import Status
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS

pytestmark = pytest.mark.django_db


def stuck(now: datetime) -> None:
    """Orders hang 14 minutes behind."""
    ago = now - timedelta(minutes=14)
    made.level(ago)
    made.origin(now, {ORDERS.name: now, CUSTOMERS.name: now})
    made.dms(now, made.task(now))
    made.warehouse(now, {ORDERS.name: ago, CUSTOMERS.name: now})


def names(now: datetime, **query: str) -> list[str]:
    return [table.row.name for table in freshness_page(now, query).tables]


def test_the_worst_table_is_the_heading(now: datetime) -> None:
    stuck(now)
    page = freshness_page(now, {})
    assert page.heading == f"{ORDERS.name} is 14\N{NO-BREAK SPACE}min behind"
    assert (page.status, page.pill) == (Status.FAILING, "1 late")
    assert page.text.startswith("14\N{NO-BREAK SPACE}min behind, the SLO is 5\N{NO-BREAK SPACE}min")
    assert [table.row.name for table in page.tables] == [ORDERS.name, CUSTOMERS.name]
    assert (page.found.total, page.found.fresh, page.found.failing) == (2, 1, 1)


def test_all_within_their_slo_is_said_and_never_called_complete(now: datetime) -> None:
    made.level(now)
    page = freshness_page(now, {})
    assert page.heading == "All 2\N{NO-BREAK SPACE}tables are within their SLO"
    assert "evidence, not proof" in page.text
    assert [(task.name, task.word, task.target_latency_s, task.tables) for task in page.tasks] == [
        ("shop-cdc", "running", 2.0, 2)
    ]
    assert [(origin.name, origin.status) for origin in page.origins] == [("shop", Status.HEALTHY)]


def test_the_address_narrows_and_orders(now: datetime) -> None:
    stuck(now)
    assert names(now, q="ORD") == [ORDERS.name]
    assert names(now, q="shop-cdc", sort="name") == [CUSTOMERS.name, ORDERS.name]
    assert names(now, state="healthy") == [CUSTOMERS.name]
    assert names(now, sort="lag") == [CUSTOMERS.name, ORDERS.name]
    assert names(now, sort="-slo") == [CUSTOMERS.name, ORDERS.name]
    assert names(now, state="degraded") == []


@pytest.mark.parametrize("spec", [REPLICATION, WAREHOUSE])
def test_without_dms_or_the_warehouse_every_table_is_unknown_and_says_why(now: datetime, spec: object) -> None:
    made.level(now)
    later = now + timedelta(seconds=26)
    if spec is REPLICATION:
        made.failed(REPLICATION, later, "AWS refuses the connection")
        made.warehouse(later, {})
    else:
        made.failed(WAREHOUSE, later, "the warehouse refuses the connection")
        made.dms(later, made.task(later))
    page = freshness_page(later, {})
    assert page.status == Status.UNKNOWN
    assert {(table.row.status, table.row.lag_s) for table in page.tables} == {(Status.UNKNOWN, None)}
    assert "refuses the connection" in page.text
    assert (page.found.fresh, page.found.unknown) == (0, 2)
    assert names(later, state="unknown") == names(later, sort="-status")
    assert names(later, state="healthy") == []
    summary = freshness_summary(later)
    assert (summary.status, summary.unknown, summary.worst) == (Status.UNKNOWN, 2, ())
    assert "refuses the connection" in summary.reason


def test_without_the_source_its_tables_are_unknown_as_soon_as_another_poll_has_judged(now: datetime) -> None:
    made.level(now)
    later = now + timedelta(seconds=ORIGINS.limit_s + 1)
    made.failed(ORIGINS, later, "the source shop refuses the connection")
    made.dms(later, made.task(later))
    made.warehouse(later, {ORDERS.name: now, CUSTOMERS.name: now})
    summary = freshness_summary(later)
    assert (summary.status, summary.unknown) == (Status.UNKNOWN, 2)
    assert "unknown" in summary.reason


def test_the_summary_names_the_worst_with_its_lag(now: datetime) -> None:
    stuck(now)
    summary = freshness_summary(now)
    assert summary.status == Status.FAILING
    assert [(row.name, row.lag_s) for row in summary.worst] == [(ORDERS.name, 14 * 60)]
    assert (summary.total, summary.fresh, summary.late, summary.unknown) == (2, 1, 1, 0)
    assert summary.reason.startswith(f"{ORDERS.name} is 14")


def test_before_the_first_poll_all_declared_tables_are_unknown(now: datetime) -> None:
    summary = freshness_summary(now)
    assert (summary.status, summary.total, summary.unknown) == (Status.UNKNOWN, 2, 2)
    table = find(ORDERS.name)
    assert table is not None
    assert table_page(now, table, {}).row.status == Status.UNKNOWN


def test_a_tables_page_shows_the_way_of_a_row_and_what_each_side_has(now: datetime) -> None:
    stuck(now)
    table = find(ORDERS.name)
    assert table is not None
    page = table_page(now, table, {"range": "24h"})
    assert page.heading == "public.orders is at most 14\N{NO-BREAK SPACE}min behind"
    assert [(node.kind, node.name, node.edge_s, node.held_up) for node in page.nodes] == [
        ("Source", "shop", 1.0, False),
        ("DMS task", "shop-cdc", 14 * 60, True),  # DMS tells of 2 s, the newest stamps of 14 min
        ("Warehouse", "public.orders", None, False),
    ]
    assert [stamp.newest_at for stamp in page.stamps] == [now, now - timedelta(minutes=14)]
    assert [(change.word, change.waiting) for change in page.changes] == [
        ("Inserts", 2),
        ("Updates", 0),
        ("Deletes", 0),
    ]
    assert page.chart_url.endswith("lag.json?range=24h")


def test_a_tables_page_shows_no_figure_of_a_side_that_can_not_be_seen(now: datetime) -> None:
    made.level(now)
    table = find(ORDERS.name)
    assert table is not None
    page = table_page(now + timedelta(minutes=5), table, {})
    assert {node.status for node in page.nodes} == {Status.UNKNOWN}
    assert {(stamp.newest_at, stamp.text, stamp.rows) for stamp in page.stamps} == {(None, "unknown", None)}
    assert page.changes == ()
    assert page.row.lag_s is None


def test_the_chart_has_the_slo_and_a_gap_where_nobody_saw(now: datetime) -> None:
    made.level(now)
    made.dms(now, made.task(now, latency_s=120.0))
    table = find(ORDERS.name)
    assert table is not None
    chart = lag_chart(table, now + timedelta(seconds=20), "1h")
    values = chart["series"][0]["values"]
    assert [value for value in values if value is not None][-1] == 2.0
    assert values[0] is None
    assert chart["lines"][0]["y"] == 5.0
    assert chart["unit"] == " min"


@pytest.mark.parametrize("tables", [10, 1000])
def test_pages_take_the_same_queries_however_many_tables(
    tables: int, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    made.level(now, [made.table(f"t{number:05}") for number in range(tables)])
    with django_assert_num_queries(9):
        page = freshness_page(now, {"page": "2", "sort": "name"})
    assert len(page.tables) == min(tables, 50)
    with django_assert_num_queries(3):
        freshness_summary(now)
    table = find("shop.public.t00007")
    assert table is not None
    with django_assert_num_queries(7):
        table_page(now, table, {})

"""The replication between two real servers: counted exactly, paused, stopped, broken, and taken up again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg2
import pytest

from console.sandbox.home import write_private
from tests.sandbox.pair import Pair, running


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running() as both:
        yield both


def test_what_was_there_is_loaded_and_what_comes_is_counted_row_by_row(pair: Pair) -> None:
    pair.until(pair.caught_up)
    assert pair.aws.tables["customers"]["FullLoadRows"] == 200
    before = pair.aws.tables["orders"]["Inserts"]
    for _ in range(5):
        pair.order()
    pair.sql("UPDATE orders SET status = 'paid'")
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Updates"])
    row = pair.aws.tables["orders"]
    assert (row["Inserts"] - before, row["AppliedInserts"] - before) == (5, 5)
    assert row["Updates"] == row["AppliedUpdates"] == 5
    assert pair.aws.values["CDCLatencyTarget"] == 0


def test_what_is_rolled_back_is_not_counted(pair: Pair) -> None:
    before = pair.aws.tables["orders"]["Inserts"]
    with psycopg2.connect(pair.site.database_url("shop", "shop")) as shop, shop.cursor() as cursor:
        cursor.execute("INSERT INTO orders (customer_id) VALUES (1), (2)")
        shop.rollback()
    pair.order()
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Inserts"] > before)
    assert pair.aws.tables["orders"]["Inserts"] == before + 1


def test_a_pause_shows_as_a_lag_that_grows_while_the_task_runs(pair: Pair) -> None:
    write_private(pair.faults, '{"replication-pause": ["shop-cdc"]}')
    pair.until(lambda: not pair.sql("SELECT subenabled FROM pg_subscription", warehouse=True)[0][0])
    there = pair.count()
    pair.order()
    pair.until(lambda: pair.aws.values.get("CDCLatencyTarget", 0) > 1)
    assert pair.aws.status == "running"
    assert pair.aws.values["CDCIncomingChanges"] == 1
    row = pair.aws.tables["orders"]
    assert row["Inserts"] == row["AppliedInserts"] + 1
    assert pair.count() == there
    write_private(pair.faults, "{}")
    pair.until(pair.caught_up)
    assert pair.count() == there + 1
    assert pair.aws.values["CDCLatencyTarget"] == 0


def test_a_table_that_is_reloaded_is_emptied_copied_anew_and_goes_on(pair: Pair) -> None:
    pair.until(pair.caught_up)
    before = pair.aws.tables["orders"]["FullLoadEndTime"]
    pair.sql("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders)", warehouse=True)  # a row that got lost
    assert not pair.caught_up()
    pair.aws.reload = ["public.orders"]
    pair.until(lambda: pair.aws.tables["orders"].get("FullLoadEndTime", 0) > before)
    pair.until(pair.caught_up)
    there = pair.count()
    pair.order()
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_stopping_the_task_stops_the_replication_and_starting_it_resumes(pair: Pair) -> None:
    there = pair.count()
    pair.aws.status = "stopped"
    pair.until(lambda: not pair.sql("SELECT subenabled FROM pg_subscription", warehouse=True)[0][0])
    pair.order()
    time.sleep(1)
    assert pair.count() == there
    pair.aws.status = "running"
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_the_totals_survive_a_restart_of_the_process(pair: Pair) -> None:
    pair.until(pair.caught_up)
    time.sleep(1)
    pair.until(pair.caught_up)
    before = dict(pair.aws.tables["orders"])
    pair.order()
    pair.replication = pair.fresh()
    pair.until(lambda: pair.caught_up() and pair.aws.tables["orders"]["Inserts"] > before["Inserts"])
    assert pair.aws.tables["orders"]["Inserts"] == before["Inserts"] + 1
    assert pair.aws.tables["orders"]["FullLoadEndTime"] == before["FullLoadEndTime"]


def test_a_new_table_of_the_source_is_taken_along(pair: Pair) -> None:
    pair.sql("CREATE TABLE returns (id bigint PRIMARY KEY, order_id bigint NOT NULL, at timestamptz, note text)")
    pair.sql("INSERT INTO returns VALUES (1, 1, now(), 'too small')")
    pair.until(lambda: pair.aws.tables.get("returns", {}).get("TableState") == "Table completed")
    assert pair.sql("SELECT note FROM returns", warehouse=True) == [("too small",)]


def test_an_outage_of_the_warehouse_is_a_lag_and_heals_by_itself(pair: Pair) -> None:
    pair.until(pair.caught_up)
    there = pair.count()
    pair.stop("warehouse")
    pair.order()
    pair.until(lambda: pair.aws.values.get("CDCLatencyTarget", 0) > 1)
    pair.start("warehouse")
    pair.until(pair.caught_up)
    assert pair.count() == there + 1


def test_a_conflict_at_the_warehouse_fails_the_task(pair: Pair) -> None:
    number = int(pair.sql("SELECT max(id) FROM orders")[0][0]) + 1
    pair.sql(
        f"INSERT INTO orders (id, customer_id, status, total_cents, created_at, updated_at) "
        f"VALUES ({number}, 1, 'x', 0, now(), now())",
        warehouse=True,
    )
    pair.order()
    pair.until(lambda: pair.aws.status == "failed")
    assert "FATAL_ERROR" in pair.aws.reasons[-1]
    pair.sql(f"DELETE FROM orders WHERE id = {number}", warehouse=True)
    pair.aws.status = "running"
    pair.until(pair.caught_up)

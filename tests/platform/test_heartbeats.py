"""Heartbeats written and read, against the tests' own PostgreSQL: open, prepared and hidden transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest

from console.platform import heartbeat_ddl
from console.platform.database import Database
from console.platform.declared import TaskDeclared
from console.platform.heartbeats import Arrivals, Pulse
from console.platform.ports import PlatformError
from console.platform.readings import BeatOrder, BeatReading, PulseReading

ADMIN = os.environ["DATABASE_URL"]
TASKS = (TaskDeclared("shop-cdc", "shop", "shop-cdc"), TaskDeclared("shop-archive", "shop", "shop-archive"))
ORDERS = tuple(BeatOrder(task.name, task.beats) for task in TASKS)


def connect(url: str) -> Any:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    return connection


def run(url: str, *statements: str) -> None:
    connection = connect(url)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


@pytest.fixture
def url() -> Iterator[str]:
    run(ADMIN, "CREATE DATABASE qd_beats", "CREATE ROLE qd_console LOGIN")
    address = urlunsplit(urlsplit(ADMIN)._replace(path="/qd_beats"))
    try:
        run(address, "CREATE TABLE orders (id int)", *heartbeat_ddl.at_source(TASKS, "postgresql", "qd_console"))
        yield address
    finally:
        run(ADMIN, "DROP DATABASE qd_beats WITH (FORCE)", "DROP ROLE qd_console")


@pytest.fixture
def mine(url: str) -> str:
    """The same as the console's own user."""
    return as_console(url)


def as_console(url: str) -> str:
    query = urlsplit(url).query
    return urlunsplit(urlsplit(url)._replace(query=f"{query}&user=qd_console" if query else "user=qd_console"))


@pytest.fixture
def pulse(mine: str) -> Pulse:
    return Pulse(Database("the source shop", mine, "SOURCE_URL"))


def beat(pulse: Pulse, last: BeatReading | None = None) -> PulseReading:
    orders = (BeatOrder("shop-cdc", TASKS[0].beats, last.epoch if last else 0, last.seq if last else 0),)
    return pulse.beat("shop", orders)


def test_each_task_of_a_source_has_a_row_of_its_own_and_all_are_written_at_once(pulse: Pulse) -> None:
    first, second = pulse.beat("shop", ORDERS), pulse.beat("shop", ORDERS)
    assert [beat.task for beat in first.beats] == ["shop-cdc", "shop-archive"]
    assert {(beat.epoch, beat.seq) for beat in first.beats} == {(1, 1)}
    assert {(beat.epoch, beat.seq) for beat in second.beats} == {(1, 2)}
    assert first.beats[0].beat_at == first.beats[1].beat_at < second.beats[0].beat_at
    assert abs(datetime.now(UTC) - second.beats[0].beat_at) < timedelta(seconds=5)


def test_alone_it_is_safe_up_to_its_own_begin_and_its_own_id_is_the_oldest(pulse: Pulse) -> None:
    only = beat(pulse).beats[0]
    assert (only.row_safe_before, only.prepared_count) == (only.beat_at, 0)
    assert only.own_xid is not None
    assert only.xmin is not None
    assert only.xmin <= only.own_xid


def test_an_open_transaction_of_somebody_else_holds_the_rows_back_and_is_named(pulse: Pulse, url: str) -> None:
    holding = psycopg2.connect(url)
    with holding.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (1) RETURNING now(), pg_current_xact_id()::text::bigint")
        began_at, xid = cursor.fetchone()
        held = beat(pulse)
        assert held.beats[0].row_safe_before == began_at
        assert held.beats[0].xmin is not None
        assert held.beats[0].xmin <= xid
        assert held.holder is not None
        assert (held.holder.pid, held.holder.since) == (holding.get_backend_pid(), began_at)
    holding.commit()
    after = beat(pulse)
    assert (after.beats[0].row_safe_before, after.holder) == (after.beats[0].beat_at, None)
    holding.close()


def test_what_runs_in_another_database_of_the_server_holds_nothing_back_and_here_it_does(
    pulse: Pulse, url: str
) -> None:
    here, elsewhere = psycopg2.connect(url), psycopg2.connect(ADMIN)
    try:
        with elsewhere.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            foreign = cursor.fetchone()[0]
        beat(pulse)
        free = beat(pulse).beats[0]
        assert free.xmin is not None
        assert free.xmin > foreign
        assert free.row_safe_before == free.beat_at
        with here.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id()::text::bigint")
            mine = cursor.fetchone()[0]
        beat(pulse)
        held = beat(pulse).beats[0]
        assert held.xmin == mine
    finally:
        here.close()
        elsewhere.close()


def test_a_prepared_transaction_is_counted_though_no_session_has_it(url: str, pulse: Pulse) -> None:
    if not _prepares(url):
        pytest.skip("this PostgreSQL has max_prepared_transactions = 0")
    run(url, "BEGIN; INSERT INTO orders VALUES (2); PREPARE TRANSACTION 'held'")
    try:
        assert beat(pulse).beats[0].prepared_count == 1
    finally:
        run(url, "ROLLBACK PREPARED 'held'")
    assert beat(pulse).beats[0].prepared_count == 0


def _prepares(url: str) -> bool:
    connection = connect(url)
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_prepared_transactions")
        found = cursor.fetchone()[0] != "0"
    connection.close()
    return bool(found)


def test_without_the_grant_nothing_is_said_of_open_transactions_and_the_grant_is_named(pulse: Pulse, url: str) -> None:
    run(url, "REVOKE pg_read_all_stats FROM qd_console")
    other = psycopg2.connect(url)
    with other.cursor() as cursor:
        cursor.execute("INSERT INTO orders VALUES (3)")
        blind = beat(pulse)
    other.close()
    assert (blind.beats[0].row_safe_before, blind.beats[0].prepared_count, blind.holder) == (None, None, None)
    assert "qd_console may not see" in blind.blind
    assert blind.remedy == 'GRANT pg_read_all_stats TO "qd_console";'
    run(url, blind.remedy)
    assert beat(pulse).blind == ""


def test_a_table_that_is_not_installed_is_named_and_the_others_are_written(pulse: Pulse) -> None:
    found = pulse.beat("shop", (*ORDERS, BeatOrder("shop-new", "quarterdeck.heartbeat_shop_new")))
    assert found.missing == ("shop-new",)
    assert [beat.task for beat in found.beats] == ["shop-cdc", "shop-archive"]


def test_a_missing_grant_on_the_table_is_named_with_the_statement_to_run(pulse: Pulse, url: str) -> None:
    run(url, "REVOKE UPDATE ON quarterdeck.heartbeat_shop_cdc FROM qd_console")
    with pytest.raises(PlatformError) as raised:
        beat(pulse)
    assert raised.value.code == "forbidden"
    assert 'GRANT SELECT, INSERT, UPDATE ON quarterdeck.heartbeat_shop_cdc TO "qd_console";' in raised.value.remedy
    run(url, raised.value.remedy)
    assert beat(pulse).beats


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE quarterdeck.heartbeat_shop_cdc SET seq = 1",
        "UPDATE quarterdeck.heartbeat_shop_cdc SET timeline = '000000FF'",
        "DELETE FROM quarterdeck.heartbeat_shop_cdc",
        "UPDATE quarterdeck.heartbeat_shop_cdc SET epoch = 0",
    ],
)
def test_a_source_that_was_restored_begins_a_new_epoch_and_its_count_never_goes_back(
    pulse: Pulse, url: str, damage: str
) -> None:
    last = None
    for _ in range(3):
        last = beat(pulse, last).beats[0]
    assert last is not None
    run(url, damage)
    after = beat(pulse, last).beats[0]
    assert (after.epoch, after.seq) == (2, 4)
    again = beat(pulse, after).beats[0]
    assert (again.epoch, again.seq) == (2, 5)


def test_a_console_that_remembers_less_than_the_row_takes_it_as_it_is(pulse: Pulse) -> None:
    first = beat(pulse).beats[0]
    beat(pulse, first)
    assert (beat(pulse).beats[0].epoch, beat(pulse, first).beats[0].seq) == (1, 4)


# --- The warehouse -------------------------------------------------------------------------------------------------


def sources(*tasks: TaskDeclared) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    return [(task.source, task.name, task.beats_arrive, "public", (task.identifier, "RESOURCEID")) for task in tasks]


def test_what_was_written_is_read_as_it_is_and_what_is_not_there_is_named(pulse: Pulse, mine: str) -> None:
    written = pulse.beat("shop", ORDERS)
    arrivals = Arrivals(Database("the warehouse", mine, "WAREHOUSE_URL"))
    found = arrivals.arrivals(sources(*TASKS, TaskDeclared("billing-cdc", "billing", "billing-cdc")))
    assert sorted(found.beats, key=lambda beat: beat.task) == sorted(written.beats, key=lambda beat: beat.task)
    assert found.missing == ("billing-cdc",)
    assert 0 < found.wait_s < 5


def test_a_heartbeat_table_is_found_as_soon_as_it_is_there(mine: str, url: str) -> None:
    arrivals = Arrivals(Database("the warehouse", mine, "WAREHOUSE_URL"))
    late = TaskDeclared("late", "shop", "late")
    assert arrivals.arrivals(sources(late)).missing == ("late",)
    run(url, *heartbeat_ddl.at_warehouse([late], "qd_console"))
    assert arrivals.arrivals(sources(late)).missing == ()


def test_suspended_tables_and_exceptions_are_read_where_dms_has_its_control_tables(mine: str, url: str) -> None:
    run(
        url,
        "CREATE TABLE awsdms_suspended_tables (server_name text, task_name text, table_owner text, table_name text,"
        " suspend_reason text, suspend_timestamp timestamp)",
        "INSERT INTO awsdms_suspended_tables VALUES ('s', 'shop-cdc', 'public', 'orders', 'x', '2026-11-22 03:00'),"
        " ('s', 'RESOURCEID', 'public', 'orders', 'x', '2026-11-22 04:00'),"
        " ('s', 'other', 'public', 'lines', 'x', now())",
        'CREATE TABLE awsdms_apply_exceptions ("TASK_NAME" text, "TABLE_NAME" text)',
        "INSERT INTO awsdms_apply_exceptions VALUES ('shop-cdc', 'orders'), ('shop-cdc', 'orders')",
        "GRANT SELECT ON awsdms_suspended_tables, awsdms_apply_exceptions TO qd_console",
    )
    found = Arrivals(Database("the warehouse", mine, "WAREHOUSE_URL")).arrivals(sources(TASKS[0]))
    assert [(row.table, row.at) for row in found.suspended] == [("orders", datetime(2026, 11, 22, 4, tzinfo=UTC))]
    assert found.exceptions == (("shop-cdc", 2),)


def test_a_heartbeat_that_may_not_be_read_names_the_grant(mine: str, url: str) -> None:
    run(url, "REVOKE SELECT ON quarterdeck.heartbeat_shop_cdc FROM qd_console")
    with pytest.raises(PlatformError) as raised:
        Arrivals(Database("the warehouse", mine, "WAREHOUSE_URL")).arrivals(sources(TASKS[0]))
    assert "GRANT SELECT" in raised.value.remedy
    assert "freshness install" in raised.value.remedy

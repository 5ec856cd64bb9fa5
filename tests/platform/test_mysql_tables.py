"""The newest stamps of tables at a real MySQL and MariaDB server, whose zone is not UTC."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from console.platform import connect
from console.platform.declared import SourceDeclared, declaration
from console.platform.mysql import Mysql
from console.platform.mysql_tables import AT_ONCE, MysqlTables
from console.platform.ports import PlatformError
from tests.mysql.server import KINDS, MysqlServer, server
from tests.platform.contracts import WarehouseContract

ORDERS = ("crm.shop.orders", "shop.orders", "updated_at")
READER = "reader@'127.0.0.%'"


@pytest.fixture(scope="module", params=KINDS)
def db(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    with server(request.param) as made:
        made.run(
            "SET time_zone = '+00:00'",
            "CREATE DATABASE shop",
            "CREATE DATABASE public",
            "CREATE TABLE shop.orders (id int PRIMARY KEY, updated_at timestamp(6) NULL)",
            "INSERT INTO shop.orders VALUES (1, '2026-11-22 03:00:00.25'), (2, '2026-11-22 03:30:00.5'), (3, NULL)",
            "CREATE TABLE shop.customers (id int PRIMARY KEY, changed datetime)",
            "INSERT INTO shop.customers VALUES (1, '2026-11-22 03:00:00')",
            "CREATE TABLE shop.days (day date)",
            "INSERT INTO shop.days VALUES ('2026-11-22')",
            "CREATE TABLE shop.empty_one (updated_at timestamp NULL)",
            "SET sql_mode = ''",
            "CREATE TABLE shop.zeros (at datetime)",
            "INSERT INTO shop.zeros VALUES ('0000-00-00 00:00:00')",
            "CREATE TABLE shop.texts (updated_at varchar(30))",
            "CREATE TABLE shop.hours (updated_at time)",
            "CREATE DATABASE `odd schema`",
            "CREATE TABLE `odd schema`.`weird``name; 100% --` (`Last.Change` datetime)",
            "ANALYZE TABLE shop.orders",
            "CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'",
            "GRANT SELECT ON shop.* TO console@'127.0.0.%'",
            "GRANT SELECT ON public.* TO console@'127.0.0.%'",
            "GRANT SELECT ON `odd schema`.* TO console@'127.0.0.%'",
            f"CREATE USER {READER} IDENTIFIED BY 'p@ss'",
            f"GRANT SELECT ON shop.orders TO {READER}",
        )
        yield made


def tables_at(db: MysqlServer, user: str = "console", statement_s: float = 3.0, poll_s: float = 8.0) -> MysqlTables:
    url = f"mysql://{user}:p%40ss@127.0.0.1:{db.port}/"
    return MysqlTables(Mysql("the source crm", url, "CRM_URL", zone="+00:00", statement_s=statement_s), poll_s=poll_s)


@pytest.fixture
def warehouse(db: MysqlServer) -> MysqlTables:
    return tables_at(db)


class TestTheContract(WarehouseContract):
    @pytest.fixture
    def tables(self) -> list[tuple[str, str, str]]:
        return [ORDERS, ("c", "shop.customers", "changed")]


def test_the_newest_stamp_of_each_table_in_utc_whatever_the_servers_zone(warehouse: MysqlTables) -> None:
    reading = warehouse.evidence(
        [
            ORDERS,
            ("c", "shop.customers", "Changed"),
            ("d", "shop.days", "day"),
            ("e", "shop.empty_one", "updated_at"),
        ]
    )
    assert {each.table: each.newest_at for each in reading.tables} == {
        ORDERS[0]: datetime(2026, 11, 22, 3, 30, 0, 500000, tzinfo=UTC),
        "c": datetime(2026, 11, 22, 3, tzinfo=UTC),
        "d": datetime(2026, 11, 22, tzinfo=UTC),
        "e": None,
    }
    assert {each.table: each.rows_estimate for each in reading.tables}[ORDERS[0]] == 3
    assert (reading.missing, reading.unreadable) == ((), ())
    assert 0 < reading.took_s < 5


def test_a_lone_date_is_a_moment_too(warehouse: MysqlTables) -> None:
    (only,) = warehouse.evidence([("d", "shop.days", "day")]).tables
    assert only.newest_at == datetime(2026, 11, 22, tzinfo=UTC)


def test_a_zero_date_is_no_moment(warehouse: MysqlTables) -> None:
    (only,) = warehouse.evidence([("z", "shop.zeros", "at")]).tables
    assert only.newest_at is None


def test_more_tables_than_fit_into_one_statement(warehouse: MysqlTables) -> None:
    names = [f"crm.{number}" for number in range(AT_ONCE * 2 + 1)]
    reading = warehouse.evidence([(name, "shop.customers", "changed") for name in names])
    assert {each.table for each in reading.tables} == set(names)
    assert {each.newest_at for each in reading.tables} == {datetime(2026, 11, 22, 3, tzinfo=UTC)}


def test_missing_and_unreadable_tables_hide_no_other(warehouse: MysqlTables) -> None:
    reading = warehouse.evidence(
        [
            ("gone", "shop.gone", "updated_at"),
            ORDERS,
            ("renamed", "shop.orders", "changed_at"),
            ("text", "shop.texts", "updated_at"),
            ("hour", "shop.hours", "updated_at"),
        ]
    )
    assert [each.table for each in reading.tables] == [ORDERS[0]]
    assert reading.missing == ("gone", "renamed")
    assert reading.unreadable == ("text", "hour")


def test_tables_that_may_not_be_read_hide_no_other(db: MysqlServer) -> None:
    """The catalogue leaves out what one has no privilege on; with another one than SELECT it is there, and refused."""
    db.run(f"GRANT INSERT ON shop.customers TO {READER}")
    asked = [ORDERS, ("days", "shop.days", "day"), ("c", "shop.customers", "changed"), ("away", "public.away", "at")]
    reading = tables_at(db, "reader").evidence(asked)
    assert [each.table for each in reading.tables] == [ORDERS[0]]
    assert set(reading.unreadable) == {"days", "c", "away"}
    assert reading.missing == ()


def test_names_are_quoted(warehouse: MysqlTables) -> None:
    odd = ("x'; DROP TABLE orders; -- %s", "odd schema.weird`name; 100% --", "Last.Change")
    reading = warehouse.evidence([odd, ORDERS])
    assert {each.table: each.newest_at is None for each in reading.tables} == {odd[0]: True, ORDERS[0]: False}


def test_nothing_declared_still_tells_the_servers_time(warehouse: MysqlTables) -> None:
    reading = warehouse.evidence([])
    assert reading.tables == ()
    assert abs((datetime.now(UTC) - reading.server_now).total_seconds()) < 5


def test_a_table_that_is_dropped_between_polls_is_missing_and_a_grant_that_is_taken_is_seen(db: MysqlServer) -> None:
    db.run("CREATE TABLE shop.coming (updated_at timestamp)", f"GRANT SELECT ON shop.coming TO {READER}")
    reader, asked = tables_at(db, "reader"), [ORDERS, ("coming", "shop.coming", "updated_at")]
    assert reader.evidence(asked).missing == ()
    db.run(f"REVOKE SELECT ON shop.coming FROM {READER}")
    assert reader.evidence(asked).unreadable == ("coming",)
    warehouse = tables_at(db)
    assert warehouse.evidence(asked).missing == ()
    db.run("DROP TABLE shop.coming")
    assert warehouse.evidence(asked).missing == ("coming",)


def test_a_query_that_takes_too_long_is_a_timeout_and_the_server_does_not_go_on_with_it(db: MysqlServer) -> None:
    db.run("CREATE TABLE shop.slow (at datetime)", "INSERT INTO shop.slow VALUES (NOW())")
    db.run("CREATE VIEW shop.slow_view AS SELECT at FROM shop.slow WHERE SLEEP(20) = 0")
    warehouse = tables_at(db, statement_s=1.5)
    began_s = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        warehouse.evidence([("slow", "shop.slow_view", "at")])
    assert raised.value.code == "timeout"
    assert time.monotonic() - began_s < 4
    time.sleep(0.5)
    assert db.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%slow_view%'") == [(1,)]  # this
    assert warehouse.evidence([ORDERS]).tables


def test_a_table_that_is_locked_delays_no_longer_than_its_time(db: MysqlServer, warehouse: MysqlTables) -> None:
    locking = db.connect(database="shop")
    with locking.cursor() as cursor:
        cursor.execute("LOCK TABLES orders WRITE")
        with pytest.raises(PlatformError):
            warehouse.evidence([ORDERS])
        cursor.execute("UNLOCK TABLES")
    locking.close()
    assert warehouse.evidence([ORDERS]).tables


def test_threads_take_turns_on_one_connection(db: MysqlServer) -> None:
    db.run("CREATE USER turns@'127.0.0.%' IDENTIFIED BY 'p@ss'", "GRANT SELECT ON shop.* TO turns@'127.0.0.%'")
    warehouse = tables_at(db, "turns")
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(warehouse.evidence([ORDERS]))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert db.run("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'turns'") == [(1,)]


def test_it_is_what_the_console_reads_a_mysql_source_by(db: MysqlServer, monkeypatch: pytest.MonkeyPatch) -> None:
    source = SourceDeclared("crm", "mysql", f"mysql://console:p%40ss@127.0.0.1:{db.port}/")
    declared = replace(declaration(), sources=(source,))
    monkeypatch.setattr(connect, "declaration", lambda: declared)
    connect.forget()
    try:
        assert connect.origin("crm").evidence([ORDERS]).tables[0].newest_at is not None
    finally:
        connect.forget()

"""The newest stamps of tables, against the tests' own PostgreSQL."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest

from console.platform.database import Database
from console.platform.ports import PlatformError
from console.platform.warehouse import Warehouse
from tests.platform.contracts import WarehouseContract
from tests.services import free_port

ADMIN = os.environ["DATABASE_URL"]
ORDERS = ("shop.public.orders", "public.orders", "updated_at")


def run(url: str, *statements: str) -> None:
    connection = psycopg2.connect(url)
    connection.autocommit = True
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A database of these tests' own, with a user that may not read everything."""
    run(ADMIN, "CREATE DATABASE qd_warehouse")
    address = urlunsplit(urlsplit(ADMIN)._replace(path="/qd_warehouse"))
    run(
        address,
        "CREATE TABLE orders (id int, updated_at timestamptz)",
        "INSERT INTO orders VALUES (1, '2026-11-22 03:00+00'), (2, '2026-11-22 05:30+02')",
        "CREATE TABLE customers (id int, changed timestamp)",
        "INSERT INTO customers VALUES (1, '2026-11-22 03:00')",
        "CREATE TABLE days (day date)",
        "INSERT INTO days VALUES ('2026-11-22')",
        "CREATE TABLE empty_one (updated_at timestamptz)",
        "CREATE TABLE texts (updated_at text)",
        'CREATE SCHEMA "Odd schema"',
        'CREATE TABLE "Odd schema"."weird""name; --" ("Last Change" timestamptz)',
        "CREATE ROLE qd_reader LOGIN",
        "GRANT SELECT ON orders, customers TO qd_reader",
        "ANALYZE orders",
    )
    yield address
    run(ADMIN, "DROP DATABASE qd_warehouse WITH (FORCE)", "DROP ROLE qd_reader")


def as_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    made = Database("the warehouse", url, "WAREHOUSE_URL", statement_s=1)
    yield made
    made._drop()


@pytest.fixture
def warehouse(database: Database) -> Warehouse:
    return Warehouse(database, poll_s=3)


class TestTheContract(WarehouseContract):
    @pytest.fixture
    def tables(self) -> list[tuple[str, str, str]]:
        return [ORDERS, ("e", "public.empty_one", "updated_at")]


def connections(url: str) -> int:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'quarterdeck' AND datname = 'qd_warehouse'"
        )
        number: int = cursor.fetchone()[0]
    connection.close()
    return number


def test_the_newest_stamp_of_each_table_in_utc(warehouse: Warehouse) -> None:
    reading = warehouse.evidence(
        [
            ORDERS,
            ("c", "public.customers", "changed"),
            ("d", "public.days", "day"),
            ("e", "public.empty_one", "updated_at"),
        ]
    )
    assert {each.table: each.newest_at for each in reading.tables} == {
        "shop.public.orders": datetime(2026, 11, 22, 3, 30, tzinfo=UTC),
        "c": datetime(2026, 11, 22, 3, tzinfo=UTC),
        "d": datetime(2026, 11, 22, tzinfo=UTC),
        "e": None,
    }
    assert {each.table: each.rows_estimate for each in reading.tables}["shop.public.orders"] == 2
    assert {each.table: each.rows_estimate for each in reading.tables}["e"] is None
    assert abs((datetime.now(UTC) - reading.server_now).total_seconds()) < 10
    assert 0 < reading.took_s < 3


def test_missing_and_unreadable_tables_hide_no_other(warehouse: Warehouse) -> None:
    reading = warehouse.evidence(
        [
            ("gone", "public.gone", "updated_at"),
            ORDERS,
            ("renamed", "public.orders", "changed_at"),
            ("text", "public.texts", "updated_at"),
        ]
    )
    assert [each.table for each in reading.tables] == ["shop.public.orders"]
    assert reading.missing == ("gone", "renamed")
    assert reading.unreadable == ("text",)


def test_a_table_that_may_not_be_read_hides_no_other(url: str) -> None:
    database = Database("the warehouse", as_user(url, "qd_reader"), "WAREHOUSE_URL")
    reading = Warehouse(database).evidence([ORDERS, ("secret", "public.days", "day")])
    assert [each.table for each in reading.tables] == ["shop.public.orders"]
    assert reading.unreadable == ("secret",)
    assert Warehouse(database).evidence([ORDERS]).missing == ()
    database._drop()


def test_names_are_quoted(url: str, warehouse: Warehouse) -> None:
    reading = warehouse.evidence([("x'; DROP TABLE orders; --", 'Odd schema.weird"name; --', "Last Change"), ORDERS])
    assert [each.newest_at for each in reading.tables if each.table.startswith("x")] == [None]
    assert len(reading.tables) == 2


def test_nothing_declared_still_tells_the_servers_time(warehouse: Warehouse) -> None:
    reading = warehouse.evidence([])
    assert reading.tables == ()
    assert reading.server_now.tzinfo is UTC


def test_a_table_that_is_dropped_between_polls_is_missing_and_one_that_is_made_is_found(
    url: str, warehouse: Warehouse
) -> None:
    run(url, "CREATE TABLE coming (updated_at timestamptz)")
    asked = [ORDERS, ("coming", "public.coming", "updated_at")]
    assert warehouse.evidence(asked).missing == ()
    run(url, "DROP TABLE coming")
    reading = warehouse.evidence(asked)
    assert reading.missing == ("coming",)
    assert [each.table for each in reading.tables] == ["shop.public.orders"]


def test_one_connection_serves_every_poll_and_thread(url: str, warehouse: Warehouse) -> None:
    with ThreadPoolExecutor(8) as threads:
        readings = list(threads.map(lambda _: warehouse.evidence([ORDERS]), range(24)))
    assert {each.tables for each in readings} == {readings[0].tables}
    assert connections(url) == 1


def test_no_transaction_is_left_open(url: str, warehouse: Warehouse) -> None:
    warehouse.evidence([ORDERS])
    run(url, "INSERT INTO orders VALUES (3, '2026-11-22 04:00+00')")
    assert warehouse.evidence([ORDERS]).tables[0].newest_at == datetime(2026, 11, 22, 4, tzinfo=UTC)
    run(url, "DELETE FROM orders WHERE id = 3", "ALTER TABLE orders ADD COLUMN extra int")  # no lock is in its way


def test_a_connection_that_was_cut_is_made_again_at_once(url: str, warehouse: Warehouse) -> None:
    warehouse.evidence([ORDERS])
    ours = "application_name = 'quarterdeck' AND datname = current_database()"  # and not the tests' own connection
    run(url, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")
    assert warehouse.evidence([ORDERS]).tables


def test_a_query_that_takes_too_long_is_a_timeout_and_the_next_poll_gets_its_own_answer(
    url: str, warehouse: Warehouse
) -> None:
    warehouse.evidence([ORDERS])
    locker = psycopg2.connect(url)
    locker.cursor().execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
    began_s = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        warehouse.evidence([ORDERS])
    assert raised.value.code == "timeout"
    assert time.monotonic() - began_s < 3
    locker.close()
    assert warehouse.evidence([ORDERS]).tables


# --- a server that is not there ---------------------------------------------------------------------------------------


def failure(url: str, poll_s: float = 2) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        Warehouse(Database("the warehouse", url, "WAREHOUSE_URL"), poll_s=poll_s).evidence([ORDERS])
    assert raised.value.remedy
    assert "s3cret" not in str(raised.value) + raised.value.remedy
    return raised.value


def test_nothing_listens_there() -> None:
    error = failure(f"postgresql://console:s3cret@127.0.0.1:{free_port()}/warehouse")
    assert error.code == "refused"
    assert "WAREHOUSE_URL" in error.remedy


def test_a_server_that_accepts_and_never_answers(silent: int) -> None:
    began_s = time.monotonic()
    assert failure(f"postgresql://console:s3cret@127.0.0.1:{silent}/warehouse").code == "timeout"
    assert time.monotonic() - began_s < 3


def test_a_server_that_goes_silent_after_the_sign_in(url: str) -> None:
    """Frozen, or cut off by the network: its own statement_timeout can't help then."""
    gate = Gate(url)
    warehouse = Warehouse(Database("the warehouse", gate.url, "WAREHOUSE_URL", statement_s=0.5), poll_s=2)
    assert warehouse.evidence([ORDERS]).tables
    gate.shut.set()
    began_s = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        warehouse.evidence([ORDERS])
    assert raised.value.code == "timeout"
    assert time.monotonic() - began_s < 3
    gate.close()


def test_a_user_that_does_not_exist(url: str) -> None:
    error = failure(as_user(url, "nobody-here:s3cret"))
    assert error.code == "unauthorised"


def test_a_database_that_does_not_exist(url: str) -> None:
    assert failure(urlunsplit(urlsplit(url)._replace(path="/nowhere"))).code == "not_found"


def test_a_url_that_is_none() -> None:
    assert failure("postgresql://console:s3cret@127.0.0.1:notaport/x").code in {"rejected", "refused", "unavailable"}


def test_something_else_than_postgresql(redis_server: Any) -> None:
    assert failure(f"postgresql://console:s3cret@127.0.0.1:{redis_server.port}/x").code in {"unavailable", "timeout"}


class Gate:
    """A TCP proxy to the tests' PostgreSQL that can stop forwarding without hanging up."""

    def __init__(self, url: str) -> None:
        import socket
        from urllib.parse import parse_qs

        parts = urlsplit(url)
        folder = parse_qs(parts.query).get("host", [""])[0]
        self.shut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = urlunsplit(parts._replace(netloc=f"postgres@127.0.0.1:{self._listener.getsockname()[1]}", query=""))

        def forward(source: socket.socket, target: socket.socket) -> None:
            try:
                while data := source.recv(65536):
                    if self.shut.is_set():
                        continue
                    target.sendall(data)
            except OSError:
                return

        def accept() -> None:
            while True:
                try:
                    client = self._listener.accept()[0]
                except OSError:
                    return
                if folder:
                    server = socket.socket(socket.AF_UNIX)
                    server.connect(f"{folder}/.s.PGSQL.5432")
                else:
                    server = socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 5432))
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=forward, args=pair, daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

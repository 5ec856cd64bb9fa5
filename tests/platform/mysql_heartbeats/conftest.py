"""A source of MySQL and one of MariaDB, with their heartbeat tables, and the shop's own sessions at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from console.platform import heartbeat_ddl
from console.platform.heartbeats_mysql import MysqlPulse
from tests.mysql.server import KINDS, MysqlServer, server
from tests.platform.mysql_heartbeats.pulse import TASKS, Session, pulse_at


@pytest.fixture(scope="package", params=KINDS)
def made(request: pytest.FixtureRequest) -> Iterator[MysqlServer]:
    with server(request.param) as found:
        yield found


@pytest.fixture
def db(made: MysqlServer) -> Iterator[MysqlServer]:
    made.run(
        "CREATE DATABASE shop",
        "CREATE TABLE shop.orders (id int AUTO_INCREMENT PRIMARY KEY, at datetime(6)) ENGINE=InnoDB",
        "INSERT INTO shop.orders (at) VALUES (UTC_TIMESTAMP(6))",
        "CREATE USER console@'127.0.0.%' IDENTIFIED BY 'p@ss'",
        *heartbeat_ddl.at_source(TASKS, "mysql", "console@127.0.0.%"),
    )
    try:
        yield made
    finally:
        made.run("DROP DATABASE shop", "DROP DATABASE quarterdeck", "DROP USER console@'127.0.0.%'")


@pytest.fixture
def pulse(db: MysqlServer) -> MysqlPulse:
    return pulse_at(db)


@pytest.fixture
def session(db: MysqlServer) -> Iterator[Callable[[], Session]]:
    made: list[Session] = []

    def begin() -> Session:
        made.append(Session(db))
        return made[-1]

    yield begin
    for one in made:
        if one.connection.open:
            one.close()

"""Statements run one by one at a database, as an administrator would: `manage.py freshness install --run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
import pymysql

from console.platform import mysql
from console.platform.mysql_url import parse


class Unreachable(Exception):
    """Nothing can be run there; the message says why, without the password."""


def run(engine: str, url: str, statements: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each statement with what the server said against it ("": done). Raises Unreachable before the first one."""
    connection = _connected(engine, url)
    try:
        for statement in statements:
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement)
            except (psycopg2.Error, pymysql.MySQLError, OSError) as error:
                yield statement, _said(error)
            else:
                yield statement, ""
    finally:
        connection.close()


def mysql_account(url: str) -> str:
    """The account (`console@10.0.%`) that a MySQL server takes this URL's user for. Raises Unreachable."""
    connection = _connected("mysql", url)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def _connected(engine: str, url: str) -> Any:
    try:
        if engine == "mysql":
            return mysql.connect(parse(url))
        connection = psycopg2.connect(url, connect_timeout=5, application_name="quarterdeck")
    except (psycopg2.Error, pymysql.MySQLError, OSError) as error:
        raise Unreachable(f"The database can't be reached: {_said(error)}") from None
    except ValueError as error:
        raise Unreachable(f"The database's URL {error}.") from None
    connection.autocommit = True
    return connection


def _said(error: Exception) -> str:
    if isinstance(error, pymysql.MySQLError) and len(error.args) > 1:
        return f"{error.args[1]} ({error.args[0]})"
    return (str(error).strip() or type(error).__name__).splitlines()[0]

"""Statements run one by one at a database, as an administrator would: `manage.py freshness install --run`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg2
import pymysql

from console.platform import mysql
from console.platform.mysql_errors import Place, Untrusted
from console.platform.mysql_url import parse
from console.platform.ports import PlatformError


class Unreachable(Exception):
    """Nothing can be run there; the message says why, without the password."""


def run(engine: str, url: str, variable: str, statements: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each statement with what the server said against it ("": done). Raises Unreachable before the first one.

    `variable` names the URL in messages.
    """
    connection = _connected(engine, url, variable)
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
    connection = _connected("mysql", url, "its URL")
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT CURRENT_USER()")
            return str(cursor.fetchone()[0])
    finally:
        connection.close()


def _connected(engine: str, url: str, variable: str) -> Any:
    if engine == "mysql":
        return _at_mysql(url, Place("the database", variable))
    try:
        connection = psycopg2.connect(url, connect_timeout=5, application_name="quarterdeck")
    except psycopg2.Error as error:
        raise Unreachable(f"The database can't be reached: {_said(error)}") from None
    connection.autocommit = True
    return connection


def _at_mysql(url: str, place: Place) -> Any:
    try:
        address = parse(url)
    except ValueError as error:
        raise _told(place.malformed(error)) from None
    try:
        return mysql.connect(address)
    except (pymysql.MySQLError, OSError, Untrusted) as error:
        raise _told(place.refused(address, error)) from None


def _told(error: PlatformError) -> Unreachable:
    return Unreachable(f"The database can't be reached: {error.message}. {error.remedy}")


def _said(error: Exception) -> str:
    if isinstance(error, pymysql.MySQLError) and len(error.args) > 1:
        return f"{error.args[1]} ({error.args[0]})"
    return (str(error).strip() or type(error).__name__).splitlines()[0]

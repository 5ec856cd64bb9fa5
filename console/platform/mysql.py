"""One patient connection to a MySQL or MariaDB source: kept, bounded in time, in autocommit.

PyMySQL waits by the socket, so each wait has a limit of its own; a statement is not begun once the budget is spent.
"""

from __future__ import annotations

import os
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CR, ER

from console.platform.budget import Budget
from console.platform.mysql_url import MysqlAddress, parse
from console.platform.ports import PlatformError

CONNECT_S = 3.0
STATEMENT_S = 3.0
LOCK_S = 2

Row = tuple[Any, ...]

NO_TABLE = frozenset({ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR})
DENIED = frozenset({ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
NO_PRIVILEGE = ER.SPECIFIC_ACCESS_DENIED_ERROR
XA_DENIED = 1401
"""XAER_RMERR: what MySQL 8 says to XA RECOVER by a user without XA_RECOVER_ADMIN."""
_GONE = frozenset({CR.CR_SERVER_GONE_ERROR, CR.CR_SERVER_LOST, 0})
_READ_ONLY = frozenset({1290, 1792, 1836})
# The server's own zone: see heartbeats_mysql. A row that another session locks is not waited for.
_SETTINGS = (
    "SET SESSION time_zone = 'SYSTEM', sql_mode = 'STRICT_TRANS_TABLES',"
    f" innodb_lock_wait_timeout = {LOCK_S}, lock_wait_timeout = {LOCK_S}"
)


class Refused(Exception):
    """A statement that the server refused: its number, and what it said. For callers that know what to make of it."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(f"{number}: {text}")
        self.number = number


class MysqlSession:
    """What may be done while the connection is one's own."""

    def __init__(self, connection: Any, budget: Budget) -> None:
        self._connection = connection
        self._budget = budget

    def rows(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> tuple[list[Row], int]:
        """The rows and how many warnings came with them. Raises Refused, or PlatformError when the time is spent."""
        self._budget.spend(STATEMENT_S)
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query, values or None)
            except pymysql.MySQLError as error:
                number, text = _told(error)
                if number in _GONE or isinstance(error, pymysql.InterfaceError):
                    raise
                raise Refused(number, text) from None
            return list(cursor.fetchall()), int(cursor.warning_count)


class Mysql:
    """A kept connection. Safe for threads, which take turns; a forked process makes its own.

    `system` and `variable` are for messages: "the source shop", "the URL of source shop in platform.yaml".
    """

    def __init__(self, system: str, url: str, variable: str) -> None:
        self.system = system
        self.variable = variable
        self._url = url
        self._lock = threading.Lock()
        self._connection: Any = None
        self._owner = 0

    @contextmanager
    def session(self, budget: Budget) -> Iterator[MysqlSession]:
        """The connection for one piece of work, which is rolled back unless it commits. Raises PlatformError."""
        if not self._lock.acquire(timeout=budget.spend(budget.seconds)):
            raise budget.exceeded()
        try:
            connection = self._connected(budget)
            try:
                yield MysqlSession(connection, budget)
                connection.rollback()
            except BaseException:
                self._drop()  # the server rolls back what was open; the answer may still come: not to the next one
                raise
        except Refused as error:
            raise self._translated(error.number, str(error)) from None
        except pymysql.MySQLError as error:
            self._drop()
            raise self._translated(*_told(error)) from None
        except OSError:
            self._drop()
            raise self._timeout() from None
        finally:
            self._lock.release()

    def _connected(self, budget: Budget) -> Any:
        kept = self._connection
        if kept is not None and self._owner == os.getpid() and kept.open:
            try:
                kept.ping(reconnect=False)
            except (pymysql.MySQLError, OSError):
                self._drop()  # it was idle for too long, or the server began anew
            else:
                return kept
        self._connection = None  # a forked child leaves its parent's connection alone
        connection = connect(self._address(), budget.spend(CONNECT_S))
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
        self._connection, self._owner = connection, os.getpid()
        return connection

    def _address(self) -> MysqlAddress:
        try:
            return parse(self._url)
        except ValueError as error:
            raise PlatformError(
                self.system,
                "malformed",
                f"{self.variable} {error}",
                remedy="Write it like mysql://USER:PASSWORD@HOST:3306/?ssl-mode=verify-identity&ssl-ca=/path.",
                permanent=True,
            ) from None

    def _drop(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            try:
                self._connection._force_close()  # without a farewell: the socket may hang
            except (pymysql.MySQLError, OSError):
                pass
        self._connection = None

    # --- errors ----------------------------------------------------------------------------------------------------

    def _timeout(self) -> PlatformError:
        return PlatformError(
            self.system,
            "timeout",
            f"{self.system} at {self._address().where} did not answer in time",
            remedy="Look at its load, its locks and the network between it and the console.",
        )

    def _translated(self, number: int, text: str) -> PlatformError:
        where, low = self._address().where, text.lower()
        if "timed out" in low or number == ER.QUERY_TIMEOUT:
            return self._timeout()
        if number in {ER.ACCESS_DENIED_ERROR, 1698}:
            return PlatformError(
                self.system,
                "unauthorised",
                f"{self.system} at {where} refuses the user or password",
                remedy=f"Correct {self.variable} (percent-encode the password).",
                permanent=True,
            )
        if number in {ER.BAD_DB_ERROR, ER.DBACCESS_DENIED_ERROR}:
            return PlatformError(
                self.system,
                "not_found",
                f"there is no such database at {where}, or this user may not use it",
                remedy=f"Correct the name behind the host in {self.variable}, or leave it out.",
                permanent=True,
            )
        if number in {ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED}:
            return PlatformError(
                self.system,
                "throttled",
                f"{self.system} at {where} takes no more connections",
                remedy="Raise its limit of connections, or find who holds them.",
            )
        if number in {ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK}:
            return PlatformError(
                self.system,
                "unavailable",
                f"another session locks the heartbeat of {self.system}",
                remedy="Does a second console write it? It is tried again.",
            )
        if number in _READ_ONLY:
            return PlatformError(
                self.system,
                "rejected",
                f"{self.system} at {where} is read only",
                remedy="Is it a replica, as after a failover? Point the source's URL to the primary.",
            )
        if number in {CR.CR_CONNECTION_ERROR, CR.CR_CONN_HOST_ERROR, CR.CR_UNKNOWN_HOST}:
            return PlatformError(
                self.system,
                "refused",
                f"nothing answers at {where}",
                remedy=f"Is {self.system} running, and is {self.variable} its address?",
            )
        if number == CR.CR_SSL_CONNECTION_ERROR or "certificate" in low:
            return PlatformError(
                self.system,
                "refused",
                f"no trusted encrypted connection to {self.system} at {where} came about",
                remedy=f"Compare ssl-mode and ssl-ca of {self.variable} with the server's certificate.",
                permanent=True,
            )
        if number in _GONE:
            return PlatformError(
                self.system,
                "unavailable",
                f"the connection to {self.system} at {where} broke",
                remedy="Is it restarting or failing over? It is tried again.",
            )
        return PlatformError(
            self.system,
            "rejected",
            f"{self.system} refused a statement (error {number})",
            remedy="Compare the heartbeat tables with what manage.py freshness install prints.",
            permanent=True,
        )


def connect(address: MysqlAddress, connect_s: float = CONNECT_S) -> Any:
    """A connection in autocommit. Raises pymysql.MySQLError or OSError."""
    verify = address.ssl_mode.startswith("verify")
    secure: dict[str, Any] = {"ssl_disabled": True} if address.ssl_mode == "disabled" else {}
    if verify:
        secure = {
            "ssl_ca": address.ssl_ca,
            "ssl_verify_cert": True,
            "ssl_verify_identity": address.ssl_mode == "verify-identity",
        }
    elif address.ssl_mode == "required":
        secure = {"ssl": _unverified()}
    where = {"unix_socket": address.socket} if address.socket else {"host": address.host, "port": address.port}
    return pymysql.connect(
        **where,
        user=address.user,
        password=address.password,
        database=address.database or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=connect_s,
        read_timeout=STATEMENT_S,
        write_timeout=STATEMENT_S,
        program_name="quarterdeck",
        **secure,
    )


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # ssl-mode=required says so, as MySQL's own does
    return context


def _told(error: BaseException) -> tuple[int, str]:
    arguments = error.args or (0, "")
    number = arguments[0] if isinstance(arguments[0], int) else 0
    return number, str(error)

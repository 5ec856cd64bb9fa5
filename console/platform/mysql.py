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
from pymysql.constants import ER

from console.platform.budget import Budget
from console.platform.mysql_errors import GONE, Place, Untrusted, told
from console.platform.mysql_url import MysqlAddress, parse

CONNECT_S = 3.0
STATEMENT_S = 3.0
LOCK_S = 2
GIVES_UP_S = 0.5
"""The server gives up a statement so long before the console does."""

Row = tuple[Any, ...]

NO_TABLE = frozenset({ER.NO_SUCH_TABLE, ER.BAD_DB_ERROR})
DENIED = frozenset({ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, ER.DBACCESS_DENIED_ERROR})
NO_PRIVILEGE = ER.SPECIFIC_ACCESS_DENIED_ERROR
XA_DENIED = 1401
"""XAER_RMERR: what MySQL 8 says to XA RECOVER by a user without XA_RECOVER_ADMIN."""
# A row that another session locks is not waited for, and the server ends what nobody waits for any more: MySQL's
# setting is of milliseconds and SELECTs only, MariaDB's of seconds.
_SETTINGS = (
    "SET SESSION time_zone = '{zone}', sql_mode = 'STRICT_TRANS_TABLES',"
    f" innodb_lock_wait_timeout = {LOCK_S}, lock_wait_timeout = {LOCK_S}"
    " /*!50708 , max_execution_time = {limit_ms} */ /*M!100101 , max_statement_time = {limit_s} */"
)


class Refused(Exception):
    """A statement that the server refused: its number, and what it said. For callers that know what to make of it."""

    def __init__(self, behind: pymysql.MySQLError) -> None:
        self.number, text = told(behind)
        self.behind = behind
        super().__init__(f"{self.number}: {text}")


class MysqlSession:
    """What may be done while the connection is one's own."""

    def __init__(self, connection: Any, budget: Budget, statement_s: float) -> None:
        self._connection = connection
        self._budget = budget
        self._statement_s = statement_s

    def rows(self, query: str, values: Sequence[object] | Mapping[str, object] = ()) -> tuple[list[Row], int]:
        """The rows and how many warnings came with them. Raises Refused, or PlatformError when the time is spent."""
        self._budget.spend(self._statement_s)
        with self._connection.cursor() as cursor:
            try:
                cursor.execute(query, values or None)
            except pymysql.MySQLError as error:
                if told(error)[0] in GONE or isinstance(error, pymysql.InterfaceError):
                    raise
                raise Refused(error) from None
            return list(cursor.fetchall()), int(cursor.warning_count)


class Mysql:
    """A kept connection. Safe for threads, which take turns; a forked process makes its own.

    `system` and `variable` are for messages: "the source shop", "the URL of source shop in platform.yaml". `zone` is
    the session's: by default the server's own, in which it says what has no zone (see heartbeats_mysql).
    """

    def __init__(
        self, system: str, url: str, variable: str, *, zone: str = "SYSTEM", statement_s: float = STATEMENT_S
    ) -> None:
        self.system = system
        self._zone = zone
        self._statement_s = statement_s
        self.place = Place(system, variable)
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
                yield MysqlSession(connection, budget, self._statement_s)
                connection.rollback()
            except BaseException:
                self._drop()  # the server rolls back what was open; the answer may still come: not to the next one
                raise
        except Refused as error:
            raise self.place.refused(self._address(), error.behind) from None
        except (pymysql.MySQLError, OSError, Untrusted) as error:
            self._drop()
            raise self.place.refused(self._address(), error) from None
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
        connection = connect(self._address(), budget.spend(CONNECT_S), self._statement_s)
        limit_s = self._statement_s - GIVES_UP_S
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS.format(zone=self._zone, limit_s=limit_s, limit_ms=int(limit_s * 1000)))
        self._connection, self._owner = connection, os.getpid()
        return connection

    def _address(self) -> MysqlAddress:
        try:
            return parse(self._url)
        except ValueError as error:
            raise self.place.malformed(error) from None

    def _drop(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            try:
                self._connection._force_close()  # without a farewell: the socket may hang
            except (pymysql.MySQLError, OSError):
                pass
        self._connection = None


def quoted(name: str) -> str:
    """`schema.table`, or the name of a column, as an identifier."""
    return ".".join("`" + part.replace("`", "``") + "`" for part in name.split(".", 1))


def connect(address: MysqlAddress, connect_s: float = CONNECT_S, statement_s: float = STATEMENT_S) -> Any:
    """A connection in autocommit. Raises pymysql.MySQLError, OSError or Untrusted."""
    secure: dict[str, Any] = {"ssl_disabled": True}
    if address.ssl_mode != "disabled":
        trusted = trust(address)
        secure = {"ssl": trusted} if trusted else {}  # without: encrypted where the server can
    where = {"unix_socket": address.socket} if address.socket else {"host": address.host, "port": address.port}
    return pymysql.connect(
        **where,
        user=address.user,
        password=address.password,
        database=address.database or None,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=connect_s,
        read_timeout=statement_s,
        write_timeout=statement_s,
        program_name="quarterdeck",
        **secure,
    )


def trust(address: MysqlAddress) -> ssl.SSLContext | None:
    """Whom to believe; None where `ssl-mode` leaves it to the server whether to encrypt. Raises Untrusted."""
    if address.ssl_mode not in {"required", "verify-ca", "verify-identity"}:
        return None
    if address.ssl_mode == "required":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # it says so, as MySQL's own client does
        return context
    try:
        context = ssl.create_default_context(cafile=address.ssl_ca)
    except FileNotFoundError:
        raise Untrusted("where there is no file") from None
    except ssl.SSLError:
        raise Untrusted("which holds no certificate that can be read") from None
    except OSError as error:
        raise Untrusted(f"which can't be read ({error.strerror})") from None
    context.check_hostname = address.ssl_mode == "verify-identity"
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # from Python 3.13 on; what MySQL makes for itself does not pass
    return context

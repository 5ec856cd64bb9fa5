"""One patient connection to a PostgreSQL or Redshift database: kept, bounded in time, in autocommit.

psycopg2's own waiting has no limit on the client's side: a server that is frozen, or a network that swallows packets,
would hold a poll for ever. So the connection is asynchronous and waited for here, up to the budget.
"""

from __future__ import annotations

import os
import select
import threading
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from psycopg2 import errorcodes, extensions, sql

from console.platform.budget import Budget
from console.platform.ports import PlatformError

CONNECT_S = 3.0
STATEMENT_S = 4.0

Row = tuple[Any, ...]


class Database:
    """A kept connection. Safe for threads, which take turns; a forked process makes its own.

    `system` and `variable` are for messages: "the warehouse" and WAREHOUSE_URL.
    """

    def __init__(self, system: str, url: str, variable: str, *, statement_s: float = STATEMENT_S) -> None:
        self.system = system
        self.variable = variable
        self._url = url
        self._statement_s = statement_s
        self._lock = threading.Lock()
        self._connection: Any = None
        self._owner = 0

    def rows(self, query: sql.Composable, budget: Budget) -> list[Row]:
        """The rows of one query. Connects where needed, and once again where the kept connection has gone.

        Raises PlatformError, except psycopg2.errors.UndefinedTable, UndefinedColumn and InsufficientPrivilege.
        """
        if not self._lock.acquire(timeout=budget.spend(budget.seconds)):
            raise budget.exceeded()
        try:
            kept = self._connection is not None and self._owner == os.getpid()
            try:
                return self._rows(query, budget)
            except psycopg2.OperationalError as error:
                self._drop()
                if not kept or isinstance(error, extensions.QueryCanceledError):
                    raise
            return self._rows(query, budget)  # an idle session is dropped by Redshift after some hours
        except (
            psycopg2.errors.UndefinedTable,
            psycopg2.errors.UndefinedColumn,
            psycopg2.errors.InsufficientPrivilege,
        ):
            raise
        except psycopg2.Error as error:
            self._drop()
            raise self._translated(error) from None
        except PlatformError:
            self._drop()  # the answer to this query may still come: not to the next one
            raise
        finally:
            self._lock.release()

    def _rows(self, query: sql.Composable, budget: Budget) -> list[Row]:
        connection = self._connected(budget)
        with connection.cursor() as cursor:
            cursor.execute(query)
            self._wait(connection, budget, budget.spend(self._statement_s + 1))
            return list(cursor.fetchall())

    def _connected(self, budget: Budget) -> Any:
        if self._connection is not None and self._owner == os.getpid() and not self._connection.closed:
            return self._connection
        self._connection = None  # a forked child leaves its parent's connection alone
        # An asynchronous connection is always in autocommit: no snapshot is held open between polls.
        connection = psycopg2.connect(
            self._url,
            async_=1,
            application_name="quarterdeck",
            keepalives=1,
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )
        try:
            self._wait(connection, budget, budget.spend(CONNECT_S))
            with connection.cursor() as cursor:
                # Redshift takes both only as statements, not as start-up options.
                cursor.execute(f"SET statement_timeout TO {int(self._statement_s * 1000)}; SET timezone TO 'UTC'")
                self._wait(connection, budget, budget.spend(CONNECT_S))
        except BaseException:
            connection.close()
            raise
        self._connection, self._owner = connection, os.getpid()
        return connection

    def _wait(self, connection: Any, budget: Budget, most_s: float) -> None:
        """Let psycopg2 proceed until the operation is done. Raises PlatformError `timeout`."""
        limit = Budget(self.system, most_s)
        while True:
            state = connection.poll()
            if state == extensions.POLL_OK:
                return
            event = select.POLLIN if state == extensions.POLL_READ else select.POLLOUT
            poller = select.poll()
            poller.register(connection.fileno(), event)
            left_s = min(limit.left_s(), budget.left_s())
            if left_s <= 0 or not poller.poll(left_s * 1000):
                raise self._timeout()

    def _drop(self) -> None:
        if self._connection is not None and self._owner == os.getpid():
            self._connection.close()
        self._connection = None

    # --- errors ----------------------------------------------------------------------------------------------------

    def _where(self) -> str:
        """Host, port and database, without user and password."""
        try:
            parts = urlsplit(self._url)
            return f"{parts.hostname or 'a local socket'}{f':{parts.port}' if parts.port else ''}{parts.path}"
        except ValueError:
            return self.variable

    def _timeout(self) -> PlatformError:
        return PlatformError(
            self.system,
            "timeout",
            f"{self.system} at {self._where()} did not answer in time",
            remedy="Look at its load, its locks and the network between it and the console.",
        )

    def _translated(self, error: psycopg2.Error) -> PlatformError:
        code, text = error.pgcode or "", str(error).lower()
        if code == errorcodes.QUERY_CANCELED:
            return self._timeout()
        if code in {errorcodes.INVALID_PASSWORD, errorcodes.INVALID_AUTHORIZATION_SPECIFICATION} or (
            "authentication failed" in text or "no password supplied" in text or ("role" in text and "exist" in text)
        ):
            return PlatformError(
                self.system,
                "unauthorised",
                f"{self.system} at {self._where()} refuses the user or password",
                remedy=f"Correct {self.variable} (percent-encode the password).",
                permanent=True,
            )
        if code == errorcodes.INVALID_CATALOG_NAME or ("database" in text and "does not exist" in text):
            return PlatformError(
                self.system,
                "not_found",
                f"there is no such database at {self._where()}",
                remedy=f"Correct the name behind the host in {self.variable}.",
                permanent=True,
            )
        if code == errorcodes.TOO_MANY_CONNECTIONS or "too many" in text:
            return PlatformError(
                self.system,
                "throttled",
                f"{self.system} at {self._where()} takes no more connections",
                remedy="Raise its limit of connections, or find who holds them.",
            )
        if "refused" in text or "no such file" in text or "could not translate host" in text:
            return PlatformError(
                self.system,
                "refused",
                f"nothing answers at {self._where()}",
                remedy=f"Is {self.system} running, and is {self.variable} its address?",
            )
        if isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
            return PlatformError(
                self.system,
                "unavailable",
                f"the connection to {self.system} at {self._where()} broke",
                remedy="Is it restarting or failing over? It is tried again.",
            )
        return PlatformError(
            self.system,
            "rejected",
            f"{self.system} refused a query ({code or type(error).__name__})",
            remedy="Compare the tables and columns of platform.yaml with the database.",
            permanent=True,
        )

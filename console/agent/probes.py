"""What a scheduler agent looks at beside the lease: the broker's reachability, and the scheduler's own heartbeat."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

import psycopg2
import psycopg2.extensions

from console.agent import store

EVERY_S = 2.0
START_GRACE_S = 60.0
"""How long a scheduler may take from `go` to its first heartbeat."""


class Probes(threading.Thread):
    """Results are plain attributes, written by this thread only. What could not be looked at is None, never bad."""

    def __init__(self, metadata_url: str, broker_url: str, hostname: str) -> None:
        super().__init__(daemon=True, name="probes")
        self.metadata_url, self.broker_url, self.hostname = metadata_url, broker_url, hostname
        self.broker_error = "" if not broker_url else "not tried yet"
        self.database_error = "not tried yet"  # of Airflow's metadata database, as seen from this host
        self.heartbeat_age_s: float | None = None
        self.looked_s: float | None = None
        self.watching_since_s: float | None = None
        self._connection: psycopg2.extensions.connection | None = None

    def run(self) -> None:
        while True:
            if self.broker_url:
                self.broker_error = reach(self.broker_url)
            self._look()
            time.sleep(EVERY_S)

    def watch_from_now(self) -> None:
        self.watching_since_s = time.monotonic()
        self.heartbeat_age_s = self.looked_s = None

    def hung(self, limit_s: float) -> bool:
        """The scheduler's heartbeat was *seen* to stand still for `limit_s`. Airflow beats within its scheduling loop.

        An unreachable database is no evidence of a hang: nothing is killed for it here (the lease sees to that).
        """
        since_s, looked_s = self.watching_since_s, self.looked_s
        if since_s is None or looked_s is None or time.monotonic() - looked_s > 3 * EVERY_S:
            return False
        running_s = time.monotonic() - since_s
        age_s = self.heartbeat_age_s
        if age_s is None or age_s > running_s:  # no heartbeat since it was started
            return running_s > max(START_GRACE_S, limit_s)
        return age_s > limit_s

    def _look(self) -> None:
        """A standby only looks whether the database answers; a leader also how old its scheduler's heartbeat is."""
        try:
            if self._connection is None:
                self._connection = store.connect(self.metadata_url)
            with self._connection.cursor() as cursor:
                if self.watching_since_s is None:
                    cursor.execute("SELECT 1")
                    self.database_error = ""
                    return
                cursor.execute(
                    """
                    SELECT extract(epoch FROM clock_timestamp() - latest_heartbeat) FROM job
                    WHERE job_type = 'SchedulerJob' AND state = 'running' AND hostname = %s
                    ORDER BY id DESC LIMIT 1
                    """,
                    (self.hostname,),
                )
                row = cursor.fetchone()
            self.heartbeat_age_s = float(row[0]) if row and row[0] is not None else None
            self.looked_s = time.monotonic()
            self.database_error = ""
        except psycopg2.Error as error:
            self.looked_s = None
            self.database_error = (str(error).strip() or type(error).__name__).splitlines()[0]
            with contextlib.suppress(psycopg2.Error):
                if self._connection is not None:
                    self._connection.close()
            self._connection = None

    def close_jobs(self, old_host: str | None) -> None:
        """Mark the Jobs of schedulers that are gone for certain, so that the next one's first loop adopts their tasks.

        Airflow adopts tasks of a Job that does not run at a scheduler's start, and else only after its heartbeat is
        stale and at its next check (300 s by default). Without the right to do so the takeover goes on regardless.
        """
        hosts = [host for host in (old_host, self.hostname) if host]
        try:
            with contextlib.closing(store.connect(self.metadata_url)) as connection, connection.cursor() as cursor:
                cursor.execute(
                    """
                    UPDATE job SET state = 'failed', end_date = clock_timestamp()
                    WHERE job_type = 'SchedulerJob' AND state = 'running' AND hostname = ANY(%s)
                    """,
                    (hosts,),
                )
        except psycopg2.Error as error:
            print(f"agent: old Jobs could not be closed: {str(error).strip()}", flush=True)


def reach(url: str) -> str:
    """ "" when a TCP connection to the broker succeeds and, where it is plain Redis, it answers; else why not."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 6379), timeout=2) as connection:
            if parts.scheme == "redis":
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
                # An error such as NOAUTH is an answer too: the broker is there.
                return "" if answer[:1] in (b"+", b"-") else "no answer"
        return ""
    except OSError as error:
        return error.strerror or str(error)

"""The watcher: hears the workers' heartbeats and keeps the newest of each in the database, in bulk, once a second.

Any number of them may run; the one that holds the lease acts. A thread hears, so that neither a slow database nor a
silent broker keeps the other waiting. It never ends by itself: it tries again, for ever.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, InterfaceError, connection, transaction

from console.fleets import sql
from console.fleets.heartbeats import Failure, Health, Stream, columns
from console.fleets.lease import Lease
from console.live.changes import publish
from console.platform.models import remember_failure, remember_success
from console.platform.ports import BrokerPort, PlatformError
from console.platform.sources import HEARTBEATS

log = logging.getLogger(__name__)

WRITE_EVERY_S = 1.0
TRY_EVERY_S = 0.5
IDLE_S = 0.5
BACKOFF_S = (0.25, 3.0)
BEHIND_S = 5.0
"""A stream that is read this late tells nothing about now."""
_LIMITS = "SET statement_timeout = '5s'; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '5s'"

Clock = Callable[[], datetime]


def utc() -> datetime:
    return datetime.now(UTC)


class Listener:
    """The thread that hears. It connects, and connects again with growing pauses, until it is told to stop."""

    def __init__(self, broker: Callable[[], BrokerPort], clock: Clock = utc) -> None:
        self.stream = Stream()
        self._broker = broker
        self._clock = clock
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> Listener:
        self._thread.start()
        return self

    def stop(self) -> None:
        """Told, not waited for: it ends at its next sign of life, within `IDLE_S`, and writes nothing by itself."""
        self._stop.set()

    def _run(self) -> None:
        pause_s = BACKOFF_S[0]
        while not self._stop.is_set():
            began_s = time.monotonic()
            self.stream.broke(self._hear())
            if time.monotonic() - began_s > 5:
                pause_s = BACKOFF_S[0]
            self._stop.wait(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(pause_s * 2, BACKOFF_S[1])

    def _hear(self) -> Failure:
        """Until it breaks off: why."""
        stream, stopped, clock = self.stream, self._stop.is_set, self._clock
        try:
            for beat in self._broker().heartbeats(idle_s=IDLE_S):
                if beat is None:
                    stream.idle(clock())
                else:
                    stream.heard(beat)
                if stopped():
                    break
        except PlatformError as error:
            log.warning("heartbeats: %s (%s)", error.message, error.code)
            return Failure(error.message, error.code, error.remedy)
        except Exception:
            log.exception("heartbeats: the watcher itself failed")
            return Failure("the watcher failed while reading it", "internal", "Look for the traceback in its log.")
        return Failure("the stream of heartbeats ended", "unavailable", "")


class Watcher:
    """Holds the lease, or waits for it. `run` until `stop` is set."""

    def __init__(self, broker: Callable[[], BrokerPort], holder: str, clock: Clock = utc) -> None:
        self.lease = Lease(holder)
        self.stop = threading.Event()
        self._broker = broker
        self._clock = clock
        self._listener: Listener | None = None
        self._write_s: float | None = None
        self._failing = False

    def run(self) -> None:
        """For ever. Ends within a moment of `stop`, and lets the next one act at once."""
        due_s = time.monotonic()
        while not self.stop.is_set():
            acting = self._once()
            due_s = max(due_s + (WRITE_EVERY_S if acting else TRY_EVERY_S), time.monotonic())
            self.stop.wait(due_s - time.monotonic())
        if self._listener is not None:
            self._listener.stop()
        try:
            self.lease.release()
        except (DatabaseError, InterfaceError):
            log.warning("watch: the lease could not be released; it ends by itself")

    def _once(self) -> bool:
        """One turn; True while this one acts. A database that is away costs turns, nothing else."""
        try:
            self._limit()
            if self.lease.fence is not None:
                acting = self._write()
            else:
                acting = self.lease.acquire()
                if acting:
                    log.info("watch: %s acts, fence %s", self.lease.holder, self.lease.fence)
                    self._listener = Listener(self._broker, self._clock).start()
        except (DatabaseError, InterfaceError) as error:
            if not self._failing:
                log.warning("watch: the database failed: %s", str(error).strip().split("\n", 1)[0])
            self._failing = True
            connection.close()
            return self.lease.fence is not None
        if self._failing:
            log.info("watch: the database answers again")
        self._failing = False
        return acting

    def _limit(self) -> None:
        """A fresh connection gets time limits: a stalled statement must not outlast the lease by much."""
        if connection.connection is None:
            with connection.cursor() as cursor:
                cursor.execute(_LIMITS)

    def _write(self) -> bool:
        listener = self._listener
        assert listener is not None
        beats, goodbyes, health = listener.stream.take()
        began_s = time.monotonic()
        try:
            with transaction.atomic():
                held = self.lease.renew(self._notes(health))
                if held:
                    if beats:
                        sql.write_heartbeats(columns(beats, goodbyes))
                    self._remember(health)
                    if health.news:
                        publish("fleets")
        except (DatabaseError, InterfaceError):
            listener.stream.put_back(beats, goodbyes)
            raise
        if not held:
            log.warning("watch: %s was followed by another; waiting", self.lease.holder)
            listener.stop()
            self._listener = None
        self._write_s = time.monotonic() - began_s
        return held

    def _notes(self, health: Health) -> dict[str, object]:
        return {
            "listening_since": health.listening_since,
            "lag_s": health.lag_s,
            "events": health.events,
            "missed": health.missed,
            "gaps": health.gaps,
            "nodes": health.nodes,
            "write_s": self._write_s,
        }

    def _remember(self, health: Health) -> None:
        """The source is as of the moment up to which the stream was read, less what that is behind."""
        now = self._clock()
        took_s = self._write_s or 0.0
        if health.failure is not None:
            error, code, remedy = health.failure
            remember_failure(HEARTBEATS.name, now, took_s, error=error, code=code, remedy=remedy)
        elif health.lag_s > BEHIND_S:
            remember_failure(
                HEARTBEATS.name,
                now,
                took_s,
                error=f"the watcher reads them {health.lag_s:.0f} s late",
                code="behind",
                remedy="Give the watcher's host more CPU, or look at the broker's load.",
            )
        elif health.alive_at is not None:
            as_of = min(health.alive_at, now) - timedelta(seconds=health.lag_s)
            remember_success(HEARTBEATS.name, as_of, took_s)

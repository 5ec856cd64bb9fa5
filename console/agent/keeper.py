"""The thread that keeps an agent's lease: renews it, takes it over when it may, knows until when to believe in it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg2
import psycopg2.extensions

from console.agent import lease as leases
from console.agent import store
from console.agent.deadline import Deadline
from console.agent.lease import MARGIN_S, Timing, Verdict
from console.agent.store import Report

PEER_FRESH_S = 15.0
SOON_S = 0.25
"""How often whoever has been chosen to lead next looks whether the lease is free."""


@dataclass(frozen=True)
class Peer:
    """Another agent of the same lease, as it last reported itself."""

    name: str
    age_s: float
    detail: Mapping[str, Any]

    @property
    def ready(self) -> bool:
        return self.age_s <= PEER_FRESH_S and bool(self.detail.get("ready"))


class Keeper(threading.Thread):
    """`believes()` is the one question the agent asks before it runs a scheduler, and while it does."""

    def __init__(
        self,
        url: str,
        name: str,
        me: str,
        timing: Timing,
        deadline: Deadline,
        report: Callable[[], Report],
        ready: Callable[[], bool],
    ) -> None:
        super().__init__(daemon=True, name="lease-keeper")
        self.url, self.lease_name, self.me, self.timing, self.deadline = url, name, me, timing, deadline
        self._report, self._ready = report, ready
        self._guard = threading.Lock()
        self._wake = threading.Event()
        self._ended = False
        self._connection: psycopg2.extensions.connection | None = None
        self.token: int | None = None
        self.belief_until_s = 0.0
        self.verdict: Verdict | None = None
        self.peers: tuple[Peer, ...] = ()
        self.next_look_s = timing.loop_s
        self.error = "the lease store has not been reached yet"
        self.may_take = True

    # -- asked by the agent ------------------------------------------------------------------------------------------

    def believes(self) -> bool:
        """It holds the lease, and this moment lies before the end of its belief."""
        with self._guard:
            return self.token is not None and time.monotonic() < self.belief_until_s

    def left_s(self) -> float:
        """Seconds of belief that are left; 0 when it does not hold the lease."""
        with self._guard:
            return max(0.0, self.belief_until_s - time.monotonic()) if self.token is not None else 0.0

    def peer_ready(self) -> bool:
        return any(peer.ready for peer in self.peers)

    def poke(self) -> None:
        """Sync now instead of at the next turn of the loop."""
        self._wake.set()

    def give_up(self) -> None:
        """Release the lease; call it only when no scheduler runs here any more. Best effort: it expires by itself."""
        with self._guard:
            token, self.token, self.belief_until_s = self.token, None, 0.0
        self.deadline.write(0.0)
        if token is None:
            return
        try:
            with contextlib.closing(self._connect()) as connection, connection, connection.cursor() as cursor:
                row, now = leases.read(cursor, self.lease_name, lock=True)
                leases.write(cursor, leases.release(row, self.me, token, now))
        except psycopg2.Error as error:
            self.error = _words(error)

    def stop(self) -> None:
        self._ended = True
        self._wake.set()

    # -- the thread --------------------------------------------------------------------------------------------------

    def run(self) -> None:
        while not self._ended:
            began_s = time.monotonic()
            try:
                self._sync()
                self.error = ""
            except psycopg2.Error as error:
                self.error = _words(error)
                self._drop()
            # A failed try is followed by another at once: what is left of the lease is short.
            pause_s = 0.2 if self.error and self.token is not None else self.next_look_s
            self._wake.wait(max(0.05, pause_s - (time.monotonic() - began_s)))
            self._wake.clear()

    def _connect(self) -> psycopg2.extensions.connection:
        connection = store.connect(
            self.url, timeout_s=max(1, int(self.timing.retry_s)), statement_s=self.timing.retry_s
        )
        connection.autocommit = False
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg2.Error):
                self._connection.close()
            self._connection = None

    def _sync(self) -> None:
        if self._connection is None:
            store.install(self.url, leases.SCHEMA, "takeover")
            self._connection = self._connect()
        with self._guard:
            token = self.token
        sent_s = time.monotonic()
        with self._connection as connection, connection.cursor() as cursor:
            row, now = leases.read(cursor, self.lease_name, lock=True)
            ready = self.may_take and self._ready()
            verdict = leases.sync(row, self.me, token, now, self.timing.ttl_s, ready=ready)
            if verdict.lease != row:
                leases.write(cursor, verdict.lease)
            if verdict.takeover is not None:
                leases.write_takeover(cursor, self.lease_name, verdict.takeover, now)
            store.write_report(connection, self._report())
            peers = self._read_peers(cursor)
        # Only now is it committed; and only from the moment the request was sent may it be believed.
        with self._guard:
            self.verdict, self.peers = verdict, peers
            if verdict.held:
                self.token = verdict.lease.token
                self.belief_until_s = sent_s + self.timing.ttl_s - MARGIN_S
                self.deadline.write(self.belief_until_s)
            else:
                self.token, self.belief_until_s = None, 0.0
                self.deadline.write(0.0)
        self.next_look_s = leases.next_look_s(verdict, self.me, now, self.timing.loop_s, SOON_S)

    def _read_peers(self, cursor: psycopg2.extensions.cursor) -> tuple[Peer, ...]:
        cursor.execute(
            """
            SELECT name, extract(epoch FROM clock_timestamp() - seen_at), detail FROM quarterdeck.agent
            WHERE kind = 'scheduler' AND name <> %s
            """,
            (self.me,),
        )
        return tuple(Peer(name, float(age_s), detail) for name, age_s, detail in cursor.fetchall())


def _words(error: psycopg2.Error) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__

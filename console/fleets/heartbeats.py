"""The watcher's memory: the newest heartbeat of each worker, how far the stream is behind, and what was missed.

One thread hears, another takes what is new, once a second: however many heartbeats come in between, each worker is
written once. Nothing here knows the broker or the database.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, NamedTuple

from console.fleets.names import host_key, host_of, int4, int8, kept
from console.platform.readings import WorkerHeartbeat

NODES_LIMIT = 50_000
"""More names than this are not remembered: somebody is making them up."""
ALIVE_S = 30.0
USUAL_FREQ_S = 2.0
DRIFT = 0.001
"""How fast the distance of a worker's clock is believed to have grown, a part of the difference with each heartbeat."""


class Failure(NamedTuple):
    """Why the stream broke off, as a sentence, with its remedy."""

    error: str
    code: str
    remedy: str


@dataclass(frozen=True)
class Health:
    """How well the stream is read. Times are on the console's clock."""

    listening_since: datetime | None  # without a gap; None: not connected
    alive_at: datetime | None  # the last moment at which the stream is known to have been read to its end
    lag_s: float  # how old what is read now was when it was read, the clocks' distance taken out
    events: int
    missed: int  # heartbeats that were due from workers still alive, and did not come
    gaps: int
    nodes: int  # heard in the last half minute
    news: bool  # something to show has changed since the last time: who there is, or what they work on
    failure: Failure | None


class _Node:
    """What is remembered of one worker to notice its gaps and its clock."""

    __slots__ = ("active", "at", "offset_s", "pid")

    def __init__(self, at: datetime, pid: int | None, active: int | None, offset_s: float | None) -> None:
        self.at = at
        self.pid = pid
        self.active = active
        self.offset_s = offset_s  # received - sent at its least: network and the distance of the clocks


class Stream:
    """Safe for one thread that hears and one that takes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._newest: dict[str, WorkerHeartbeat] = {}
        self._goodbyes: dict[str, datetime] = {}
        self._nodes: dict[str, _Node] = {}
        self._lags: list[float] = []
        self._lag_s = 0.0
        self._since: datetime | None = None
        self._alive_at: datetime | None = None
        self._failure: Failure | None = None
        self._events = self._missed = self._gaps = 0
        self._news = False

    # --- the hearing side ------------------------------------------------------------------------------------------

    def idle(self, at: datetime) -> None:
        """The subscription stands and nothing waits in it."""
        with self._lock:
            self._open(at)
            self._lag_s = 0.0

    def heard(self, beat: WorkerHeartbeat) -> None:
        """One heartbeat. Older than the one remembered can't be: a subscription keeps its order."""
        with self._lock:
            self._open(beat.received_at)
            self._events += 1
            known = self._nodes.get(beat.node)
            if known is None:
                if len(self._nodes) >= NODES_LIMIT:
                    return
                self._nodes[beat.node] = _Node(beat.received_at, beat.pid, beat.active, _offset_s(beat))
                self._news = True
            else:
                self._compare(known, beat)
            self._newest[beat.node] = beat
            if beat.kind == "offline":
                self._goodbyes[beat.node] = beat.received_at

    def broke(self, failure: Failure) -> None:
        """The stream broke off: what is said meanwhile is lost, and nobody's silence counts over the gap."""
        with self._lock:
            if self._since is not None:
                self._gaps += 1
                self._news = True
            self._since = None
            self._failure = failure
            self._nodes.clear()
            self._lags.clear()
            self._lag_s = 0.0

    def _open(self, at: datetime) -> None:
        if self._since is None:
            self._since = at
            self._failure = None
        self._alive_at = at

    def _compare(self, known: _Node, beat: WorkerHeartbeat) -> None:
        freq_s = beat.freq_s if beat.freq_s and beat.freq_s > 0 else USUAL_FREQ_S
        quiet_s = (beat.received_at - known.at).total_seconds()
        if quiet_s > 2.5 * freq_s and beat.pid == known.pid and beat.kind == "heartbeat":
            self._missed += round(quiet_s / freq_s) - 1
        offset_s = _offset_s(beat)
        if offset_s is not None:
            if known.offset_s is None or offset_s < known.offset_s:
                known.offset_s = offset_s
            else:
                self._lags.append(offset_s - known.offset_s)
                known.offset_s += (offset_s - known.offset_s) * DRIFT
        if beat.active != known.active or beat.kind != "heartbeat":
            self._news = True
        known.at, known.pid, known.active = beat.received_at, beat.pid, beat.active

    # --- the taking side -------------------------------------------------------------------------------------------

    def take(self) -> tuple[list[WorkerHeartbeat], dict[str, datetime], Health]:
        """The newest heartbeat of each worker that was heard since the last time, its goodbyes, and the health."""
        with self._lock:
            beats, self._newest = list(self._newest.values()), {}
            goodbyes, self._goodbyes = self._goodbyes, {}
            if self._lags:
                self._lag_s = median(self._lags)
                self._lags = []
            nodes = 0
            if self._alive_at is not None:
                alive_at = self._alive_at
                nodes = sum((alive_at - node.at).total_seconds() <= ALIVE_S for node in self._nodes.values())
                self._forget(alive_at)
            news, self._news = self._news, False
            health = Health(
                listening_since=self._since,
                alive_at=self._alive_at,
                lag_s=self._lag_s,
                events=self._events,
                missed=self._missed,
                gaps=self._gaps,
                nodes=nodes,
                news=news,
                failure=self._failure,
            )
        return beats, goodbyes, health

    def put_back(self, beats: Iterable[WorkerHeartbeat], goodbyes: dict[str, datetime]) -> None:
        """What could not be written: kept, unless something newer has come."""
        with self._lock:
            for beat in beats:
                self._newest.setdefault(beat.node, beat)
            self._goodbyes = goodbyes | self._goodbyes

    def _forget(self, now: datetime) -> None:
        if len(self._nodes) > NODES_LIMIT // 2:
            gone = [name for name, node in self._nodes.items() if (now - node.at).total_seconds() > 10 * ALIVE_S]
            for name in gone:
                del self._nodes[name]


def _offset_s(beat: WorkerHeartbeat) -> float | None:
    return None if beat.sent_at is None else (beat.received_at - beat.sent_at).total_seconds()


def columns(beats: Iterable[WorkerHeartbeat], goodbyes: dict[str, datetime]) -> list[list[Any]]:
    """What is written of them, by column: see `sql.write_heartbeats`. Names bounded, numbers that fit."""
    rows: dict[str, tuple[Any, ...]] = {}
    for beat in beats:
        node = kept(beat.node)
        host = host_of(node)
        rows[node] = (
            node,
            host,
            host_key(host),
            beat.received_at,
            goodbyes.get(beat.node),
            int4(beat.pid),
            int4(beat.active),
            int8(beat.processed),
            beat.load[0] if beat.load else None,
        )
    return [list(column) for column in zip(*(rows[node] for node in sorted(rows)), strict=True)] or [[]] * 9

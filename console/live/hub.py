"""One subscription per web process, shared by all its open tabs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from console.live.changes import CHANNEL
from console.live.tab import Tab

log = logging.getLogger(__name__)

COALESCE_S = 1.0
CHECK_S = 5.0
SESSIONS_S = 20.0
UNVERIFIED_S = 55.0
SILENCE_S = 4.0
BACKOFF_S = (0.2, 0.5, 1.0, 2.0)
MAX_TABS = 2000
MAX_TABS_PER_SESSION = 20

LIVE, FALLBACK = "live", "fallback"


class Full(Exception):
    """This process, or this person, has as many open streams as it may: the page polls."""


class Stuck(Exception):
    """The browser has not taken what was sent to it for too long."""


class Hub:
    """Joins tabs to Redis. All methods run on one event loop.

    `living(keys)` says which of some session keys still belong to somebody who is signed in.
    """

    def __init__(self, url: str, living: Callable[[Collection[str]], Awaitable[set[str]]]) -> None:
        self.tabs: dict[Tab, asyncio.Task[None]] = {}
        self.closing = False
        self.connected: bool | None = None  # None: it is not known yet, and the tab is told when it is
        self._url = url
        self._living = living
        self._verified_at = time.monotonic()
        self._jobs: list[asyncio.Task[None]] = []
        self._sent_at: dict[str, float] = {}
        self._waiting: dict[str, str] = {}

    async def serve(self, tab: Tab, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Run a tab's stream until its browser leaves, its session ends, or the process does. Raises Full, Stuck."""
        mine = Counter(other.session_key for other in self.tabs)[tab.session_key]
        if self.closing or len(self.tabs) >= MAX_TABS or mine >= MAX_TABS_PER_SESSION:
            raise Full
        if not self._jobs:
            self._verified_at = time.monotonic()
            self._jobs = [asyncio.create_task(self._listen()), asyncio.create_task(self._check())]
        task = asyncio.create_task(tab.run(send))
        self.tabs[tab] = task
        if self.connected is not None:
            tab.put(LIVE if self.connected else FALLBACK, "0")
        try:
            await asyncio.wait([task])
            if task.cancelled():
                raise Stuck
            task.result()
        finally:
            task.cancel()
            del self.tabs[tab]
            if not self.tabs:
                self._rest()

    def close(self) -> None:
        """End all streams: the process is about to stop."""
        self.closing = True
        for tab in self.tabs:
            tab.end()

    def _rest(self) -> None:
        """Nobody looks: give the subscription up."""
        for job in self._jobs:
            job.cancel()
        self._jobs, self.connected, self._waiting = [], None, {}

    def _tell(self, event: str, data: str = "0") -> None:
        for tab in self.tabs:
            if event in tab.topics or event in (LIVE, FALLBACK):
                tab.put(event, data)

    def _changed(self, topic: str, version: str) -> None:
        """Tell a topic's change at once, or, within a second of the one before, at the end of that second."""
        waiting = topic in self._waiting
        self._waiting[topic] = version
        if not waiting:
            wait_s = self._sent_at.get(topic, -COALESCE_S) + COALESCE_S - time.monotonic()
            if wait_s > 0:
                asyncio.get_running_loop().call_later(wait_s, self._flush, topic)
            else:
                self._flush(topic)

    def _flush(self, topic: str) -> None:
        version = self._waiting.pop(topic, None)
        if version is not None:
            self._sent_at[topic] = time.monotonic()
            self._tell(topic, version)

    async def _listen(self) -> None:
        """Keep the subscription; while Redis is away the tabs are told to poll."""
        failures = 0
        while True:
            try:
                async with (
                    redis.asyncio.Redis.from_url(
                        self._url,
                        client_name="quarterdeck-live",
                        socket_connect_timeout=2,
                        socket_timeout=SILENCE_S,
                        socket_keepalive=True,
                        retry=Retry(NoBackoff(), 0),
                        decode_responses=True,
                    ) as client,
                    client.pubsub() as subscription,
                ):
                    await subscription.subscribe(CHANNEL)
                    await self._relay(subscription)
            except (redis.RedisError, OSError, TimeoutError) as error:
                failures = 1 if self.connected else failures + 1
                if self.connected is not False:
                    log.warning("open pages poll until Redis is back: %s", error)
                    self.connected = False
                    self._tell(FALLBACK)
                await asyncio.sleep(BACKOFF_S[min(failures, len(BACKOFF_S)) - 1])

    async def _relay(self, subscription: redis.asyncio.client.PubSub) -> None:
        """Pass messages on. Raises TimeoutError when Redis does not answer a ping."""
        asked = False
        while True:
            message = await subscription.get_message(timeout=SILENCE_S / 2)
            if message is None:
                if asked:
                    raise TimeoutError("no answer to a ping")
                await subscription.ping()
                asked = True
                continue
            asked = False
            if message["type"] == "subscribe":
                self.connected = True
                self._tell(LIVE)
            elif message["type"] == "message":
                topic, _, version = str(message["data"]).partition(" ")
                self._changed(topic, version)

    async def _check(self) -> None:
        """Drop the tabs that are stuck and those whose session has ended; also when that can't be found out."""
        while True:
            await asyncio.sleep(CHECK_S)
            for tab, task in list(self.tabs.items()):
                if tab.stuck():
                    task.cancel()
            if time.monotonic() - self._verified_at < SESSIONS_S:
                continue
            keys = {tab.session_key for tab in self.tabs}
            try:
                living = await self._living(keys)
                self._verified_at = time.monotonic()
            except Exception as error:
                log.warning("the sessions of open pages could not be checked: %s", type(error).__name__)
                living = keys if time.monotonic() - self._verified_at < UNVERIFIED_S else set()
            for tab in self.tabs:
                if tab.session_key in keys - living:
                    tab.end()

"""`wait` in `POST freshness/check`: the request waits for a change without a thread or a connection to the database.

An ASGI application in front of Django's: it lets Django answer, and while everything that was asked for is pending it
asks again whenever the console says that freshness changed (or every `REPEAT_S` seconds, should Redis be away).
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
from django.conf import settings

from console.live.changes import CHANNEL

log = logging.getLogger(__name__)

PATH = "/api/v1/freshness/check"
MOST_S = 25.0
LARGEST_BODY = 1_000_000
MOST_WAITING = 1000
LEAST_S, REPEAT_S = 1.0, 5.0
"""Asked again at most and at least so often, in seconds."""

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


class LongPoll:
    """Serves `PATH` by asking `inner`, once or again; hands everything else on."""

    def __init__(self, inner: Application) -> None:
        self.inner = inner
        self.waiting = 0
        self._changed: asyncio.Event | None = None
        self._listening: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self.inner(scope, receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        wait_s = min(_wait_s(body), MOST_S) if self.waiting < MOST_WAITING else 0.0
        answer = await self._ask(scope, body)
        if wait_s > 0 and _undecided(answer):
            answer = await self._wait(scope, body, answer, receive, wait_s)
        for message in answer:
            await send(message)

    async def _wait(
        self, scope: Scope, body: bytes, first: list[Message], receive: Receive, wait_s: float
    ) -> list[Message]:
        """The first answer in which a verdict is another one, or the last one before the time is over."""
        deadline_s = time.monotonic() + wait_s
        answer = first
        leaving = asyncio.create_task(_left(receive))
        self.waiting += 1
        changed = self._listen()
        try:
            while (left_s := deadline_s - time.monotonic()) > 0 and not leaving.done():
                told = asyncio.create_task(changed.wait())
                pause = min(left_s, REPEAT_S)
                await asyncio.wait({told, leaving}, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                told.cancel()
                if leaving.done():
                    break
                answer = await self._ask(scope, body)
                if _verdicts(answer) != _verdicts(first):
                    break
                await asyncio.wait({leaving}, timeout=max(0.0, min(LEAST_S, deadline_s - time.monotonic())))
            return answer
        finally:
            leaving.cancel()
            self.waiting -= 1
            if not self.waiting and self._listening is not None:
                self._listening.cancel()
                self._listening = None

    async def _ask(self, scope: Scope, body: bytes) -> list[Message]:
        """One answer of Django's, as the messages that make it."""
        messages: list[Message] = []
        sent = False

        async def receive() -> Message:
            nonlocal sent
            if sent:  # Django listens for the caller's leaving while it works
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.inner(dict(scope), receive, keep)
        return messages

    def _listen(self) -> asyncio.Event:
        if self._changed is None:
            self._changed = asyncio.Event()
        if self._listening is None:
            self._listening = asyncio.create_task(self._relay())
        return self._changed

    async def _relay(self) -> None:
        """Wake everyone who waits whenever freshness changes; without Redis they look by themselves."""
        while True:
            try:
                async with (
                    redis.asyncio.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client,
                    client.pubsub() as subscription,
                ):
                    await subscription.subscribe(CHANNEL)
                    async for message in subscription.listen():
                        if message["type"] == "message" and str(message["data"]).startswith("freshness "):
                            self._wake()
            except (redis.RedisError, OSError) as error:
                log.warning("who waits for freshness looks again every %.0f s: %s", REPEAT_S, error)
                await asyncio.sleep(REPEAT_S)

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed.clear()


async def _body(receive: Receive) -> bytes | None:
    """The whole of a request; None when the caller left. What is too long is cut, and so refused as no JSON."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        size += len(message.get("body", b""))
        if size <= LARGEST_BODY:
            parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _wait_s(body: bytes) -> float:
    if b"wait" not in body and b"\\" not in body:  # most don't wait; and a name may be spelled with escapes
        return 0.0
    try:
        wait = json.loads(body).get("wait", 0)
        return float(wait) if isinstance(wait, int | float) and not isinstance(wait, bool) else 0.0
    except (ValueError, AttributeError):
        return 0.0


def _verdicts(answer: list[Message]) -> list[str] | None:
    """None where it is no good answer."""
    if not answer or answer[0].get("status") != 200:
        return None
    try:
        body = json.loads(b"".join(message.get("body", b"") for message in answer[1:]))
        return [str(item["verdict"]) for item in body["items"]]
    except (ValueError, KeyError, TypeError):
        return None


def _undecided(answer: list[Message]) -> bool:
    verdicts = _verdicts(answer)
    return bool(verdicts) and "complete" not in (verdicts or [])


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

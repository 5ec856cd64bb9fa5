"""GET /live/events?topics=fleets,scheduler: the stream of changes, as server-sent events.

Events: `live` (told of changes from now on), `fallback` (Redis is away: poll), and topics, whose data is a version
number. A plain ASGI application in front of Django: behind Django's middleware each open stream would hold a thread
and a database connection of its own.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from urllib.parse import parse_qs

from django.conf import settings
from django.http import parse_cookie

from console.live.hub import Full, Hub, Stuck
from console.live.sessions import living_apart
from console.live.tab import Tab
from console.live.topics import asked_for

log = logging.getLogger(__name__)

PATH = "/live/events"
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[Any], Awaitable[None]]
Application = Callable[[Any, Receive, Send], Awaitable[None]]

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
_threads = ThreadPoolExecutor(2, thread_name_prefix="live-sessions")


async def _living(keys: Collection[str]) -> set[str]:
    return await asyncio.get_running_loop().run_in_executor(_threads, partial(living_apart, keys))


class Events:
    """Serves `PATH`, and hands everything else to Django."""

    def __init__(self, django: Application) -> None:
        self.django = django
        self.hub: Hub | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._stream(scope, receive, send)
        else:
            await self.django(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "GET":
            await _refuse(send, 405, "Only GET.", (b"allow", b"GET"))
            return
        key = _session_key(scope)
        try:
            known = bool(key) and key in await _living({key})
        except Exception as error:
            log.warning("a stream of changes is refused, the session can't be read: %s", type(error).__name__)
            await _refuse(send, 503, "The session can't be read now.", (b"retry-after", b"5"))
            return
        if not known:
            await _refuse(send, 401, "Sign in first.", (b"www-authenticate", b"Session"))
            return
        topics = parse_qs(scope["query_string"].decode("latin-1")).get("topics", [""])
        tab = Tab(key, asked_for(",".join(topics)[:1000]), time.monotonic)
        await self._serve(tab, receive, send)

    async def _serve(self, tab: Tab, receive: Receive, send: Send) -> None:
        hub = self._hub()
        started = False

        async def write(chunk: bytes) -> None:
            nonlocal started
            if not started:
                started = True
                await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
                chunk = b"retry: 3000\n\n" + chunk
            await send({"type": "http.response.body", "body": chunk, "more_body": True})

        serving = asyncio.create_task(hub.serve(tab, write))
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait([serving, leaving], return_when=asyncio.FIRST_COMPLETED)
            if serving.done():
                serving.result()
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Full:
            await _refuse(send, 503, "Too many open streams: poll instead.", (b"retry-after", b"60"))
        except (OSError, Stuck):
            pass  # the browser left in the middle of a message, or does not take it: the server closes the connection
        finally:
            serving.cancel()
            leaving.cancel()
            await asyncio.gather(serving, leaving, return_exceptions=True)

    def _hub(self) -> Hub:
        if self.hub is None:
            self.hub = Hub(settings.REDIS_URL, _living)
            _before_exit(asyncio.get_running_loop(), self.hub.close)
        return self.hub


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, status: int, why: str, header: tuple[bytes, bytes]) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), header]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": why.encode()})


def _session_key(scope: Scope) -> str:
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
    return str(parse_cookie("; ".join(lines)).get(settings.SESSION_COOKIE_NAME, ""))[:100]


def _before_exit(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call `call` on the loop when the process is told to stop, before the server's own answer to the signal.

    Servers wait for open answers before they tell an application of their end, and a stream never ends by itself.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        before = signal.getsignal(number)

        def handle(signum: int, frame: Any, before: Any = before) -> None:
            loop.call_soon_threadsafe(call)
            if callable(before):
                before(signum, frame)

        try:
            signal.signal(number, handle)
        except ValueError:  # not the main thread: the server has no signals to answer either
            return

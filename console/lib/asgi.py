"""Django behind ASGI, each request in one of a few threads that stay: with them stay their connections to PostgreSQL.

Django's own handler gives every request a new thread, and so a new connection: 3 to 6 ms until it stands, and as much
again until PostgreSQL has looked up what the first queries name. It also crosses between the event loop and the thread
at each middleware that has no asynchronous half. No view here is asynchronous (what is, is an ASGI application in
front of this one: `console.live.events`, `console.freshness.longpoll`), so one crossing does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, cast

from django.core import signals
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import BaseHandler
from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import set_script_prefix

THREADS = 32
"""At most so many requests are worked on at the same time, with a connection each; further ones wait their turn."""
ALIVE = "/healthz"
"""Has a thread of its own: a process all of whose requests wait for a database that hangs still says that it lives."""

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Threaded(ASGIHandler):
    """Django's ASGI handler with the synchronous chain of middleware, run in a thread of a pool."""

    def __init__(self) -> None:
        BaseHandler.__init__(self)  # ASGIHandler's own would load the middleware once more, asynchronously
        self.load_middleware(is_async=False)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="request")
        self._alive = ThreadPoolExecutor(1, thread_name_prefix="alive")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"Django takes HTTP only, not {scope['type']}.")
        await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        pool = self._alive if scope["path"] == ALIVE else self._threads
        # In a copy: what a request notes in context variables (its script prefix) ends with it. A caller who leaves
        # does not end it: a thread can't be ended.
        work = asyncio.get_running_loop().run_in_executor(pool, copy_context().run, self._answer, scope, body)
        await self.send_response(await asyncio.shield(work), send)

    def _answer(self, scope: Scope, body: Any) -> HttpResponseBase:
        """The whole of a request, in its thread: from the signal that it begins to the one that it is finished."""
        with body:
            set_script_prefix(get_script_prefix(scope))
            signals.request_started.send(sender=type(self), scope=scope)
            request, refused = self.create_request(scope, body)
            response = self.get_response(request) if request is not None else cast(HttpResponseBase, refused)
            response._handler_class = type(self)  # type: ignore[attr-defined]  # what the signal is sent with
            try:
                return _whole(response) if response.streaming else response
            finally:
                response.close()


def _whole(response: HttpResponseBase) -> HttpResponse:
    """A streamed answer as one: its rows are read by this thread's connection. Django does the same with an iterator
    that is not asynchronous."""
    parts = cast(Iterable[bytes], cast(StreamingHttpResponse, response).streaming_content)
    whole = HttpResponse(b"".join(parts), status=response.status_code, headers=dict(response.items()))
    whole.cookies = response.cookies
    return whole

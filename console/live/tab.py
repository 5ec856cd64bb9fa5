"""One open tab: what it has not been told yet, in bounded space."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

KEEP_ALIVE_S = 15.0
STUCK_S = 20.0

Send = Callable[[bytes], Awaitable[None]]


class Tab:
    """A stream to a browser. Of each event only the newest is kept, so a slow tab costs no more than a quick one."""

    def __init__(self, session_key: str, topics: frozenset[str], clock: Callable[[], float]) -> None:
        self.session_key = session_key
        self.topics = topics
        self.sending_since: float | None = None
        self._clock = clock
        self._pending: dict[str, str] = {}
        self._wake = asyncio.Event()
        self._ended = False

    def put(self, event: str, data: str) -> None:
        self._pending[event] = data
        self._wake.set()

    def end(self) -> None:
        """Let the stream end by itself after what is pending."""
        self._ended = True
        self._wake.set()

    def stuck(self) -> bool:
        """Whether the browser has not taken what was sent to it for `STUCK_S` seconds."""
        return self.sending_since is not None and self._clock() - self.sending_since > STUCK_S

    async def run(self, send: Send, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        """Send what comes, and a comment whenever nothing came for `keep_alive_s`, until `end`."""
        while True:
            try:
                await asyncio.wait_for(self._wake.wait(), keep_alive_s)
            except TimeoutError:
                await self._send(send, b": still here\n\n")
                continue
            self._wake.clear()
            pending, self._pending = self._pending, {}
            if pending:
                lines = (f"event: {event}\ndata: {data}\n\n" for event, data in pending.items())
                await self._send(send, "".join(lines).encode())
            if self._ended and not self._pending:
                return

    async def _send(self, send: Send, chunk: bytes) -> None:
        self.sending_since = self._clock()
        await send(chunk)
        self.sending_since = None

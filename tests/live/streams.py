"""A browser's end of the stream."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

import httpx


class Stream:
    """Reads events in the background: `events` holds `(seconds since it opened, event, data)`."""

    def __init__(
        self, client: httpx.AsyncClient, url: str, topics: str = "", cookies: dict[str, str] | None = None
    ) -> None:
        self.client = client
        self.headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
        self.address = f"{url}/live/events" + (f"?topics={topics}" if topics else "")
        self.events: list[tuple[float, str, str]] = []
        self.comments = 0
        self.status = 0
        self.ended = False
        self._changed = asyncio.Condition()
        self._began = time.monotonic()

    async def __aenter__(self) -> Stream:
        self._task = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with self.client.stream("GET", self.address, headers=self.headers) as response:
                self.status = response.status_code
                event = ""
                async for line in response.aiter_lines():
                    if line.startswith("event: "):
                        event = line[7:]
                    elif line.startswith("data: "):
                        await self._note(event, line[6:])
                    elif line.startswith(":"):
                        self.comments += 1
        except httpx.HTTPError:
            pass
        finally:
            self.ended = True
            async with self._changed:
                self._changed.notify_all()

    async def _note(self, event: str, data: str) -> None:
        async with self._changed:
            self.events.append((time.monotonic() - self._began, event, data))
            self._changed.notify_all()

    def names(self) -> list[str]:
        return [event for _, event, _ in self.events]

    async def wait(self, event: str, seconds: float = 10, times: int = 1) -> None:
        """Until `event` has come `times` times in all."""
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.names().count(event) >= times or self.ended)
        assert self.names().count(event) >= times, f"ended with {self.names()}"

    async def wait_end(self, seconds: float) -> None:
        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: self.ended)


def browser(cookies: dict[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        cookies=cookies, timeout=httpx.Timeout(60), limits=httpx.Limits(max_connections=None), trust_env=False
    )

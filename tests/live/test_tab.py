"""A slow browser costs no memory, and is dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from console.live import hub as hubs
from console.live.hub import Full, Hub, Stuck
from console.live.tab import Tab


async def everybody(keys: Collection[str]) -> set[str]:
    return set(keys)


def test_a_tab_that_takes_nothing_holds_the_newest_of_each_event_only() -> None:
    async def body() -> None:
        tab, taken = Tab("key", frozenset({"fleets"}), lambda: 0.0), asyncio.Event()
        chunks: list[bytes] = []

        async def send(chunk: bytes) -> None:
            chunks.append(chunk)
            await taken.wait()

        task = asyncio.create_task(tab.run(send))
        for version in range(10_000):
            tab.put("fleets", str(version))
            if version == 0:
                await asyncio.sleep(0.05)
        taken.set()
        tab.end()
        await task
        assert chunks == [b"event: fleets\ndata: 0\n\n", b"event: fleets\ndata: 9999\n\n"]

    asyncio.run(body())


def test_a_quiet_stream_is_kept_alive() -> None:
    async def body() -> None:
        tab, chunks = Tab("key", frozenset(), lambda: 0.0), []

        async def send(chunk: bytes) -> None:
            chunks.append(chunk)

        task = asyncio.create_task(tab.run(send, keep_alive_s=0.05))
        await asyncio.sleep(0.3)
        tab.end()
        await task
        assert set(chunks) == {b": still here\n\n"}
        assert len(chunks) >= 2

    asyncio.run(body())


def test_a_stuck_tab_is_dropped_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "CHECK_S", 0.02)

    async def body() -> None:
        now = [0.0]
        hub = Hub("redis://127.0.0.1:9/0", everybody)
        stuck, quick = (Tab(key, frozenset({"fleets"}), lambda: now[0]) for key in ("a", "b"))

        async def never(chunk: bytes) -> None:
            await asyncio.Event().wait()

        async def at_once(chunk: bytes) -> None:
            pass

        first = asyncio.create_task(hub.serve(stuck, never))
        second = asyncio.create_task(hub.serve(quick, at_once))
        await asyncio.sleep(0.1)
        assert set(hub.tabs) == {stuck, quick}
        now[0] = 21.0
        with pytest.raises(Stuck):
            await asyncio.wait_for(first, 2)
        assert set(hub.tabs) == {quick}
        hub.close()
        await asyncio.wait_for(second, 2)
        assert not hub.tabs

    asyncio.run(body())


def test_sessions_that_cannot_be_checked_end_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "CHECK_S", 0.01)
    monkeypatch.setattr(hubs, "SESSIONS_S", 0.0)
    monkeypatch.setattr(hubs, "UNVERIFIED_S", 0.2)

    async def nobody_knows(keys: Collection[str]) -> set[str]:
        raise ConnectionError

    async def body() -> None:
        hub, loop = Hub("redis://127.0.0.1:9/0", nobody_knows), asyncio.get_running_loop()

        async def at_once(chunk: bytes) -> None:
            pass

        began = loop.time()
        await asyncio.wait_for(hub.serve(Tab("a", frozenset(), loop.time), at_once), 5)
        assert loop.time() - began > 0.2

    asyncio.run(body())


def test_a_process_that_is_stopping_takes_no_new_streams() -> None:
    async def body() -> None:
        hub = Hub("redis://127.0.0.1:9/0", everybody)
        hub.close()

        async def at_once(chunk: bytes) -> None:
            pass

        with pytest.raises(Full):
            await hub.serve(Tab("a", frozenset(), lambda: 0.0), at_once)

    asyncio.run(body())

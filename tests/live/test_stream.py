"""The stream of changes, with real web processes, a real Redis and real clients."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from itertools import pairwise
from typing import Any

import httpx
import pytest
from django.contrib.sessions.models import Session
from django.db import connections
from pytest_django import Settings

from console.accounts.models import User
from console.live import changes, publish
from tests.live.conftest import Console, sign_in, until
from tests.live.streams import Stream, browser

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _towards_the_consoles_redis(console: Console, settings: Settings) -> Iterator[None]:
    settings.REDIS_URL = console.redis.url
    changes.forget()
    yield
    changes.forget()


async def tell(*topics: str) -> None:
    """What a poll does, in a thread like a poll."""

    def apart() -> None:
        publish(*topics)
        connections.close_all()

    await asyncio.to_thread(apart)


def run(body: Coroutine[Any, Any, None]) -> None:
    asyncio.run(body)


def test_an_open_page_is_told_of_what_it_shows_and_of_nothing_else(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()

    async def body() -> None:
        async with browser(cookie) as client, Stream(client, web.url, "fleets,pools") as stream:
            await stream.wait("live")
            await tell("scheduler", "fleets")
            await stream.wait("fleets")
            await tell("pools")
            await stream.wait("pools")
            assert "scheduler" not in stream.names()
            [data] = [data for _, event, data in stream.events if event == "fleets"]
            assert int(data) >= 1

    run(body())


def test_a_change_is_told_within_half_a_second(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()

    async def body() -> None:
        async with browser(cookie) as client, Stream(client, web.url) as stream:
            await stream.wait("live")
            await tell("freshness")
            await stream.wait("freshness", 0.5)

    run(body())


def test_a_storm_of_changes_is_told_once_a_second_and_its_last_one_is_not_lost(
    console: Console, cookie: dict[str, str]
) -> None:
    web = console.web()

    def storm() -> None:
        for _ in range(250):
            publish("fleets")
            time.sleep(0.01)
        connections.close_all()

    async def body() -> None:
        async with browser(cookie) as client, Stream(client, web.url, "fleets") as stream:
            await stream.wait("live")
            before = int(console.redis.client.get(f"{changes.CHANNEL}:fleets") or 0)
            began = asyncio.get_running_loop().time()
            await asyncio.to_thread(storm)
            took_s = asyncio.get_running_loop().time() - began
            await asyncio.sleep(1.5)
            told = [(at, int(data)) for at, event, data in stream.events if event == "fleets"]
            assert 3 <= len(told) <= took_s + 2
            assert all(later - earlier > 0.8 for (earlier, _), (later, _) in pairwise(told))
            assert told[-1][1] == before + 250

    run(body())


def test_five_hundred_tabs_on_two_web_processes_cost_one_subscription_each(console: Console, user: User) -> None:
    webs = [console.web(), console.another()]
    people = [sign_in(user) for _ in range(50)]

    async def body() -> None:
        async with browser({}) as client, AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(Stream(client, webs[number % 2].url, "fleets", people[number % 50]))
                for number in range(500)
            ]
            await asyncio.gather(*(stream.wait("live", 60) for stream in streams))
            assert console.redis.subscribers() == ["quarterdeck-live"] * 2
            await tell("fleets")
            await asyncio.gather(*(stream.wait("fleets", 5) for stream in streams))
            versions = {data for stream in streams for _, event, data in stream.events if event == "fleets"}
            assert len(versions) == 1
            threads = [len(os.listdir(f"/proc/{web.process.pid}/task")) for web in webs]
            assert max(threads) < 30
        await asyncio.to_thread(until, lambda: console.redis.subscribers() == [], 10)

    run(body())


def test_a_restart_of_redis_sends_the_tabs_to_polling_and_back(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()

    async def body() -> None:
        async with browser(cookie) as client, Stream(client, web.url, "fleets") as stream:
            await stream.wait("live")
            lives = stream.names().count("live")
            console.redis.stop()
            await stream.wait("fallback", 5)
            await tell("fleets")  # does not raise
            await asyncio.to_thread(console.redis.start)
            await stream.wait("live", 10, times=lives + 1)
            changes.forget()
            await tell("fleets")
            await stream.wait("fleets", 5)
            assert not stream.ended

    run(body())


def test_a_redis_that_hangs_is_noticed(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()

    async def body() -> None:
        async with browser(cookie) as client, Stream(client, web.url, "fleets") as stream:
            await stream.wait("live")
            lives = stream.names().count("live")
            assert console.redis.process
            os.kill(console.redis.process.pid, signal.SIGSTOP)
            try:
                await stream.wait("fallback", 12)
            finally:
                os.kill(console.redis.process.pid, signal.SIGCONT)
            await stream.wait("live", 12, times=lives + 1)

    run(body())


def test_a_stream_ends_within_a_minute_of_its_session(console: Console) -> None:
    web = console.web()
    names = ("signed out", "deactivated", "new password", "nothing happened")
    users = {name: User.objects.create_user(name, password="a-long-enough-password") for name in names}
    cookies = {name: sign_in(user) for name, user in users.items()}

    def revoke() -> None:
        Session.objects.filter(session_key=next(iter(cookies["signed out"].values()))).delete()
        User.objects.filter(username="deactivated").update(is_active=False)
        users["new password"].set_password("another-long-password")
        users["new password"].save()
        connections.close_all()

    async def body() -> None:
        async with browser({}) as client, AsyncExitStack() as stack:
            streams = {
                name: await stack.enter_async_context(Stream(client, web.url, "", cookies[name])) for name in names
            }
            await asyncio.gather(*(stream.wait("live") for stream in streams.values()))
            await asyncio.to_thread(revoke)
            goes_on = streams.pop("nothing happened")
            await asyncio.gather(*(stream.wait_end(60) for stream in streams.values()))
            assert not goes_on.ended
            for stream in streams.values():
                assert (await client.get(stream.address, headers=stream.headers)).status_code == 401

    run(body())


def test_sigterm_ends_a_process_with_a_hundred_open_streams_within_three_seconds(console: Console, user: User) -> None:
    web = console.another()
    people = [sign_in(user) for _ in range(10)]

    async def body() -> None:
        async with browser({}) as client, AsyncExitStack() as stack:
            streams = [
                await stack.enter_async_context(Stream(client, web.url, "", people[number % 10]))
                for number in range(100)
            ]
            await asyncio.gather(*(stream.wait("live", 60) for stream in streams))
            assert await asyncio.to_thread(web.stop) < 3
            await asyncio.gather(*(stream.wait_end(3) for stream in streams))

    run(body())
    assert "Traceback" not in web.log.read_text()


def test_who_is_not_signed_in_gets_no_stream(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()
    [name] = cookie
    for cookies in ({}, {name: ""}, {name: "x" * 32}, {name: "'; DROP TABLE"}, {"other": cookie[name]}):
        assert httpx.get(f"{web.url}/live/events", cookies=cookies).status_code == 401
    assert httpx.post(f"{web.url}/live/events", cookies=cookie).status_code == 405


def test_one_person_may_not_take_all_streams(console: Console, cookie: dict[str, str]) -> None:
    web = console.web()

    async def body() -> None:
        async with browser(cookie) as client, AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(Stream(client, web.url)) for _ in range(20)]
            await asyncio.gather(*(stream.wait("live", 20) for stream in streams))
            assert (await client.get(f"{web.url}/live/events")).status_code == 503

    run(body())

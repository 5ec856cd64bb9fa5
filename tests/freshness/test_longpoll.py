"""Waiting for an answer: in front of Django, woken by Redis, without holding a thread or a connection."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from django.conf import settings

from console.freshness.longpoll import LongPoll
from console.live.changes import CHANNEL

PATH = "/api/v1/freshness/check"


class Answers:
    """An application that gives one verdict after another, and the last one for ever."""

    def __init__(self, *verdicts: str, status: int = 200) -> None:
        self.verdicts, self.status, self.asked = list(verdicts), status, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert json.loads((await receive())["body"])["items"]
        verdict = self.verdicts[min(self.asked, len(self.verdicts) - 1)]
        self.asked += 1
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        body = json.dumps({"generation": self.asked, "items": [{"verdict": verdict}]}).encode()
        await send({"type": "http.response.body", "body": body})


def say() -> None:
    """What a poll publishes once it has saved what it read."""
    redis.Redis.from_url(settings.REDIS_URL).publish(CHANNEL, "freshness 1")


async def post(
    application: LongPoll, wait: object, meanwhile: Callable[[], None] | None = None, leaves_after_s: float = 60
) -> tuple[str, float]:
    """The verdict, and how long it took."""
    messages: list[dict[str, Any]] = []
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if not sent:
            sent = True
            return {"type": "http.request", "body": json.dumps({"items": [1], "wait": wait}).encode()}
        await asyncio.sleep(leaves_after_s)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    began_s = time.monotonic()
    if meanwhile:
        asyncio.get_running_loop().call_later(0.5, meanwhile)
    await application({"type": "http", "method": "POST", "path": PATH}, receive, send)
    return json.loads(messages[1]["body"])["items"][0]["verdict"], time.monotonic() - began_s


def test_without_a_wait_or_when_it_is_complete_the_answer_comes_at_once() -> None:
    for inner, wait in ((Answers("pending"), 0), (Answers("complete"), 20), (Answers("pending"), "soon")):
        _, took_s = asyncio.run(post(LongPoll(inner), wait))
        assert took_s < 0.5
        assert inner.asked == 1


def test_it_is_asked_again_as_soon_as_freshness_changes_and_answers_when_the_verdict_does() -> None:
    inner = Answers("pending", "complete")
    verdict, took_s = asyncio.run(post(LongPoll(inner), 20, say))
    assert verdict == "complete"
    assert 0.4 < took_s < 3
    assert inner.asked == 2


def test_it_answers_at_the_end_of_the_wait_with_what_is_true_then() -> None:
    inner = Answers("pending")
    verdict, took_s = asyncio.run(post(LongPoll(inner), 1.5, say))
    assert verdict == "pending"
    assert 1.3 < took_s < 2.5


def test_a_caller_who_leaves_is_not_waited_for() -> None:
    application = LongPoll(Answers("pending"))
    _, took_s = asyncio.run(post(application, 20, leaves_after_s=0.5))
    assert took_s < 2
    assert application.waiting == 0


def test_an_error_is_answered_at_once() -> None:
    inner = Answers("pending", status=422)
    asyncio.run(post(LongPoll(inner), 20))
    assert inner.asked == 1


@pytest.mark.parametrize("number", [300])
def test_many_wait_side_by_side_on_one_thread(number: int) -> None:
    async def all_of_them() -> list[tuple[str, float]]:
        application = LongPoll(Answers(*["pending"] * number, "complete"))
        asyncio.get_running_loop().call_later(1.0, say)
        found = await asyncio.gather(*(post(application, 10) for _ in range(number)))
        assert application.waiting == 0
        return found

    threads = threading.active_count()
    found = asyncio.run(all_of_them())
    assert {verdict for verdict, _ in found} == {"complete"}
    assert max(took_s for _, took_s in found) < 5
    assert threading.active_count() <= threads  # an earlier test's may have ended meanwhile


def test_without_redis_it_still_looks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.freshness.longpoll.REPEAT_S", 0.4)
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:9/0")
    verdict, took_s = asyncio.run(post(LongPoll(Answers("pending", "complete")), 10))
    assert verdict == "complete"
    assert took_s < 2

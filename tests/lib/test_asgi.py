"""Requests in threads that stay, against an application that is Django's but for what it answers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from django.core import signals
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from console.lib import asgi
from console.lib.asgi import Threaded

Answer = Callable[[HttpRequest], HttpResponseBase]


class Answering(Threaded):
    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.get_response = answer  # type: ignore[assignment, method-assign]


async def ask(application: Threaded, path: str = "/", body: bytes = b"", *, leave: bool = False) -> dict[str, Any]:
    """The whole answer. `leave`: the caller is gone before the body was read."""
    messages = [{"type": "http.disconnect"}] if leave else [{"type": "http.request", "body": body}]
    said: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: dict[str, Any]) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": [], "root_path": ""}
    await application(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in said[1:])
    return {"status": said[0]["status"], "headers": dict(said[0]["headers"]), "body": content} if said else {}


def test_the_threads_stay_and_signals_go_with_the_request() -> None:
    seen: list[tuple[str, str]] = []

    def begun(**_: Any) -> None:
        seen.append(("begun", threading.current_thread().name))

    def finished(**_: Any) -> None:
        seen.append(("finished", threading.current_thread().name))

    def answer(request: HttpRequest) -> HttpResponse:
        seen.append(("answered", threading.current_thread().name))
        return HttpResponse(request.body)

    async def five() -> list[bytes]:
        application = Answering(answer)
        return [(await ask(application, body=b"%d" % number))["body"] for number in range(5)]

    signals.request_started.connect(begun)
    signals.request_finished.connect(finished)
    try:
        assert asyncio.run(five()) == [b"0", b"1", b"2", b"3", b"4"]
    finally:
        signals.request_started.disconnect(begun)
        signals.request_finished.disconnect(finished)
    assert [what for what, _ in seen] == ["begun", "answered", "finished"] * 5
    threads = [name for _, name in seen]
    assert threads[0::3] == threads[1::3] == threads[2::3], "a request begins and ends in its thread"
    # One after the other: a thread that is idle takes each. It counts as idle a moment after its answer was given.
    assert set(threads) <= {"request_0", "request_1"}


def test_no_more_than_so_many_at_once_and_the_process_says_that_it_lives_meanwhile() -> None:
    go, inside, most = threading.Event(), threading.Semaphore(0), []
    lock, running = threading.Lock(), 0

    def answer(request: HttpRequest) -> HttpResponse:
        nonlocal running
        if request.path == asgi.ALIVE:
            return HttpResponse("alive")
        with lock:
            running += 1
            most.append(running)
        inside.release()
        go.wait(20)
        with lock:
            running -= 1
        return HttpResponse("done")

    async def flood() -> None:
        application = Answering(answer)
        asked = [asyncio.create_task(ask(application)) for _ in range(asgi.THREADS + 8)]
        for _ in range(asgi.THREADS):
            assert await asyncio.to_thread(inside.acquire, timeout=20)
        assert (await asyncio.wait_for(ask(application, asgi.ALIVE), 5))["body"] == b"alive"
        assert not any(task.done() for task in asked)
        go.set()
        assert [(await task)["body"] for task in asked] == [b"done"] * len(asked)

    asyncio.run(flood())
    assert max(most) == asgi.THREADS


def test_a_stream_is_read_by_the_thread_of_its_request_before_that_is_finished() -> None:
    """Its rows come by that thread's connection."""
    where: set[str] = set()

    def lines() -> Any:
        for number in range(3):
            where.add(threading.current_thread().name)
            yield b"%d\n" % number

    def answer(request: HttpRequest) -> StreamingHttpResponse:
        where.add(threading.current_thread().name)
        streamed = StreamingHttpResponse(lines(), status=203, content_type="text/csv")
        streamed["X-Kept"] = "yes"
        streamed.set_cookie("kept", "yes")
        return streamed

    async def one() -> dict[str, Any]:
        return await ask(Answering(answer))

    found = asyncio.run(one())
    assert (found["status"], found["body"]) == (203, b"0\n1\n2\n")
    headers = {name.decode().lower(): value.decode() for name, value in found["headers"].items()}
    assert (headers["content-type"], headers["x-kept"]) == ("text/csv", "yes")
    assert headers["set-cookie"].startswith("kept=yes")
    assert where == {"request_0"}


def test_a_caller_who_leaves_is_not_answered_and_the_next_one_is() -> None:
    async def both() -> list[dict[str, Any]]:
        application = Answering(lambda request: HttpResponse("done"))
        return [await ask(application, leave=True), await ask(application)]

    gone, next_one = asyncio.run(both())
    assert gone == {}
    assert next_one["body"] == b"done"


def test_a_request_that_is_cancelled_frees_its_thread_when_it_is_done() -> None:
    go, done = threading.Event(), threading.Event()

    def answer(request: HttpRequest) -> HttpResponse:
        if request.path == "/slow":
            go.wait(20)
            assert request.body == b"still there"
            done.set()
        return HttpResponse("done")

    async def cancelled() -> bytes:
        application = Answering(answer)
        slow = asyncio.create_task(ask(application, "/slow", b"still there"))
        await asyncio.sleep(0.1)
        slow.cancel()
        answered = (await ask(application))["body"]  # by another thread
        go.set()
        assert await asyncio.to_thread(done.wait, 20)
        return bytes(answered)

    assert asyncio.run(cancelled()) == b"done"

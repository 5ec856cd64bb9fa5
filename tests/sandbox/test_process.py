"""A supervised process: kept running, held down by a fault, stopped with everything that it started."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from console.sandbox import reaper
from console.sandbox.home import SandboxError
from console.sandbox.process import Process, Spec, ended

Wait = Callable[[Callable[[], object]], Awaitable[None]]
FOREVER = "import time\ntime.sleep(600)"
STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('on', flush=True)\ntime.sleep(600)"
)
PARENT = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {STUBBORN!r}])\ntime.sleep(600)"


def supervised(spec: Spec, said: list[str] | None = None) -> Process:
    return Process(spec, lambda: None, said.append if said is not None else lambda text: None)


def test_one_that_is_killed_is_started_again(python: Callable[..., Spec], wait: Wait) -> None:
    async def scenario() -> None:
        said: list[str] = []
        process = supervised(python(FOREVER), said)
        process.start()
        first = process.pid
        assert first
        process.signal(signal.SIGKILL)
        await wait(lambda: process.pid not in {None, first})
        assert process.restarts == 1
        assert "killed by SIGKILL" in said[0]
        await process.stop()
        assert process.state == "stopped"

    asyncio.run(scenario())


def test_a_held_one_stays_away_until_it_is_released(python: Callable[..., Spec], wait: Wait) -> None:
    async def scenario() -> None:
        process = supervised(python(FOREVER))
        process.start()
        await process.hold()
        await asyncio.sleep(1.5)
        assert process.pid is None
        assert process.state == "held"
        process.release()
        await wait(lambda: process.pid)
        await process.stop()

    asyncio.run(scenario())


def test_one_can_be_held_again_and_stopped_while_it_is_held(python: Callable[..., Spec]) -> None:
    async def scenario() -> None:
        process = supervised(python(FOREVER))
        process.start()
        await process.hold(signal.SIGKILL)
        await process.hold()
        await process.stop()
        assert process.state == "stopped"
        assert process.pid is None

    asyncio.run(scenario())


def test_one_can_be_held_and_released_over_and_over(python: Callable[..., Spec]) -> None:
    async def scenario() -> None:
        process = supervised(python(FOREVER))
        process.start()
        for _ in range(4):
            await process.hold()
            process.release()
            await process.wait_ready()
        assert (process.restarts, process.deaths) == (4, 0)
        await process.stop()

    asyncio.run(scenario())


def test_one_that_ended_clean_before_it_was_held_comes_back_when_it_is_released(
    python: Callable[..., Spec], wait: Wait
) -> None:
    async def scenario() -> None:
        spec = python("import os, time\nif not os.path.exists('once'):\n open('once', 'w')\nelse: time.sleep(600)")
        process = supervised(Spec(**{**spec.__dict__, "again_when_clean": False}))
        process.start()
        await wait(lambda: process.state == "stopped")
        await process.hold()
        process.release()
        await wait(lambda: process.pid is not None)
        await process.stop()

    asyncio.run(scenario())


def test_stopping_ends_grandchildren_that_do_not_listen(python: Callable[..., Spec], wait: Wait) -> None:
    async def scenario() -> None:
        spec = python(PARENT)
        process = supervised(spec)
        process.start()
        session = process.pid
        assert session
        await wait(lambda: b"on" in spec.log.read_bytes())
        assert len(reaper.in_sessions([session])) == 2
        await process.stop()
        assert reaper.in_sessions([session]) == set()

    asyncio.run(scenario())


def test_a_killed_parent_leaves_no_children_behind(python: Callable[..., Spec], wait: Wait) -> None:
    async def scenario() -> None:
        spec = python(PARENT)
        process = supervised(spec)
        process.start()
        session = process.pid
        assert session
        await wait(lambda: b"on" in spec.log.read_bytes())
        process.signal(signal.SIGKILL)
        await wait(lambda: process.restarts == 1)
        await wait(lambda: not reaper.in_sessions([session]))
        await process.stop()

    asyncio.run(scenario())


async def refused() -> bool:
    raise ConnectionRefusedError


def test_one_that_keeps_dying_is_an_error_with_its_last_lines(python: Callable[..., Spec]) -> None:
    async def scenario() -> None:
        code = "print('no such table'); raise SystemExit(3)"
        process = supervised(python(code, name="postgres", ready=refused))
        process.start()
        try:
            with pytest.raises(SandboxError, match=r"postgres does not start[\s\S]*postgres\.log[\s\S]*no such table"):
                await process.wait_ready()
        finally:
            await process.stop()

    asyncio.run(scenario())


def test_one_that_never_serves_is_told_after_its_time(python: Callable[..., Spec]) -> None:
    async def scenario() -> None:
        spec = python(FOREVER, ready=refused)
        process = supervised(Spec(**{**spec.__dict__, "ready_within_s": 0.6}))
        process.start()
        with pytest.raises(SandboxError, match="was not ready within 1 s"):
            await process.wait_ready()
        await process.stop()

    asyncio.run(scenario())


def test_a_missing_program_is_an_error_at_once(python: Callable[..., Spec]) -> None:
    async def scenario() -> None:
        spec = python(FOREVER)
        with pytest.raises(FileNotFoundError):
            supervised(Spec(**{**spec.__dict__, "command": (str(Path("/no/such/program")),)})).start()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit code 0"), (1, "exit code 1"), (-9, "killed by SIGKILL"), (None, "still running")]
)
def test_exit_codes_in_words(code: int | None, words: str) -> None:
    assert ended(code) == words

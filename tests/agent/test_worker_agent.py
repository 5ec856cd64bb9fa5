"""The worker agent, with real processes: it stops a worker only warm, and says how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg2
import pytest

WORKER = textwrap.dedent(
    """
    import signal, sys, time
    log = open(sys.argv[1], "a", buffering=1)
    terms = 0
    def term(*_):
        global terms
        terms += 1
        log.write("TERM\\n")
    signal.signal(signal.SIGTERM, term)
    log.write("up\\n")
    while not terms:
        time.sleep(0.05)
    end = time.monotonic() + float(sys.argv[2])   # the running task
    while time.monotonic() < end:
        time.sleep(0.05)
    log.write("done\\n")
    sys.exit(int(sys.argv[3]))
    """
)
Start = Callable[..., "subprocess.Popen[bytes]"]


def wait_for(condition: Callable[[], object], what: str, within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"waited {within_s} s for {what}"
        time.sleep(0.05)


@pytest.fixture
def start(tmp_path: Path, store_url: str) -> Iterator[Start]:
    (tmp_path / "worker.py").write_text(WORKER)
    started: list[subprocess.Popen[bytes]] = []

    def run(work_s: float = 0.2, code: int = 0, url: str = store_url, **options: str) -> subprocess.Popen[bytes]:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        command = [sys.executable, str(tmp_path / "worker.py"), str(tmp_path / "log"), str(work_s), str(code)]
        process = subprocess.Popen(
            [sys.executable, "-m", "console.agent", "worker", "--name", "i-1", "--store-url", url]
            + ["--spool", str(tmp_path / "spool"), *flags, "--", *command],
            start_new_session=True,
        )
        started.append(process)
        wait_for(lambda: "up" in log(), "the worker to start")
        return process

    def log() -> str:
        path = tmp_path / "log"
        return path.read_text() if path.exists() else ""

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(5)


def receipts(url: str) -> list[dict[str, Any]]:
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, exit_code, signal, asked, child_pid FROM quarterdeck.receipt")
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def test_term_waits_for_the_work_and_leaves_a_clean_receipt(start: Start, store_url: str, tmp_path: Path) -> None:
    agent = start(work_s=1.0, on_drained=f"touch {tmp_path}/off")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 0
    assert (tmp_path / "log").read_text().split() == ["up", "TERM", "done"]
    [receipt] = receipts(store_url)
    assert (receipt["name"], receipt["exit_code"], receipt["asked"]) == ("i-1", 0, True)
    assert (tmp_path / "off").exists()


def test_a_second_term_and_one_to_the_group_change_nothing(start: Start, tmp_path: Path) -> None:
    agent = start(work_s=1.0)
    os.killpg(agent.pid, signal.SIGTERM)
    time.sleep(0.2)
    os.killpg(agent.pid, signal.SIGTERM)
    agent.send_signal(signal.SIGINT)
    assert agent.wait(10) == 0
    assert (tmp_path / "log").read_text().split() == ["up", "TERM", "done"]


def test_a_worker_that_fails_is_told_and_never_powers_off(start: Start, store_url: str, tmp_path: Path) -> None:
    agent = start(code=3, on_drained=f"touch {tmp_path}/off")
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(10) == 3
    assert receipts(store_url)[0]["exit_code"] == 3
    assert not (tmp_path / "off").exists()


def test_a_killed_worker_leaves_a_receipt_that_names_the_signal(start: Start, store_url: str, tmp_path: Path) -> None:
    agent = start()
    wait_for(lambda: child_of(agent.pid), "the child")
    os.kill(child_of(agent.pid), signal.SIGKILL)
    assert agent.wait(10) == 128 + signal.SIGKILL
    [receipt] = receipts(store_url)
    assert (receipt["exit_code"], receipt["signal"], receipt["asked"]) == (None, signal.SIGKILL, False)


def test_a_killed_agent_leaves_no_unsupervised_worker(start: Start, tmp_path: Path) -> None:
    agent = start()
    agent.kill()
    wait_for(lambda: "done" in (tmp_path / "log").read_text(), "the worker to end warm")


def test_a_receipt_that_could_not_be_delivered_goes_with_the_next_run(
    start: Start, store_url: str, tmp_path: Path
) -> None:
    nowhere = "postgresql://nobody@127.0.0.1:9/nothing"
    first = start(url=nowhere, receipt_timeout="0.5")
    first.send_signal(signal.SIGTERM)
    assert first.wait(10) == 0
    assert len(list((tmp_path / "spool").glob("receipt-*"))) == 1
    (tmp_path / "log").unlink()
    second = start()
    second.send_signal(signal.SIGTERM)
    assert second.wait(10) == 0
    assert len(receipts(store_url)) == 2


def test_an_unknown_program_is_named(store_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "console.agent", "worker", "--store-url", store_url, "--spool", str(tmp_path)]
        + ["--", "no-such-program"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 127
    assert "no-such-program can't be started" in done.stderr


def test_the_agent_imports_no_django() -> None:
    code = "import console.agent.__main__, sys; sys.exit(any(m.split('.')[0] == 'django' for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], timeout=20, check=False).returncode == 0


def child_of(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(children[0]) if children else 0

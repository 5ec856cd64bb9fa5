"""The worker agent: supervises one Celery worker, stops it only when its work is done, and writes a receipt.

Facts it rests on (Celery 5.6.3, see docs/agents.md): TERM to the worker's *main* process is a warm shutdown; TERM to
the whole process group kills running tasks. So the worker runs in a group of its own, only its main process is ever
signalled, and a second TERM to the agent changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import asdict
from json import dumps
from pathlib import Path
from types import FrameType

import psycopg2

from console.agent import child, store
from console.agent.store import Receipt, Report

REPORT_EVERY_S = 5.0


def say(text: str) -> None:
    print(f"agent: {text}", file=sys.stderr, flush=True)


class WorkerAgent:
    """One run of one worker. `run` returns the exit code for the service manager: the worker's own."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.run_id = str(uuid.uuid4())
        self.name: str = options.name or socket.gethostname()
        self.asked = False
        self.state = "starting"
        self.process: subprocess.Popen[bytes] | None = None
        self.ended = threading.Event()

    def run(self) -> int:
        spool = Path(self.options.spool)
        spool.mkdir(parents=True, exist_ok=True)
        tally = Path(tempfile.mkstemp(prefix="tally-", dir=spool)[1])
        command = child.command_line(self.options.command, "console.agent.entry_worker")
        # Before the worker exists, so that a TERM in between is not lost.
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._stop)
        started_at_s = time.time()
        try:
            # A killed agent must not leave an unsupervised worker: the kernel then asks it to stop, warm.
            self.process = child.start(
                command, environment={"QUARTERDECK_TALLY": str(tally)}, when_agent_dies=signal.SIGTERM
            )
        except OSError as error:
            say(f"{self.options.command[0]} can't be started: {error.strerror or error}. Is it on PATH?")
            return 127
        self.state = "stopping" if self.asked else "running"
        if self.asked:
            self._forward()
        reporter = threading.Thread(target=self._report_for_ever, daemon=True)
        reporter.start()
        code = self.process.wait()
        self.state = "exited"
        self.ended.set()
        receipt = Receipt(
            run_id=self.run_id,
            name=self.name,
            kind="worker",
            host=socket.gethostname(),
            child_pid=self.process.pid,
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            asked=self.asked or code == 0,
            tasks_finished=_read_tally(tally),
            started_at_s=started_at_s,
            exited_at_s=time.time(),
        )
        tally.unlink(missing_ok=True)
        say(f"worker {self.name} ended: {dumps({'exit_code': receipt.exit_code, 'signal': receipt.signal})}")
        self._deliver(receipt, spool)
        if receipt.clean and self.options.on_drained:
            say(f"clean exit: running {self.options.on_drained!r}")
            subprocess.run(self.options.on_drained, shell=True, check=False)
        return code if code >= 0 else 128 - code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            return  # already stopping: a second TERM to Celery would be a cold shutdown
        self.asked = True
        self.state = "stopping"
        self._forward()

    def _forward(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGTERM)

    def _report(self) -> Report:
        assert self.process is not None
        return Report(
            name=self.name,
            kind="worker",
            host=socket.gethostname(),
            run_id=self.run_id,
            pid=os.getpid(),
            child_pid=self.process.pid,
            state=self.state,
            detail={"version": self.options.version} if self.options.version else {},
        )

    def _report_for_ever(self) -> None:
        """Best effort: a store out of reach never touches the worker."""
        connection = None
        while not self.ended.is_set():
            try:
                if connection is None:
                    store.install(self.options.store_url)
                    connection = store.connect(self.options.store_url)
                store.write_report(connection, self._report())
            except psycopg2.Error:
                connection = None
            self.ended.wait(REPORT_EVERY_S)

    def _deliver(self, receipt: Receipt, spool: Path) -> None:
        """To disk first; then to the store, for `receipt_timeout` seconds. The rest goes with the next run."""
        path = spool / f"receipt-{receipt.run_id}.json"
        path.write_text(dumps(asdict(receipt)))
        deadline_s = time.monotonic() + self.options.receipt_timeout
        wait_s = 0.5
        while True:
            try:
                deliver_spool(self.options.store_url, spool)
                connection = store.connect(self.options.store_url)
                with contextlib.closing(connection):
                    store.write_report(connection, self._report())
                return
            except psycopg2.Error as error:
                if time.monotonic() >= deadline_s:
                    say(f"the receipt stays in {path}: {str(error).strip()}")
                    return
            time.sleep(min(wait_s, max(0.0, deadline_s - time.monotonic())))
            wait_s = min(wait_s * 2, 15.0)


def deliver_spool(url: str, spool: Path) -> None:
    """Write every receipt that lies in `spool` to the store, and remove it there. Raises psycopg2.Error."""
    from json import loads

    store.install(url)
    with contextlib.closing(store.connect(url)) as connection:
        for path in sorted(spool.glob("receipt-*.json")):
            store.write_receipt(connection, Receipt(**loads(path.read_text())))
            path.unlink()


def _read_tally(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None

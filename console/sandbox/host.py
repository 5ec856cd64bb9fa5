"""A scheduler's host, until the scheduler agent takes this place: one process that runs one `airflow scheduler`.

    python host.py STATE_FILE RESTART_AFTER_S COMMAND…

The child's pid is kept in STATE_FILE. A child that dies is started again only after RESTART_AFTER_S seconds, or at
once on SIGUSR1: an operator must get to see a scheduler that is gone. SIGUSR2 kills the child and keeps it away until
SIGUSR1. The child never outlives this process. Only the standard library: it must stay small.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1


class Host:
    def __init__(self, state_file: Path, restart_after_s: float, command: list[str]) -> None:
        self.state_file = state_file
        self.restart_after_s = restart_after_s
        self.command = command
        self.child: subprocess.Popen[bytes] | None = None
        self.stopping = self.held = False
        self.wake = threading.Event()

    def _note(self, pid: int | None) -> None:
        fresh = self.state_file.with_suffix(".new")
        fresh.write_text(json.dumps({"pid": pid, "held": self.held}))
        fresh.replace(self.state_file)

    def on_start(self, number: int, frame: FrameType | None) -> None:
        self.held = False
        self.wake.set()

    def on_kill(self, number: int, frame: FrameType | None) -> None:
        self.held = True
        if self.child and self.child.poll() is None:
            self.child.kill()

    def on_stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        self.wake.set()
        if self.child and self.child.poll() is None:
            self.child.terminate()

    def run(self) -> None:
        libc = ctypes.CDLL(None)
        while not self.stopping:
            if not self.held:
                self.child = subprocess.Popen(
                    self.command, preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
                )
                self._note(self.child.pid)
                while self.child.poll() is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self.child.wait(1)
                code = self.child.returncode
                self._note(None)
                if self.stopping:
                    break
                print(f"scheduler ended with {code}; again in {self.restart_after_s:.0f} s", flush=True)
            self.wake.clear()
            until = time.monotonic() + self.restart_after_s
            while not self.wake.is_set() and (self.held or time.monotonic() < until):
                self.wake.wait(0.5)


def main() -> None:
    host = Host(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
    signal.signal(signal.SIGTERM, host.on_stop)
    signal.signal(signal.SIGINT, host.on_stop)
    signal.signal(signal.SIGUSR1, host.on_start)
    signal.signal(signal.SIGUSR2, host.on_kill)
    host.run()
    os._exit(0)


if __name__ == "__main__":
    main()

"""`python -m console.sandbox.body QUEUE -- COMMAND …`: makes a container the machine of an instance of a queue's fleet.

The AWS stand-in says each second which instance this machine is (`aws/machines.py`), if any: a spare machine waits
until its group launches one. COMMAND is run with `{instance}`, `{queue}`, `{concurrency}` and `{version}` filled in.

As on EC2: an instance that is terminated has a moment, and then is gone, whatever it was doing: the container ends, and
its restart policy makes it a fresh machine. A worker that crashes is started again, as systemd would. One that ended
clean was drained and stays down, as a host that powers itself off. While AWS is out of reach nothing changes.

Only the standard library: it runs in Airflow's environment.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from enum import Enum
from types import FrameType
from typing import Any

INTERVAL_S = 1.0
ANSWER_WITHIN_S = 5.0
LAST_MOMENT_S = 5.0
"""From TERM to KILL when the instance is terminated."""
RESTART_AFTER_S = 5.0
STATE = os.environ.get("BODY_STATE", "/tmp/body.json")
"""Read by the container's health check; on its own tmpfs."""


@dataclass(frozen=True)
class Told:
    """What the AWS stand-in said: which instance this machine is now. `seen` is False when nobody answered."""

    seen: bool
    instance: str | None = None
    queue: str = ""
    concurrency: int = 0
    version: str = ""


class Worker(Enum):
    """The worker of this machine."""

    NONE = "none"
    RUNNING = "running"
    CRASHED = "crashed"
    DRAINED = "drained"


class Step(Enum):
    """What to do now."""

    WAIT = "wait"
    START = "start"
    VANISH = "vanish"


def decide(instance: str | None, worker: Worker, told: Told, down_s: float) -> Step:
    """The next step of a machine that is `instance` (None: a spare one), whose worker has been down for `down_s`."""
    if not told.seen:
        return Step.WAIT
    if instance is None:
        return Step.START if told.instance else Step.WAIT
    if told.instance != instance:
        return Step.VANISH
    return Step.START if worker is Worker.CRASHED and down_s >= RESTART_AFTER_S else Step.WAIT


def ask(url: str, body: dict[str, str]) -> Told:
    """Ask the stand-in. Never raises: no answer is `seen=False`."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_WITHIN_S) as answer:
            said: dict[str, Any] = json.load(answer)
        return Told(True, said["instance"], said["queue"], int(said["concurrency"]), str(said["version"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Told(seen=False)


def address_towards(url: str) -> str:
    """This machine's own address, as the host in `url` sees it."""
    host = url.split("//", 1)[1].split("/", 1)[0].partition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host[0], int(host[2] or 80)))
        return str(probe.getsockname()[0])


class Machine:
    """The loop around `decide`."""

    def __init__(self, queue: str, command: list[str], url: str) -> None:
        self.queue, self.command, self.url = queue, command, url
        self.host = socket.gethostname()
        self.instance: str | None = None
        self.process: subprocess.Popen[bytes] | None = None
        self.down_since_s = 0.0
        self.asked_to_stop = False
        self.said = ""

    def worker(self) -> Worker:
        if self.process is None:
            return Worker.NONE
        code = self.process.poll()
        if code is None:
            return Worker.RUNNING
        return Worker.DRAINED if code == 0 else Worker.CRASHED

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self.asked_to_stop:
            told = self._ask()
            worker = self.worker()
            if worker is Worker.RUNNING:
                self.down_since_s = time.monotonic()
            step = decide(self.instance, worker, told, time.monotonic() - self.down_since_s)
            self._note(told, worker)
            if step is Step.START:
                self._start(told)
            elif step is Step.VANISH:
                self._say(f"instance {self.instance} has been terminated: this machine ends")
                self._end(LAST_MOMENT_S)
                return 0
            time.sleep(INTERVAL_S)
        # The engine stops the container: a shutdown of the host, so the worker drains for as long as it is given.
        self._end(None)
        return 0

    def _ask(self) -> Told:
        try:
            address = address_towards(self.url)
        except OSError:
            return Told(seen=False)
        return ask(f"{self.url}/sandbox/machine", {"host": self.host, "address": address, "queue": self.queue})

    def _start(self, told: Told) -> None:
        self.instance = told.instance
        values = {
            "instance": told.instance or "", "queue": told.queue, "concurrency": str(told.concurrency),
            "version": told.version,
        }  # fmt: skip
        self._say(f"this machine is {self.instance}: starting its worker")
        self.process = subprocess.Popen(
            [part.format(**values) for part in self.command],
            env={**os.environ, "PLATFORM_HOST": values["instance"]},
            start_new_session=True,
        )
        self.down_since_s = time.monotonic()

    def _end(self, within_s: float | None) -> None:
        """TERM to the worker's agent alone; after `within_s` (None: never) KILL to all of its session."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            # The container ends with this process, and with it whatever is left in other groups.
            os.killpg(self.process.pid, signal.SIGKILL)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.asked_to_stop = True

    def _note(self, told: Told, worker: Worker) -> None:
        """For the health check: who this machine is, and that the loop turns."""
        state = {"instance": self.instance, "worker": worker.value, "seen": told.seen, "at": time.time()}
        fresh = f"{STATE}.new"
        with open(fresh, "w") as file:
            json.dump(state, file)
        os.replace(fresh, STATE)

    def _say(self, text: str) -> None:
        print(f"body: {text}", file=sys.stderr, flush=True)


def main(arguments: list[str]) -> int:
    url = os.environ.get("AWS_ENDPOINT_URL", "")
    if len(arguments) < 3 or arguments[1] != "--" or not url:
        print("body: AWS_ENDPOINT_URL must be set, and the arguments: QUEUE -- COMMAND …", file=sys.stderr)
        return 2
    return Machine(arguments[0], arguments[2:], url.rstrip("/")).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The scheduler agent: one per scheduler host. Whoever holds the lease runs Airflow's scheduler; the others wait, hot.

It decides by the lease alone: the console being down changes nothing. It stops its scheduler *before* its lease can end
for others, and only it starts schedulers (no service manager restarts them). docs/scheduler-failover.md has the why.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from console.agent import child, probes
from console.agent.deadline import Deadline
from console.agent.keeper import Keeper
from console.agent.lease import Timing
from console.agent.store import Report

LOOP_S = 0.1
RESTART_PAUSE_S = (1.0, 2.0, 5.0, 10.0)
YIELD_S = 3.0
"""After a hand-over the next program is loaded a little later: where hosts share a machine, the new leader first."""


def say(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} agent: {text}", file=sys.stderr, flush=True)


class HotChild:
    """Airflow's scheduler program: loading, then ready, then (after `go`) the scheduler itself."""

    def __init__(self, arguments: list[str], deadline_path: Path) -> None:
        self._status, write_end = os.pipe()
        command = [
            sys.executable,
            "-m",
            "console.agent.entry_scheduler",
            str(write_end),
            str(deadline_path),
            *arguments,
        ]
        self.process = child.start(
            command, when_agent_dies=signal.SIGKILL, pass_fds=(write_end,), stdin=subprocess.PIPE
        )
        os.close(write_end)
        self._heard = b""
        self.identity: dict[str, Any] = {}
        self.ready = False
        self.started_s: float | None = None

    def listen(self) -> None:
        """Take in what it said, without waiting."""
        while select.select([self._status], [], [], 0)[0]:
            data = os.read(self._status, 4096)
            if not data:
                return
            self._heard += data
            while b"\n" in self._heard:
                line, self._heard = self._heard.split(b"\n", 1)
                word, _, rest = line.decode().partition(" ")
                if word == "ready":
                    self.ready, self.identity = True, json.loads(rest)

    def go(self) -> None:
        assert self.process.stdin is not None
        self.started_s = time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"go\n")
            self.process.stdin.flush()

    def signal(self, sign: signal.Signals) -> None:
        """TERM goes to the scheduler alone, KILL to everything it started."""
        with contextlib.suppress(ProcessLookupError):
            if sign is signal.SIGKILL:
                os.killpg(self.process.pid, sign)
            else:
                self.process.send_signal(sign)

    def ended(self) -> bool:
        return self.process.poll() is not None

    def close(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait()
        os.close(self._status)
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()


class SchedulerAgent:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.timing = Timing(options.ttl, options.loop, options.retry, options.stop)
        self.run_id = str(uuid.uuid4())
        folder = Path(options.state or tempfile.mkdtemp(prefix="scheduler-agent-"))
        folder.mkdir(parents=True, exist_ok=True)
        self.deadline_path = folder / "deadline"
        self.child_path = folder / "child.json"  # who runs the scheduler here, for whoever looks at the host
        self._note_child(None)
        self.deadline = Deadline(self.deadline_path)
        self.deadline.write(0.0)
        self.keeper = Keeper(
            options.lease_url, options.lease, options.name, self.timing, self.deadline, self._report, self._is_ready
        )
        self.probes = probes.Probes(options.metadata_url or options.lease_url, options.broker_url, options.hostname)
        self.child: HotChild | None = None
        self.spare: HotChild | None = None  # loaded as soon as a hang is suspected, so that a restart is hot too
        self.leading = False
        self.stopping_s: float | None = None  # when TERM was sent to the running scheduler
        self.restarts = 0  # of children that ended before they were of use
        self.hangs = 0  # in this term of leadership
        self.not_before_s = 0.0
        self.ended = False

    # -- what it says of itself --------------------------------------------------------------------------------------

    def _unready(self) -> str:
        """Why it could not take over now; "" when it could."""
        hot = self.child
        if self.leading:
            return ""
        if hot is None or not hot.ready:
            return "the scheduler's program is still loading"
        if self.probes.database_error:
            return f"Airflow's database can't be reached from here: {self.probes.database_error}"
        if hot.identity.get("row_locks") is False:
            return "Airflow's scheduler.use_row_level_locking is off: two schedulers would not be safe for a moment"
        if self.probes.broker_error:
            return f"the broker can't be reached from here: {self.probes.broker_error}"
        verdict = self.keeper.verdict
        holder = verdict.lease.holder if verdict else None
        for peer in self.keeper.peers:
            if peer.name == holder and peer.ready:
                for key, title in (("airflow", "Airflow's version"), ("config", "its configuration")):
                    theirs, ours = peer.detail.get(key), hot.identity.get(key)
                    if theirs and theirs != ours:
                        return f"{title} differs from {peer.name}'s ({ours}, not {theirs})"
        return ""

    def _is_ready(self) -> bool:
        return not self.ended and not self._unready() and self.stopping_s is None

    def _report(self) -> Report:
        why = self._unready()
        hot = self.child
        state = "leading" if self.leading else "standby"
        if self.stopping_s is not None:
            state = "stopping"
        detail = {
            "ready": not why and not self.ended,
            "why": why,
            "lease": self.options.lease,
            "token": self.keeper.token,
            "hostname": self.options.hostname,
            "heartbeat_age_s": self.probes.heartbeat_age_s if self.leading else None,
            **(hot.identity if hot else {}),
        }
        pid = hot.process.pid if hot else None
        return Report(
            self.options.name, "scheduler", self.options.hostname, self.run_id, os.getpid(), pid, state, detail
        )

    # -- the loop ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, self._end)
        self._load()
        self.probes.start()
        self.keeper.start()
        while not (self.ended and not self.leading):
            self._turn()
            time.sleep(LOOP_S)
        self.keeper.stop()
        self.keeper.join(self.timing.retry_s + 1)
        self.keeper.give_up()
        for one in (self.child, self.spare):
            if one is not None:
                one.close()
        say(f"{self.options.name} has stopped")
        return 0

    def _end(self, number: int, frame: FrameType | None) -> None:
        self.ended = True

    def _load(self) -> None:
        if time.monotonic() >= self.not_before_s:
            self.child = HotChild(self.options.command[1:], self.deadline_path)

    def _turn(self) -> None:
        hot = self.child
        if hot is None:
            if not self.ended:
                self._load()
            return
        hot.listen()
        if self.leading:
            self._lead(hot)
        elif hot.ended():
            self._bury(hot, "ended while it was waiting")
        elif self.keeper.left_s() > self.timing.stop_s and not self.ended:  # with less left it would be told to stop
            if hot.ready:
                self._start(hot)
            elif self._another_is_sooner():  # one that became ready, or was heard of, only after the scheduler's end
                self.keeper.give_up()

    def _another_is_sooner(self) -> bool:
        """Somebody else can lead before a cold start here. After a hang the first restart is in place all the same."""
        return self.keeper.peer_ready() and self.hangs == 0

    def _start(self, hot: HotChild) -> None:
        verdict = self.keeper.verdict
        if verdict is not None and verdict.takeover is not None:
            say(f"leads now, token {verdict.lease.token}: {verdict.takeover.kind}, {verdict.takeover.reason}")
        # The old one is fenced by the lease: its Job row may be closed, so that the first loop here adopts its tasks.
        self.probes.close_jobs(verdict.takeover.from_holder if verdict and verdict.takeover else None)
        if not self.keeper.believes():  # that took too long
            return
        hot.go()
        self._note_child(hot.process.pid)
        self.probes.watch_from_now()
        self.leading, self.stopping_s = True, None

    def _lead(self, hot: HotChild) -> None:
        self._prepare_for_a_hang()
        if hot.ended():
            self._scheduler_ended(hot)
        elif not self.keeper.believes():
            say("the lease is lost: the scheduler is killed")
            hot.signal(signal.SIGKILL)
        elif self.stopping_s is not None:
            if time.monotonic() - self.stopping_s > self.options.grace or self.keeper.left_s() < 0.5:
                hot.signal(signal.SIGKILL)
        elif self.ended:
            self._stop(hot, "the agent is told to stop")
        elif self.keeper.verdict is not None and self.keeper.verdict.step_down:
            if self.keeper.verdict.kill:
                hot.signal(signal.SIGKILL)
            self._stop(hot, self.keeper.verdict.reason)
        elif self.keeper.left_s() < self.timing.stop_s:
            self._stop(hot, f"the lease can't be renewed ({self.keeper.error})")
        elif self.probes.hung(self.options.hang):
            self.hangs += 1
            say(f"the scheduler makes no progress for {self.options.hang:g} s: killed")
            hot.signal(signal.SIGKILL)
            hot.process.wait()  # it can't refuse; and one hang is counted once

    def _prepare_for_a_hang(self) -> None:
        """Half way to a hang another program is loaded; a heartbeat in between sends it home."""
        suspicious = self.hangs == 0 and self.stopping_s is None and self.probes.hung(self.options.hang / 2)
        if self.spare is not None and self.spare.ended():
            self.spare.close()
            self.spare = None
        elif suspicious and self.spare is None and not self.ended:
            say(f"no heartbeat of the scheduler for {self.options.hang / 2:g} s: another one is loaded")
            self.spare = HotChild(self.options.command[1:], self.deadline_path)
        elif not suspicious and self.spare is not None and self.hangs == 0:
            self.spare.close()
            self.spare = None
        if self.spare is not None:
            self.spare.listen()

    def _note_child(self, pid: int | None) -> None:
        fresh = self.child_path.with_suffix(".new")
        fresh.write_text(json.dumps({"pid": pid}))
        fresh.replace(self.child_path)

    def _stop(self, hot: HotChild, why: str) -> None:
        say(f"{why}: the scheduler is told to stop")
        self.stopping_s = time.monotonic()
        hot.signal(signal.SIGTERM)

    def _scheduler_ended(self, hot: HotChild) -> None:
        code = hot.process.returncode
        verdict = self.keeper.verdict
        told = self.stopping_s is not None
        handing_over = verdict is not None and verdict.step_down
        hopeless = self.hangs > 1
        self.leading, self.stopping_s = False, None
        self._note_child(None)
        say(f"the scheduler has ended ({'exit code' if code >= 0 else 'signal'} {abs(code)})")
        hot.close()  # and whatever it started: only then may somebody else lead
        if handing_over or hopeless or self.ended or (not told and self._another_is_sooner()):
            self.hangs = 0
            self.keeper.give_up()
            say("the lease is given up")
            self.not_before_s = time.monotonic() + YIELD_S
        self._bury(hot, "")

    def _bury(self, hot: HotChild, why: str) -> None:
        if why:
            pause_s = RESTART_PAUSE_S[min(self.restarts, len(RESTART_PAUSE_S) - 1)]
            self.restarts += 1
            self.not_before_s = time.monotonic() + pause_s
            say(f"the scheduler's program {why} (exit {hot.process.returncode}); again in {pause_s:g} s")
            hot.close()
        else:
            self.restarts = 0
        self.child, self.spare = self.spare, None
        if self.child is None and not self.ended:
            self._load()


def main(options: argparse.Namespace) -> int:
    fault = Timing(options.ttl, options.loop, options.retry, options.stop).fault()
    if fault:
        print(f"agent: the timings do not fit: {fault}", file=sys.stderr)
        return 2
    if options.command[0] != "airflow" and not options.command[0].endswith("/airflow"):
        print("agent: the command must be: airflow scheduler …", file=sys.stderr)
        return 2
    return SchedulerAgent(options).run()

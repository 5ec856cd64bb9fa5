"""One supervised process: started, watched, started again when it dies, held down by a fault, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from console.sandbox import reaper
from console.sandbox.home import SandboxError

State = Literal["stopped", "running", "waiting", "held"]
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 15.0)
"""Waits before a dead process is started again, by how often in a row it died young."""
YOUNG_S = 30.0


@dataclass(frozen=True)
class Spec:
    """How to run one process. `ready` says whether it serves; it may raise, which means not yet."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str]
    log: Path
    cwd: Path
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_within_s: float = 180.0
    user: int | None = None
    group: int | None = None
    stop_signal: int = signal.SIGTERM
    stop_within_s: float = 4.0
    hold_signal: int = signal.SIGTERM
    """What a `…-stop` fault sends."""
    nice: int = 0
    again_when_clean: bool = True
    """Whether it is started again after it ended with exit code 0."""


@dataclass
class Process:
    """A `Spec` that runs. `changed` is called whenever the pid changes."""

    spec: Spec
    changed: Callable[[], None]
    say: Callable[[str], None]
    state: State = "stopped"
    restarts: int = 0
    deaths: int = 0  # that nobody asked for
    started_at: float = 0.0
    _child: subprocess.Popen[bytes] | None = None
    _keeper: asyncio.Task[None] | None = None
    _stopping: bool = False
    _held: bool = False  # this child was told to end and to stay away
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child and self._child.returncode is None else None

    def start(self) -> None:
        """Start it and keep it running."""
        if self._keeper is None or self._keeper.done():
            self._stopping = False
            self._spawn()  # the first time here, so that a missing program is an error of the caller's
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name=self.spec.name)

    def _spawn(self) -> None:
        spec = self.spec
        with spec.log.open("ab") as log:
            self._child = subprocess.Popen(
                spec.command,
                env=dict(spec.env),
                cwd=spec.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C reaches the supervisor only; the session's members can be found
                user=spec.user,
                group=spec.group,
                extra_groups=None if spec.user is None else [],
            )
        if spec.nice:
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, self._child.pid, spec.nice)
        self.state = "running"
        self.started_at = time.monotonic()
        self.changed()

    async def _keep(self) -> None:
        young_deaths = 0
        while True:
            assert self._child is not None
            session = self._child.pid
            while self._child.poll() is None:
                await asyncio.sleep(0.2)
            # What a dead process leaves in its session goes too, as systemd ends a unit's control group.
            reaper.send(reaper.in_sessions([session]), signal.SIGKILL)
            if self._stopping:
                break
            code = self._child.returncode
            asked, self._held = self._held, False  # it may have been released again already
            if code == 0 and not self.spec.again_when_clean and not asked:
                self.say(f"{self.spec.name} has ended clean, and stays so.")
                break
            self.deaths += not asked
            young_deaths = young_deaths + 1 if not asked and time.monotonic() - self.started_at < YOUNG_S else 0
            if not asked:
                delay = BACKOFF_S[min(young_deaths, len(BACKOFF_S) - 1)]
                self.state = "waiting"
                self.say(f"{self.spec.name} ended ({ended(code)}); starting it again in {delay:.0f} s.")
                self.changed()
                self._wake.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), delay)
            else:
                self.changed()
            while self.state == "held" and not self._stopping:
                self._wake.clear()
                await self._wake.wait()
            if self._stopping:
                break
            self.restarts += 1
            self._spawn()
        self.state = "stopped"
        self.changed()

    async def wait_ready(self) -> None:
        """Wait until it serves. Raises SandboxError when it keeps dying or takes too long, with its last lines."""
        spec = self.spec
        deadline = time.monotonic() + spec.ready_within_s
        died_before = self.deaths
        while True:
            if self.pid and (spec.ready is None or await _is_ready(spec.ready)):
                return
            if self.deaths - died_before >= 2:
                raise SandboxError(f"{spec.name} does not start. {last_lines(spec.log)}")
            if time.monotonic() > deadline:
                raise SandboxError(
                    f"{spec.name} was not ready within {spec.ready_within_s:.0f} s. {last_lines(spec.log)}"
                )
            await asyncio.sleep(0.25)

    def signal(self, number: int) -> None:
        """Send a signal to the main process, if there is one."""
        if self.pid:
            os.kill(self.pid, number)

    async def hold(self, number: int | None = None) -> None:
        """Stop it and keep it stopped until `release`. With SIGKILL its whole session dies at once."""
        self.state = "held"
        self._held = self._held or self.pid is not None
        self._wake.set()
        await self._end(self.spec.hold_signal if number is None else number, self.spec.stop_within_s)
        self.changed()

    def release(self) -> None:
        """Let a held one run again."""
        if self.state == "held":
            self.state = "waiting"
        self._wake.set()
        if self._keeper is not None and self._keeper.done():  # it had ended clean before it was held
            self.start()

    async def stop(self, number: int | None = None, within_s: float | None = None) -> None:
        """Stop it for good: asked first, its whole session killed when it takes longer than `within_s`."""
        self._stopping = True
        self._wake.set()
        await self._end(
            self.spec.stop_signal if number is None else number,
            self.spec.stop_within_s if within_s is None else within_s,
        )
        if self._keeper:
            await self._keeper

    async def _end(self, number: int, within_s: float) -> None:
        child = self._child
        if child is None or child.poll() is not None:
            return
        if number == signal.SIGKILL:
            reaper.send(reaper.in_sessions([child.pid]), signal.SIGKILL)
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGCONT)
            child.send_signal(number)
        deadline = time.monotonic() + within_s
        while child.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        reaper.send(reaper.in_sessions([child.pid]), signal.SIGKILL)
        while child.poll() is None:
            await asyncio.sleep(0.05)


async def _is_ready(check: Callable[[], Awaitable[bool]]) -> bool:
    try:
        return await check()
    except Exception:  # a probe of a server that is not there yet fails in many ways; all mean "not yet"
        return False


def ended(code: int | None) -> str:
    """An exit code in words."""
    if code is None:
        return "still running"
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


def last_lines(log: Path, count: int = 12) -> str:
    """The end of a log for an error message, with where the rest is."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()[-count:]
    except OSError:
        lines = []
    text = "\n".join(f"    {line[:300]}" for line in lines) or "    (empty)"
    return f"The end of its log, {log}:\n{text}"

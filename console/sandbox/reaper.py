"""Leaves nothing running: finds and ends every process of a sandbox, also after a SIGKILL of its supervisor.

The supervisor starts this file as a program of its own and holds its standard input open. When that ends without the
word "done", the supervisor was killed, and the reaper ends whatever it left behind. The next start calls the same
functions. Only the standard library, no import of ours: it must be small and must not fail.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

MARK = "QUARTERDECK_SANDBOX"


class Alive(NamedTuple):
    """One living process as /proc shows it. `started` counts clock ticks since the machine's start."""

    pid: int
    parent: int
    session: int
    started: int


def look(pid: int) -> Alive | None:
    """The process, or None when it is gone or only waits to be reaped (a zombie)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name, in brackets, may hold anything
    if fields[0] in {"Z", "X"}:
        return None
    return Alive(pid=pid, parent=int(fields[1]), session=int(fields[3]), started=int(fields[19]))


def everyone() -> list[Alive]:
    found = (look(int(name)) for name in os.listdir("/proc") if name.isdecimal())
    return [alive for alive in found if alive is not None]


def carries_mark(pid: int, root: str) -> bool:
    """Whether the process' environment says that it belongs to the sandbox in `root`."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
    return os.fsencode(f"{MARK}={root}") in environment.split(b"\0")


def in_sessions(sessions: Iterable[int]) -> set[int]:
    """The living members of these sessions. Each process that the supervisor starts leads a session of its own."""
    wanted = set(sessions)
    return {alive.pid for alive in everyone() if alive.session in wanted}


def recorded_sessions(root: Path) -> set[int]:
    """The sessions of `processes.json` whose leader is still the process recorded there, or is gone.

    A pid that meanwhile belongs to another program (its start time differs) is left alone.
    """
    try:
        entries = json.loads((root / "processes.json").read_text()).values()
    except (OSError, ValueError, AttributeError):
        return set()
    sessions = set()
    for entry in entries:
        pid, started = entry.get("pid"), entry.get("started_ticks")
        if not isinstance(pid, int) or not isinstance(started, int):
            continue
        now = look(pid)
        if now is None or now.started == started:
            sessions.add(pid)
    return sessions


def leftovers(root: Path) -> set[int]:
    """Every process of the sandbox in `root`, but for this one and its ancestors."""
    by_pid = {alive.pid: alive for alive in everyone()}
    own, pid = set(), os.getpid()
    while pid in by_pid and pid not in own:
        own.add(pid)
        pid = by_pid[pid].parent
    sessions = recorded_sessions(root) - {os.getsid(0)}
    return {
        alive.pid for alive in by_pid.values() if alive.session in sessions or carries_mark(alive.pid, str(root))
    } - own


def send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end(root: Path, grace_s: float = 3.0) -> int:
    """End every leftover: asked first, killed after `grace_s` seconds. Returns how many there were."""
    found = leftovers(root)
    if not found:
        return 0
    send(found, signal.SIGCONT)  # one that a fault had stopped
    send(found, signal.SIGINT if grace_s else signal.SIGKILL)  # SIGINT: PostgreSQL's fast shutdown
    deadline = time.monotonic() + grace_s
    while time.monotonic() < deadline and leftovers(root):
        time.sleep(0.1)
    for _ in range(20):
        rest = leftovers(root)
        if not rest:
            break
        send(rest, signal.SIGKILL)
        time.sleep(0.1)
    return len(found)


def main() -> None:
    root = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it lives exactly as long as the supervisor does
    if sys.stdin.read().strip() == "done":
        return
    end(root)
    (root / "processes.json").unlink(missing_ok=True)


if __name__ == "__main__":
    main()

"""Starting a supervised process so that it can outlive a signal to the group, but not its agent."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _tied_to_parent(parent: int, sign: signal.Signals) -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, int(sign), 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        os._exit(1)


def command_line(command: Sequence[str], entry: str) -> list[str]:
    """`airflow …` runs inside our entry module where this interpreter has Airflow; any other program as it is."""
    if os.path.basename(command[0]) == "airflow" and _has_airflow():
        return [sys.executable, "-m", entry, *command[1:]]
    return list(command)


def _has_airflow() -> bool:
    from importlib.util import find_spec

    return find_spec("airflow") is not None


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    when_agent_dies: signal.Signals,
    pass_fds: Sequence[int] = (),
    stdin: int | None = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """Start `command` in a process group of its own: a TERM to the agent's group never reaches it or its children.

    The kernel sends it `when_agent_dies` if the agent is killed. Raises FileNotFoundError for an unknown program.
    """
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(command[0])
    parent = os.getpid()
    return subprocess.Popen(
        command,
        env=None if environment is None else {**os.environ, **environment},
        process_group=0,  # of its own, in the agent's session: whoever ends that session ends all of it
        stdin=stdin,
        pass_fds=tuple(pass_fds),
        preexec_fn=lambda: _tied_to_parent(parent, when_agent_dies),
    )

"""Airflow's `[core] hostname_callable`: the name of the host that a process runs on."""

import os
import socket


def name() -> str:
    """`PLATFORM_HOST` (an instance's id, a scheduler's host), else what the operating system says.

    Task instances and Jobs show it: so they can be told apart where several share one machine, and matched with
    the cloud's instances where each has its own.
    """
    return os.environ.get("PLATFORM_HOST") or socket.gethostname()

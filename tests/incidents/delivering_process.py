"""Processes that deliver pages, to be killed: `python -m tests.incidents.delivering_process` (tests' own).

Each line on its input starts one, by a fork of a process in which Django is set up already, and prints its pid. Each
does what beat and a worker do between them: it sweeps and delivers, as fast as it can, until it is killed.
"""

from __future__ import annotations

import os
import signal
import sys
import time


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    import django

    django.setup()
    from django.db import connection

    from console.incidents import deliver, routing
    from console.incidents.pagers import http

    http._trusted()  # once, for all of them
    deliver.LEASE_S = 0.4  # an executor that was killed is followed after this long
    routing.FIRST_S, routing.LONGEST_S = 0.05, 0.1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
    connection.close()
    for _ in sys.stdin:
        pid = os.fork()
        if pid == 0:
            while True:
                for pk in deliver.sweep():
                    deliver.deliver(pk)
                time.sleep(0.005)
        print(pid, flush=True)


if __name__ == "__main__":
    main()

"""Airflow's command line with two additions: a Celery worker that ends says what it finished, and how it ended.

`QUARTERDECK_TALLY` names the file. Only a number is written: task arguments are not looked at. A worker that ended by
an error of its own (seen with Celery 5.6.3: `Unrecoverable error: ValueError('file descriptor is None')` after the
broker was away) exits with 0 from Airflow; here with Celery's own code, so that nobody takes it for a drained one.
"""

from __future__ import annotations

import os
import sys
from typing import Any

_workers: list[Any] = []


def _failure() -> int:
    """The exit code of a worker that ended by an error; 0 for one that was told to stop."""
    # A warm shutdown that was asked for over the broker leaves its words here instead of a number.
    codes = [worker.exitcode for worker in _workers if isinstance(worker.exitcode, int)]
    return next((code for code in codes if code), 0)


def _write_tally(**kwargs: Any) -> None:
    from celery.worker import state

    path = os.environ.get("QUARTERDECK_TALLY")
    if path:
        with open(path, "w") as file:
            file.write(str(sum(state.total_count.values())))


def main() -> None:
    from celery.signals import worker_init, worker_shutdown

    worker_init.connect(lambda sender, **kwargs: _workers.append(sender), weak=False)
    worker_shutdown.connect(_write_tally, weak=False)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *sys.argv[1:]]
    try:
        airflow()
    except SystemExit as end:
        if end.code:
            raise
    sys.exit(_failure())


if __name__ == "__main__":
    main()

"""Airflow's command line with one addition: a Celery worker that ends says how many tasks it finished.

`QUARTERDECK_TALLY` names the file. Only a number is written: task arguments are not looked at.
"""

from __future__ import annotations

import os
import sys
from typing import Any


def _write_tally(**kwargs: Any) -> None:
    from celery.worker import state

    path = os.environ.get("QUARTERDECK_TALLY")
    if path:
        with open(path, "w") as file:
            file.write(str(sum(state.total_count.values())))


def main() -> None:
    from celery.signals import worker_shutdown

    worker_shutdown.connect(_write_tally, weak=False)
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *sys.argv[1:]]
    airflow()


if __name__ == "__main__":
    main()

"""A real Celery worker for the broker's tests: `python -m celery -A tests.platform.celery_worker worker …`.

Its one task has the name and the argument of Airflow 3's: a JSON workload with a token in it.
"""

from __future__ import annotations

import os
import time

from celery import Celery

PREFIX = os.environ.get("TEST_KEY_PREFIX", "")

app = Celery("airflow.providers.celery.executors.celery_executor", broker=os.environ.get("TEST_BROKER_URL"))
app.conf.update(
    broker_transport_options={"visibility_timeout": 86400} | ({"global_keyprefix": PREFIX} if PREFIX else {}),
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
)


@app.task(name="execute_workload")
def execute_workload(input: str) -> None:
    time.sleep(60)


@app.task(name="execute_command")
def execute_command(command: list[str]) -> None:
    time.sleep(60)


@app.task(name="something_else")
def something_else(secret: str) -> None:
    time.sleep(60)

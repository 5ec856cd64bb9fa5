"""The console's own Celery application: `celery -A console worker`, `celery -A console beat`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def _schedule(sender: Celery, **kwargs: Any) -> None:
    from console.schedule import beat_schedule  # names tasks by string: no import of the apps

    sender.conf.beat_schedule = beat_schedule()


@worker_init.connect
@beat_init.connect
def _check(**kwargs: Any) -> None:
    from console.checks import refuse_to_start_misconfigured

    refuse_to_start_misconfigured()

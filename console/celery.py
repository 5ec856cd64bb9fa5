"""The console's own Celery application: `celery -A console worker`, `celery -A console beat`."""

from __future__ import annotations

import os
import sys
from typing import Any

from celery import Celery
from celery.signals import import_modules

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")

app = Celery("console")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def _schedule(sender: Celery, **kwargs: Any) -> None:
    from console.schedule import beat_schedule  # names tasks by string: no import of the apps

    sender.conf.beat_schedule = beat_schedule()


@import_modules.connect
def _check(**kwargs: Any) -> None:
    """Before worker and beat touch anything: their own init signals come after beat has needed Redis."""
    from django.conf import settings

    from console.checks import refuse_to_start_misconfigured
    from console.reach import wait_for_redis

    refuse_to_start_misconfigured()
    if "beat" in sys.argv:  # RedBeat ends where it finds no Redis; the worker waits by itself
        wait_for_redis(settings.REDIS_URL)

"""When: Celery tasks of the datastores."""

from __future__ import annotations

from celery import shared_task

from console.datastores.poll import save_datastores, wanted
from console.platform import connect
from console.platform.poll import take
from console.platform.sources import DATASTORES


@shared_task
def poll() -> None:
    take(DATASTORES, lambda: connect.datastores().datastores(wanted()), save_datastores)

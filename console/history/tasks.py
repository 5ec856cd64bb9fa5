"""When the history is kept in order: each minute (`console.schedule`)."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.history.keep import keep as keep_history


@shared_task
def keep() -> None:
    keep_history(timezone.now())

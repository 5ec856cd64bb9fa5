"""When deploys are foretold: every few seconds, while one is under way."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.db.models import Q
from django.utils import timezone

from console.deploys import foretell
from console.live import publish
from console.operations.models import Operation
from console.operations.rules import ACTIVE
from console.platform import connect


@shared_task
def predict() -> None:
    """Foretell the deploys that are under way; note the end of those that have just ended."""
    now = timezone.now()
    just_ended = Q(finished_at__gte=now - timedelta(hours=1), forecasts__subject="", forecasts__ended_at=None)
    for operation in Operation.objects.filter(Q(state__in=ACTIVE) | just_ended, kind="deploy").distinct():
        foretell.learn(connect.airflow(), foretell.unknown_pairs(operation, now), now)
        foretell.update(operation, now)
        publish("deploys")

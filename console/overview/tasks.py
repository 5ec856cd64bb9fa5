"""When: the verdict on the platform, every two seconds."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.overview.judge import judge as judge_at


@shared_task
def judge() -> None:
    judge_at(timezone.now())

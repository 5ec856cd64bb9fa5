"""When: the verdict on the platform every two seconds, the incidents every five."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.overview.detect import detect as detect_at
from console.overview.judge import judge as judge_at


@shared_task
def judge() -> None:
    judge_at(timezone.now())


@shared_task
def detect() -> None:
    detect_at(timezone.now())

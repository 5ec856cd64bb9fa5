"""Each hour: sessions and counts that have ended go."""

from __future__ import annotations

from datetime import timedelta

from celery import shared_task
from django.contrib.sessions.models import Session
from django.utils import timezone

from console.accounts.lockout import WINDOW_S
from console.accounts.models import SignInWindow


@shared_task
def sweep() -> None:
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    SignInWindow.objects.filter(began_at__lt=now - timedelta(seconds=WINDOW_S)).delete()

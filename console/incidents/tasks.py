"""When pages are sent: at once by message, and by beat whatever a message missed."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.incidents import changes, deliver, pinging
from console.incidents.hooks import FORGET_AFTER
from console.incidents.models import HookEvent


@shared_task
def sweep_pages() -> None:
    """Start an attempt for each page that wants one."""
    for pk in deliver.sweep():
        deliver_page.apply_async((pk,), expires=10)


@shared_task
def deliver_page(pk: int) -> None:
    deliver.deliver(pk)


@shared_task
def dead_man() -> None:
    pinging.ping(timezone.now())


@shared_task
def forget_hooks() -> None:
    """Ids of webhooks that are too old to be taken again anyway."""
    HookEvent.objects.filter(received_at__lt=timezone.now() - FORGET_AFTER).delete()


@shared_task
def announce_changes() -> None:
    changes.announce(timezone.now())

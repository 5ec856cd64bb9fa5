"""When pages are sent: at once by message, and by beat whatever a message missed."""

from __future__ import annotations

from celery import shared_task

from console.incidents import deliver


@shared_task
def sweep_pages() -> None:
    """Start an attempt for each page that wants one."""
    for pk in deliver.sweep():
        deliver_page.apply_async((pk,), expires=10)


@shared_task
def deliver_page(pk: int) -> None:
    deliver.deliver(pk)

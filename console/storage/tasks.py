"""When: Celery tasks of the storages."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.platform import connect
from console.platform.declared import StorageDeclared, declaration
from console.platform.poll import take
from console.storage.ledger import Survey
from console.storage.poll import forget, look, save
from console.storage.sources import source_of


@shared_task
def poll() -> None:
    """Look into each declared storage, one after the other: one that is away leaves the others' figures young."""
    declared = declaration().storage
    for one in declared:
        take(source_of(one.id), lambda one=one: _seen(one), lambda seen, at, one=one: save(one, seen, at))  # type: ignore[misc]
    forget(declared)


def _seen(declared: StorageDeclared) -> Survey:
    return look(declared, connect.files(declared.id).files(), timezone.now())

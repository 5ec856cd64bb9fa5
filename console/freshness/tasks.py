"""When: Celery tasks of freshness. Each source is polled on its own, and none where nothing is declared."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from console.freshness.poll import (
    at_origin,
    read_origins,
    read_replication,
    save_origins,
    save_replication,
    save_warehouse,
    sync,
)
from console.platform import connect
from console.platform.declared import declaration
from console.platform.poll import take
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE


@shared_task
def poll_replication() -> None:
    declared = declaration()
    sync(declared)
    if not declared.tasks:
        return
    take(
        REPLICATION,
        lambda: read_replication(connect.replication(), declared.tasks, timezone.now()),
        save_replication,
    )


@shared_task
def poll_warehouse() -> None:
    declared = declaration()
    sync(declared)
    if not declared.tables:
        return
    tables = [(table.name, table.warehouse, table.column) for table in declared.tables]
    take(WAREHOUSE, lambda: connect.warehouse().evidence(tables), save_warehouse)


@shared_task
def poll_origins() -> None:
    declared = declaration()
    sync(declared)
    if not declared.sources:
        return
    tables = {
        source.name: [at_origin(table) for table in declared.tables if table.name.split(".", 1)[0] == source.name]
        for source in declared.sources
    }
    take(ORIGINS, lambda: read_origins(tables, connect.origin), save_origins)

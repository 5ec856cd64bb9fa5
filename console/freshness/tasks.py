"""When: Celery tasks of freshness. Each source is polled on its own, and none where nothing is declared."""

from __future__ import annotations

from datetime import datetime

from celery import shared_task
from django.utils import timezone

from console.freshness import beating, budget, cutoffs, minutes, proving, telling
from console.freshness.models import TaskSnapshot
from console.freshness.poll import (
    at_origin,
    read_origins,
    record_lags,
    save_origins,
    save_replication,
    save_warehouse,
    sync,
)
from console.platform import connect
from console.platform.declared import declaration
from console.platform.poll import take
from console.platform.sources import BEATS, ORIGINS, REPLICATION, WAREHOUSE


@shared_task
def poll_replication() -> None:
    declared = declaration()
    sync(declared)
    if not declared.tasks:
        return
    names = dict(TaskSnapshot.objects.values_list("name", "arn"))

    def save(found: proving.Look, as_of: datetime) -> None:
        rows = save_replication(found.results, as_of)
        proving.save(found, rows, as_of)
        record_lags(rows, as_of)

    take(
        REPLICATION,
        lambda: proving.look(connect.replication(), connect.arrivals, declared, names, timezone.now()),
        save,
    )


@shared_task
def write_beats() -> None:
    """A heartbeat for every DMS task, into its source."""
    declared = declaration()
    if declared.tasks:
        take(BEATS, lambda: beating.write(beating.orders(declared.tasks), connect.pulse), beating.save)


@shared_task
def plan_cutoffs() -> None:
    now = timezone.now()
    cutoffs.plan(declaration(), now)
    cutoffs.forget(now)


@shared_task
def reckon_budgets() -> None:
    now = timezone.now()
    budget.reckon(now)
    minutes.forget(now - budget.KEPT)


@shared_task
def tell_assets() -> None:
    """Airflow is told of the cutoffs that are met, where an asset is declared for them."""
    telling.send(connect.assets, timezone.now)


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

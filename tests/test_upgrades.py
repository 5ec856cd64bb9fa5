"""Migrations come first, and the old code lives with them while the hosts are rolled (docs/production.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from django.apps import apps
from django.db import models
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, DeleteModel, RemoveField, RenameField, RenameModel
from django.db.migrations.operations.base import Operation
from django.db.migrations.operations.special import SeparateDatabaseAndState
from django.db.models.fields import NOT_PROVIDED

TAKES_AWAY = (RemoveField, RenameField, RenameModel, DeleteModel)
BEFORE_ANY_RELEASE = frozenset(
    {"accounts.0002", "incidents.0002", "scheduler.0002", "freshness.0002", "freshness.0005", "freshness.0006"}
)
"""Made while nobody ran the console yet. Nothing is added here."""


def _database(operations: Sequence[Operation]) -> Iterator[Operation]:
    """What is done to the database, not only noted."""
    for operation in operations:
        if isinstance(operation, SeparateDatabaseAndState):
            yield from _database(operation.database_operations)
        else:
            yield operation


def _breaks_old_code(operation: Operation) -> bool:
    if isinstance(operation, TAKES_AWAY):
        return True
    if not isinstance(operation, AddField) or isinstance(operation.field, models.ManyToManyField):
        return False
    field = operation.field
    return not (field.null or field.db_default is not NOT_PROVIDED or field.generated)


def test_no_migration_takes_away_what_the_code_before_it_needs() -> None:
    ours = {config.label for config in apps.get_app_configs() if config.name.startswith("console")}
    loader = MigrationLoader(None, ignore_no_migrations=True)
    found = [
        f"{label}.{name}: {operation.describe()}"
        for (label, name), migration in loader.disk_migrations.items()
        if label in ours and f"{label}.{name[:4]}" not in BEFORE_ANY_RELEASE
        for operation in _database(migration.operations)
        if _breaks_old_code(operation)
    ]
    assert found == []

"""What follows a transactional test, and a module of browser tests: tables are emptied, as by Django's flush, faster.

Django truncates every table, and then makes every content type and permission anew. Here only tables that hold rows
are truncated (and what refers to them), and those two stay: migrations make them, no test changes them.
"""

from __future__ import annotations

from typing import Any

from django.db import connections

KEPT = {"django_content_type", "auth_permission", "django_migrations"}


def empty(connection: Any) -> None:
    """Remove every row that a test has committed."""
    tables = connection.introspection.django_table_names(only_existing=True, include_views=False)
    quoted = [connection.ops.quote_name(name) for name in tables if name not in KEPT]
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM {name} LIMIT 1)" for name in quoted))
        if filled := ", ".join(name for (name,) in cursor.fetchall()):
            cursor.execute(f"TRUNCATE {filled} CASCADE")


def empty_tables(case: Any) -> None:
    """Instead of `TransactionTestCase._fixture_teardown`."""
    for alias in case._databases_names(include_mirrors=False):
        empty(connections[alias])

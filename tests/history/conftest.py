"""Each test begins without history: its partitions are no Django models, so a transactional test leaves them behind."""

from __future__ import annotations

import pytest
from django.db import connection


@pytest.fixture(autouse=True)
def no_history(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("django_db") is None:
        return
    request.getfixturevalue("db")
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT child.relname FROM pg_inherits
            JOIN pg_class child ON child.oid = inhrelid JOIN pg_class parent ON parent.oid = inhparent
            WHERE parent.relname LIKE 'history\\_%' AND child.relkind = 'r' AND child.relname NOT LIKE '%\\_default'
            """
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f'DROP TABLE "{name}"')
        cursor.execute(
            "SELECT relname FROM pg_class"
            " WHERE relname LIKE 'history\\_%' AND relkind IN ('r', 'p') AND NOT relispartition"
        )
        names = ", ".join(f'"{name}"' for (name,) in cursor.fetchall())
        cursor.execute(f"TRUNCATE {names} CASCADE")

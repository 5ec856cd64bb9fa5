"""What PostgreSQL has to read for a page: the measure of a statement that no other work on the machine disturbs."""

from __future__ import annotations

import json

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext


def blocks(client: Client, path: str, about: str) -> int:
    """Blocks of 8 kB that this page's statements about `about` (a part of their text) look into, hit or read."""
    with CaptureQueriesContext(connection) as asked:
        assert client.get(path).status_code == 200
    total = 0
    for query in asked:
        text = query["sql"].strip()
        if about in text and text.split()[0] in ("SELECT", "WITH"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + text)
                [found] = cursor.fetchone()
            [plan] = json.loads(found) if isinstance(found, str) else found
            total += plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"]
    return total

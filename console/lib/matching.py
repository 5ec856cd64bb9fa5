"""A list that is searched for words: how many rows match in each state, and which are on the page, by one look.

Words that may stand anywhere in a column are found by reading every row. That is done once for a page, not once for its
tabs and once more for its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connections
from django.db.models import QuerySet

_LOOK = """
WITH found (pk, state) AS MATERIALIZED ({matching})
SELECT (SELECT json_object_agg(state, number) FROM (SELECT state, count(*) AS number FROM found GROUP BY state) tabs),
       (SELECT array_agg(pk ORDER BY pk DESC) FROM (
            SELECT pk FROM found
            WHERE (%s::text[] IS NULL OR state = ANY(%s)) AND (%s::bigint IS NULL OR pk < %s)
            ORDER BY pk DESC LIMIT %s) page)
"""


def look(
    matching: QuerySet[Any], states: Iterable[str] | None, before: int | None, most: int
) -> tuple[dict[str, int], list[int]]:
    """Of rows that have a `state`: how many match in each, and the newest `most` of `states` (None: any) below the id
    `before`. One query."""
    sql, params = matching.order_by().values_list("pk", "state").query.sql_with_params()
    wanted = None if states is None else [str(state) for state in states]
    with connections[matching.db].cursor() as cursor:
        cursor.execute(_LOOK.format(matching=sql), [*params, wanted, wanted, before, before, most])
        tabs, page = cursor.fetchone()
    return tabs or {}, page or []

"""The shop's database, as the DAGs write to it."""

from __future__ import annotations

import os
import random
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

SKUS = tuple(f"SKU-{number:04}" for number in range(1, 401))


@contextmanager
def transaction(url: str = "SOURCE_URL") -> Iterator[Any]:
    """A cursor in one transaction of a source database (the one at this variable), committed at the end."""
    import psycopg2  # here, not above: the DAG processor reads these files without needing it

    connection = psycopg2.connect(os.environ[url], connect_timeout=5, application_name="airflow-task")
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()


def place_order(cursor: Any) -> int:
    """One customer's order with one to four lines. Returns its id."""
    lines = [(random.choice(SKUS), random.randint(1, 3), random.randint(300, 20_000)) for _ in range(random.randint(1, 4))]
    total = sum(quantity * price for _, quantity, price in lines)
    cursor.execute(
        "INSERT INTO orders (customer_id, total_cents) SELECT id, %s FROM customers ORDER BY random() LIMIT 1 "
        "RETURNING id",
        [total],
    )
    order = cursor.fetchone()[0]
    for line in lines:
        cursor.execute(
            "INSERT INTO order_lines (order_id, sku, quantity, price_cents) VALUES (%s, %s, %s, %s)", [order, *line]
        )
    return order

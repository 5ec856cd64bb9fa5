"""The shop's database, as the DAGs write to it, and whether its rows are in the warehouse."""

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
    """A cursor in one transaction of a database (the one at this variable), committed at the end."""
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


CHECKED = 500


def arrived_before(table: str, stamp: str, cutoff: Any) -> int:
    """How many rows of the warehouse's table are stamped before the cutoff.

    Raises ValueError when one of the newest 500 that the source has by then is not there: what was proven to be complete
    is looked at.
    """
    with transaction() as source:
        source.execute(f"SELECT id FROM {table} WHERE {stamp} < %s ORDER BY id DESC LIMIT %s", [cutoff, CHECKED])
        wanted = {row[0] for row in source.fetchall()}
    with transaction("WAREHOUSE_URL") as warehouse:
        warehouse.execute(f"SELECT id FROM {table} WHERE id = ANY(%s)", [list(wanted)])
        missing = wanted - {row[0] for row in warehouse.fetchall()}
        warehouse.execute(f"SELECT count(*) FROM {table} WHERE {stamp} < %s", [cutoff])
        count = int(warehouse.fetchone()[0])
    if missing:
        raise ValueError(f"proven complete to {cutoff}, but the warehouse lacks {table} {sorted(missing)[:20]}")
    return count

"""Customers order and pay: steady writes to the source database (queue default)."""

import random
import time
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

ORDERING_S = 75


@dag(
    schedule=timedelta(seconds=90),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=2,
    tags=["shop"],
    default_args={"queue": "default", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def shop_orders():
    @task
    def take_orders():
        """An order every few seconds, each in a transaction of its own."""
        from shop_source import place_order, transaction

        until = time.monotonic() + ORDERING_S
        placed = 0
        while time.monotonic() < until:
            with transaction() as cursor:
                place_order(cursor)
            placed += 1
            time.sleep(random.uniform(2, 5))
        return placed

    @task
    def take_payments():
        """Charge what was placed and is not paid yet."""
        from shop_source import transaction

        with transaction() as cursor:
            cursor.execute(
                "WITH due AS (UPDATE orders SET status = 'paid', updated_at = now() WHERE id IN "
                "(SELECT id FROM orders WHERE status = 'placed' ORDER BY id LIMIT 200 FOR UPDATE SKIP LOCKED) "
                "RETURNING id, total_cents) INSERT INTO payments (order_id, amount_cents) SELECT id, total_cents FROM due"
            )
            return cursor.rowcount

    take_orders() >> take_payments()


shop_orders()

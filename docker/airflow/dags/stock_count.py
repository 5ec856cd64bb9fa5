"""One long task: counts the stock a shelf at a time for several minutes (queue default)."""

import time
from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

SHELVES, PER_SHELF_S = 40, 10


@dag(
    schedule=timedelta(minutes=8),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["shop"],
    default_args={"queue": "default", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def stock_count():
    @task
    def count_shelves():
        """Nearly seven minutes: what a drain has to wait for."""
        from shop_source import transaction

        sold = 0
        for shelf in range(SHELVES):
            with transaction() as cursor:
                cursor.execute(
                    "SELECT coalesce(sum(quantity), 0) FROM order_lines WHERE right(sku, 4)::int %% %s = %s",
                    [SHELVES, shelf],
                )
                sold += cursor.fetchone()[0]
            time.sleep(PER_SHELF_S)
        return int(sold)

    count_shelves()


stock_count()

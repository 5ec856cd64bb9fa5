"""Waits until the warehouse has every order before the cutoff, proven; then reads them (queue default).

The wait takes no worker: the sensor is deferred, and the triggerer asks the console for all of them at once.
"""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task
from quarterdeck_airflow.sensors.freshness import FreshnessSensor

CHECKED = 500


@dag(
    schedule=timedelta(minutes=4),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=3,
    tags=["shop", "sensors", "freshness"],
    default_args={"queue": "default", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def orders_complete():
    complete = FreshnessSensor(
        task_id="complete",
        tables=["shop.public.orders", "shop.public.order_lines"],
        cutoff="{{ data_interval_end }}",
        deferrable=True,
        poke_interval=10,
        timeout=timedelta(minutes=40),
    )

    @task
    def read(proof):
        """How many orders there were before the cutoff; fails where the warehouse lacks one that the source has."""
        import os
        from contextlib import closing

        import psycopg2
        from shop_source import transaction

        cutoff = min(each["cutoff"] for each in proof)
        with transaction() as cursor:
            cursor.execute(
                "SELECT id FROM orders WHERE created_at < %s ORDER BY id DESC LIMIT %s", [cutoff, CHECKED]
            )
            wanted = {row[0] for row in cursor.fetchall()}
        with closing(psycopg2.connect(os.environ["WAREHOUSE_URL"], connect_timeout=5)) as warehouse:
            with warehouse.cursor() as cursor:
                cursor.execute("SELECT id FROM orders WHERE id = ANY(%s)", [list(wanted)])
                missing = wanted - {row[0] for row in cursor.fetchall()}
                cursor.execute("SELECT count(*) FROM orders WHERE created_at < %s", [cutoff])
                count = cursor.fetchone()[0]
        if missing:
            raise ValueError(f"proven complete up to {cutoff}, but the warehouse lacks orders {sorted(missing)[:20]}")
        return count

    read(complete.output)


orders_complete()

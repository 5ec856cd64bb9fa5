"""Waits until the warehouse has every order before the cutoff, proven; then reads them (queue default).

The wait takes no worker: the sensor is deferred, and the triggerer asks the console for all of them at once.
"""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task
from quarterdeck_airflow.sensors.freshness import FreshnessSensor


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
        from shop_source import arrived_before

        return arrived_before("orders", "created_at", min(each["cutoff"] for each in proof))

    read(complete.output)


orders_complete()

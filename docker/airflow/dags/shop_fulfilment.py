"""Paid orders are shipped; one step waits in the triggerer, old orders are deleted (queue default)."""

from datetime import datetime, timedelta, timezone

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import dag, task

KEPT_ORDERS = 20_000


@dag(
    schedule=timedelta(minutes=5),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["shop"],
    default_args={"queue": "default", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def shop_fulfilment():
    @task
    def pick():
        """Mark paid orders as picked."""
        return _advance("paid", "picked")

    @task
    def ship():
        """Mark picked orders as shipped and capture their payments."""
        from shop_source import transaction

        shipped = _advance("picked", "shipped")
        with transaction() as cursor:
            cursor.execute(
                "UPDATE payments SET state = 'captured', updated_at = now() WHERE state = 'authorised' AND order_id IN "
                "(SELECT id FROM orders WHERE status = 'shipped' ORDER BY id DESC LIMIT 1000)"
            )
        return shipped

    @task
    def tidy():
        """Delete what is older than the newest orders that are kept, and edit a few customers."""
        from shop_source import transaction

        with transaction() as cursor:
            cursor.execute("DELETE FROM orders WHERE id <= (SELECT max(id) FROM orders) - %s", [KEPT_ORDERS])
            cursor.execute(
                "UPDATE customers SET updated_at = now() WHERE id IN (SELECT id FROM customers ORDER BY random() LIMIT 3)"
            )

    carrier = TimeDeltaSensor(task_id="wait_for_carrier", delta=timedelta(seconds=45), deferrable=True)
    pick() >> carrier >> ship() >> tidy()


def _advance(before, after):
    from shop_source import transaction

    with transaction() as cursor:
        cursor.execute(
            "UPDATE orders SET status = %s, updated_at = now() WHERE id IN "
            "(SELECT id FROM orders WHERE status = %s ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED)",
            [after, before],
        )
        return cursor.rowcount


shop_fulfilment()

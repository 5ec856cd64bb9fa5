"""Invoices are written, paid and sometimes refunded, in a database of its own (queue io)."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule=timedelta(minutes=2),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["billing"],
    default_args={"queue": "io", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def billing():
    @task
    def bill():
        """Ten invoices, some older ones paid, one refunded, the oldest forgotten."""
        from shop_source import transaction

        with transaction("BILLING_URL") as cursor:
            cursor.execute(
                "INSERT INTO invoices (customer, amount_cents) "
                "SELECT 'Customer ' || n, (random() * 90000)::int + 500 FROM generate_series(1, 10) AS n"
            )
            cursor.execute(
                "UPDATE invoices SET state = 'paid', updated_at = now() WHERE id IN "
                "(SELECT id FROM invoices WHERE state = 'open' ORDER BY id LIMIT 9)"
            )
            cursor.execute(
                "INSERT INTO refunds (invoice_id, amount_cents) SELECT id, amount_cents / 2 FROM invoices "
                "WHERE state = 'paid' ORDER BY random() LIMIT 1"
            )
            cursor.execute("DELETE FROM invoices WHERE id <= (SELECT max(id) FROM invoices) - 5000")

    bill()


billing()

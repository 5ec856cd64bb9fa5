"""A file with several readers on other machines: nobody drops it, it lasts its hour (queues io, default)."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule=timedelta(minutes=10),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["shop", "files"],
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
)
def price_list():
    @task(queue="io")
    def collect():
        """The price that each article was sold at last, as CSV. Returns the hand-off's reference."""
        import csv
        import io

        from quarterdeck_airflow import handoff
        from shop_source import transaction

        with transaction() as cursor:
            cursor.execute("SELECT DISTINCT ON (sku) sku, price_cents FROM order_lines ORDER BY sku, id DESC")
            rows = cursor.fetchall()
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("sku", "cents"), *rows])
        return handoff.put(text.getvalue().encode(), "prices.csv", expires_in=timedelta(hours=1))

    @task(queue="default")
    def publish(prices, shop):
        """One shop takes it over. How many prices it has."""
        from quarterdeck_airflow import handoff

        return f"{shop}: {len(handoff.read(prices).splitlines()) - 1} prices"

    prices = collect()
    for shop in ("web", "market"):
        publish.override(task_id=f"publish_{shop}")(prices, shop)


price_list()

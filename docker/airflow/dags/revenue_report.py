"""A file handed from task to task: extracted (queue io), aggregated (queue cpu), published (queue default)."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule=timedelta(minutes=3),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=2,
    tags=["shop", "files"],
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
)
def revenue_report():
    @task(queue="io")
    def extract():
        """Write the newest orders' lines to a CSV file and hand it over. Returns the hand-off's reference."""
        import csv
        import tempfile
        import time

        from quarterdeck_airflow import handoff
        from shop_source import transaction

        with tempfile.NamedTemporaryFile("w", newline="", suffix=".csv") as file:
            writer = csv.writer(file)
            for page in range(10):
                with transaction() as cursor:
                    cursor.execute(
                        "SELECT order_id, sku, quantity, price_cents FROM order_lines ORDER BY id DESC LIMIT 200 OFFSET %s",
                        [200 * page],
                    )
                    writer.writerows(cursor.fetchall())
                time.sleep(2)  # a slow link: most of the time such a task waits
            file.flush()
            return handoff.put(file.name, "lines.csv", expires_in=timedelta(hours=6))

    @task(queue="cpu")
    def aggregate(lines):
        """Revenue per article from the file, and how sure one can be of it (a bootstrap)."""
        import csv
        import random
        import time

        from quarterdeck_airflow import handoff

        rows = csv.reader(handoff.read(lines).decode().splitlines())
        amounts = [int(quantity) * int(price) for _, _, quantity, price in rows]
        totals = []
        for _ in range(60):
            totals.append(sum(random.choices(amounts, k=len(amounts))) if amounts else 0)
            time.sleep(0.5)
        totals.sort()
        return {"lines": len(amounts), "low": totals[2], "high": totals[-3]}

    @task(queue="default")
    def publish(report, lines):
        """Hand the result on and drop the file: nobody needs it any more."""
        from quarterdeck_airflow import handoff

        handoff.drop(lines)
        return f"{report['lines']} lines: {report['low'] / 100:.2f} to {report['high'] / 100:.2f}"

    lines = extract()
    publish(aggregate(lines), lines)


revenue_report()

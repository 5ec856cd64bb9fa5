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
    def extract(run_id=None):
        """Write the newest orders' lines to a CSV file. Returns its path."""
        import csv
        import os
        import re
        import time
        from pathlib import Path

        from shop_source import transaction

        folder = Path(os.environ["PLATFORM_FILES"]) / "revenue_report"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / (re.sub(r"\W+", "-", run_id) + ".csv")
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            for page in range(10):
                with transaction() as cursor:
                    cursor.execute(
                        "SELECT order_id, sku, quantity, price_cents FROM order_lines ORDER BY id DESC LIMIT 200 OFFSET %s",
                        [200 * page],
                    )
                    writer.writerows(cursor.fetchall())
                time.sleep(2)  # a slow link: most of the time such a task waits
        return str(path)

    @task(queue="cpu")
    def aggregate(path):
        """Revenue per article from the file, and how sure one can be of it (a bootstrap)."""
        import csv
        import random
        import time

        with open(path, newline="") as file:
            amounts = [int(quantity) * int(price) for _, _, quantity, price in csv.reader(file)]
        totals = []
        for _ in range(60):
            totals.append(sum(random.choices(amounts, k=len(amounts))) if amounts else 0)
            time.sleep(0.5)
        totals.sort()
        return {"path": path, "lines": len(amounts), "low": totals[2], "high": totals[-3]}

    @task(queue="default")
    def publish(report):
        """Hand the result on and remove the file."""
        import os

        os.unlink(report["path"])
        return f"{report['lines']} lines: {report['low'] / 100:.2f} to {report['high'] / 100:.2f}"

    publish(aggregate(extract()))


revenue_report()

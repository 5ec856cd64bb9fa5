"""A file from one machine to another: written by a worker of queue io, mailed by one of queue default."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule=timedelta(minutes=5),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["shop", "files", "mail"],
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10)},
)
def report_by_mail():
    @task(queue="io")
    def write():
        """The day's orders by state, as CSV. Returns the hand-off's reference."""
        import csv
        import io

        from quarterdeck_airflow import handoff
        from shop_source import transaction

        with transaction() as cursor:
            cursor.execute(
                "SELECT status, count(*), sum(total_cents) FROM orders WHERE created_at > now() - interval '1 day' "
                "GROUP BY status ORDER BY status"
            )
            rows = cursor.fetchall()
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(["status", "orders", "cents"])
        writer.writerows(rows)
        return handoff.put(text.getvalue().encode(), "orders.csv", expires_in=timedelta(hours=2))

    @task(queue="default")
    def mail(file):
        """Send it to those who wait for it (connection smtp_default)."""
        import tempfile

        from airflow.providers.smtp.hooks.smtp import SmtpHook
        from quarterdeck_airflow import handoff

        with tempfile.TemporaryDirectory() as folder:
            path = handoff.get(file, into=folder)
            with SmtpHook() as smtp:
                smtp.send_email_smtp(
                    to="finance@shop.example",
                    subject=f"Orders of the last day ({file['run_id']})",
                    html_content="The orders of the last day, by state, are attached.",
                    files=[str(path)],
                )
        handoff.drop(file)

    mail(write())


report_by_mail()

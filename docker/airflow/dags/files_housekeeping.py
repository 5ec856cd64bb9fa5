"""Removes hand-offs that are past their time, and parts of files whose writers died (queue default)."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task


@dag(
    schedule=timedelta(hours=1),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["files"],
    default_args={"queue": "default", "retries": 1, "retry_delay": timedelta(seconds=30)},
)
def files_housekeeping():
    @task
    def sweep():
        """How many files went."""
        from quarterdeck_airflow import handoff

        return handoff.sweep()

    sweep()


files_housekeeping()

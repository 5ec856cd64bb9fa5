"""Sensors that poll: files of several partners arrive over the minutes and are read one by one (queue io)."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import PokeReturnValue, dag, task

PARTNERS = ["north", "south", "overseas"]
LAST_AFTER_S = 200


@dag(
    schedule=timedelta(minutes=4),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["files", "sensors"],
    default_args={"queue": "io", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def partner_files():
    @task
    def deliveries(run_id=None):
        """The partners upload: a file each, the last one after some minutes."""
        import time

        from quarterdeck_airflow.files.keys import segment
        from quarterdeck_airflow.hooks.s3 import S3Hook

        for partner in PARTNERS:
            time.sleep(LAST_AFTER_S / len(PARTNERS))
            S3Hook().put(f"partners/{segment(run_id)}/{partner}.csv", f"{partner}\n".encode())

    @task.sensor(poke_interval=10, timeout=900, mode="poke")
    def arrived(partner, run_id=None):
        """Whether the partner's file is there: a file has its name only when it is whole."""
        from quarterdeck_airflow.files.keys import segment
        from quarterdeck_airflow.hooks.s3 import S3Hook

        key = f"partners/{segment(run_id)}/{partner}.csv"
        return PokeReturnValue(is_done=S3Hook().exists(key), xcom_value=key)

    @task(trigger_rule="all_done")
    def read_all(keys):
        """Read and remove the files."""
        from quarterdeck_airflow.hooks.s3 import S3Hook

        files, lines = S3Hook(), 0
        for key in filter(files.exists, keys):
            lines += len(files.read(key).splitlines())
            files.delete(key)
        return lines

    deliveries()
    read_all(arrived.expand(partner=PARTNERS))


partner_files()

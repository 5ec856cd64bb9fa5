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
        import os
        import re
        import time
        from pathlib import Path

        folder = Path(os.environ["PLATFORM_FILES"]) / "partners" / re.sub(r"\W+", "-", run_id)
        folder.mkdir(parents=True, exist_ok=True)
        for partner in PARTNERS:
            time.sleep(LAST_AFTER_S / len(PARTNERS))
            (folder / f"{partner}.part").write_text(f"{partner}\n")
            (folder / f"{partner}.part").rename(folder / f"{partner}.csv")

    @task.sensor(poke_interval=10, timeout=900, mode="poke")
    def arrived(partner, run_id=None):
        """Whether the partner's file is there."""
        import os
        import re
        from pathlib import Path

        path = Path(os.environ["PLATFORM_FILES"]) / "partners" / re.sub(r"\W+", "-", run_id) / f"{partner}.csv"
        return PokeReturnValue(is_done=path.exists(), xcom_value=str(path))

    @task(trigger_rule="all_done")
    def read_all(paths):
        """Read and remove the files."""
        from pathlib import Path

        lines = 0
        for path in map(Path, paths):
            if path.exists():
                lines += len(path.read_text().splitlines())
                path.unlink()
        return lines

    deliveries()
    read_all(arrived.expand(partner=PARTNERS))


partner_files()

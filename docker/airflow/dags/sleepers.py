"""Tasks that only sleep, started by hand: `{"tasks": 20, "seconds": 60, "queue": "io"}` as the run's conf.

A task's queue is fixed when the DAG is read: so there is one mapped task per queue, and those not asked for are skipped.
"""

from datetime import datetime, timedelta, timezone

from airflow.sdk import Param, dag, task

QUEUES = ["default", "cpu", "io"]


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=16,
    max_active_tasks=1024,
    tags=["by hand"],
    params={
        "tasks": Param(10, type="integer", minimum=1, maximum=1000, description="how many tasks"),
        "seconds": Param(30, type="number", minimum=0, maximum=86_400, description="how long each sleeps"),
        "queue": Param("default", type="string", enum=QUEUES, description="where they run"),
    },
    default_args={"retries": 0, "retry_delay": timedelta(seconds=5)},
)
def sleepers():
    @task
    def asked(queue, params=None):
        """A list of the sleeps for this queue; an empty one skips it."""
        return [params["seconds"]] * params["tasks"] if params["queue"] == queue else []

    for name in QUEUES:

        @task(task_id=f"sleep_{name}", queue=name)
        def sleep(seconds):
            import time

            time.sleep(seconds)

        sleep.expand(seconds=asked.override(task_id=f"ask_{name}", queue=name)(name))


sleepers()

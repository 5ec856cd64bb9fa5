"""CPU work: simulates tomorrow's demand (queue cpu). Paced, so that a small machine stays usable."""

from datetime import datetime, timedelta, timezone

from airflow.sdk import dag, task

ROUNDS, PAUSE_S = 100, 1.2


@dag(
    schedule=timedelta(minutes=3),
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    max_active_runs=1,
    tags=["forecast"],
    default_args={"queue": "cpu", "retries": 1, "retry_delay": timedelta(seconds=10)},
)
def demand_forecast():
    @task
    def simulate(region):
        """About two minutes of Monte Carlo, a tenth of it computing."""
        import random
        import time

        generator = random.Random(region)
        days = []
        for _ in range(ROUNDS):
            days.append(sum(generator.gauss(40, 12) * generator.random() for _ in range(60_000)))
            time.sleep(PAUSE_S)
        days.sort()
        return {"region": region, "median": days[len(days) // 2], "high": days[-3]}

    @task
    def combine(forecasts):
        return {"median": sum(f["median"] for f in forecasts), "high": sum(f["high"] for f in forecasts)}

    combine(simulate.expand(region=["nordic", "baltic"]))


demand_forecast()

"""The scheduler's figures for Prometheus: three queries, labels bounded by what runs."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from prometheus_client.metrics_core import Metric

from console.lib.metrics import gauge
from console.lib.status import Status
from console.scheduler.heartbeats import Process
from console.scheduler.pages import scheduler_state, takeover_rows

MOST_PROCESSES = 50


def _distinct(processes: Iterable[Process]) -> list[Process]:
    """One for each kind and host, the worst of them: two samples with the same labels would spoil the scrape."""
    found = {(one.kind, one.host): one for one in sorted(processes, key=lambda one: one.status is not Status.HEALTHY)}
    return list(found.values())[:MOST_PROCESSES]


def collect(now: datetime) -> Iterable[Metric]:
    """What can't be seen has no sample."""
    state = scheduler_state(now)
    verdict = state.verdict
    yield gauge(
        "quarterdeck_scheduler_status",
        "1 for the status that the scheduler has.",
        ["status"],
        [([status.value], float(verdict.status is status)) for status in Status],
    )
    yield gauge(
        "quarterdeck_scheduler_heartbeat_age_seconds",
        "Age of the leader's last heartbeat; no sample when none leads or Airflow can't be seen.",
        [],
        [([], verdict.heartbeat_age_s)],
    )
    yield gauge(
        "quarterdeck_scheduler_leader",
        "1 for the host that leads.",
        ["host"],
        [([verdict.leader.host], 1.0)] if verdict.leader else [],
    )
    yield gauge(
        "quarterdeck_airflow_process_up",
        "1 when the process is healthy, 0 when it is not.",
        ["kind", "host"],
        [([one.kind, one.host], float(one.status is Status.HEALTHY)) for one in _distinct(verdict.processes)],
    )
    yield gauge("quarterdeck_airflow_import_errors", "Files that Airflow can't read.", [], [([], state.import_errors)])
    yield gauge("quarterdeck_airflow_dags", "DAGs that are not paused.", [], [([], state.dags)])
    yield gauge(
        "quarterdeck_scheduler_takeovers_day",
        "Changes of the leader, and restarts of it, in the last 24 hours.",
        [],
        [([], float(len(takeover_rows(now, timedelta(days=1)))))],
    )

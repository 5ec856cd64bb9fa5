"""Airflow's REST API as readings: v2 of Airflow 3, and v1 of Airflow 2 for health and pools."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from console.platform.airflow import assets, errors
from console.platform.airflow.client import Client, Query
from console.platform.airflow.parse import component, instance, job, listed, moment, pool, text, total
from console.platform.budget import Budget
from console.platform.declared import AirflowDeclared
from console.platform.ports import PlatformError
from console.platform.readings import (
    ComponentHealth,
    JobReading,
    PoolReading,
    QueueCount,
    SchedulerReading,
    TaskInstance,
    TasksReading,
    UpcomingRun,
)

POLL_S = 8.0
"""What one poll may take in all."""
SLOW_S = 60.0
"""Version and counts of DAGs and import errors are asked this often: they change seldom, and counting costs Airflow."""
PAGE = 100
"""Airflow's own `maximum_page_limit` by default."""
MOST_POOLS = 5_000
JOB_KINDS = ("SchedulerJob", "DagProcessorJob", "TriggererJob")
JOBS_EACH = 20
UNDECLARED_QUEUES = 20
INSTANCES = "/api/v2/dags/~/dagRuns/~/taskInstances"


class Airflow:
    """One Airflow. Safe for threads. Every method raises PlatformError."""

    def __init__(self, declared: AirflowDeclared, *, poll_s: float = POLL_S) -> None:
        self._client = Client(declared)
        self._poll_s = poll_s
        # What changes seldom, and until when it is believed (monotonic).
        self._version: tuple[float, int, str] | None = None  # the API's version and Airflow's
        self._numbers: dict[str, tuple[float, int | None]] = {}

    # --- what is asked of it ---------------------------------------------------------------------------------------

    def scheduler(self) -> SchedulerReading:
        """Airflow's own health verdict and the newest jobs of each kind, newest heartbeat first."""
        budget = self._budget()
        api, version = self._api(budget)
        health = self._client.get(
            f"/api/v{api}/monitor/health" if api == 2 else "/api/v1/health", budget=budget, auth="none"
        )
        components = _components(health)
        if api == 1:
            return SchedulerReading(version, components, (), None, None)
        jobs = [found for kind in JOB_KINDS for found in self._jobs(kind, budget)]
        jobs.sort(key=lambda each: each.heartbeat_at.timestamp() if each.heartbeat_at else 0.0, reverse=True)
        dags = self._seldom("dags", "/api/v2/dags", {"paused": "false", "limit": 1}, budget)
        broken = self._seldom("importErrors", "/api/v2/importErrors", {"limit": 1}, budget)
        return SchedulerReading(version, components, tuple(jobs), dags, broken)

    def tasks(self, queues: Sequence[str], *, limit: int) -> TasksReading:
        """Queued and running task instances: exact counts for each queue, and the oldest instances up to `limit`.

        One page often holds them all; then everything is counted from that one answer, which Airflow gave at one
        moment. Only where there are more are the counts asked for one by one. Queues that are in use but were not
        asked for are counted too. PlatformError `unsupported` on Airflow 2.
        """
        budget = self._budget()
        if self._api(budget)[0] == 1:
            raise PlatformError(
                errors.SYSTEM,
                "unsupported",
                "Airflow 2's API does not tell what is queued and running by queue",
                remedy="Queue depth and workers are still seen through the broker; upgrade to Airflow 3 for this.",
                permanent=True,
            )
        size = min(PAGE, max(limit, 1))
        page = self._client.get(INSTANCES, _wanted(["queued", "running"], size), budget=budget)
        instances, number = [instance(row) for row in listed(page, "task_instances", INSTANCES)], total(page, INSTANCES)
        if number <= len(instances):
            return _counted(instances, queues)
        return self._many(queues, limit, budget)

    def pools(self) -> tuple[PoolReading, ...]:
        """Every pool, by name."""
        budget = self._budget()
        api = self._api(budget)[0]
        path, auth = (f"/api/v{api}/pools", "token" if api == 2 else "basic")
        found: dict[str, PoolReading] = {}
        for offset in range(0, MOST_POOLS, PAGE):
            page = self._client.get(path, {"limit": PAGE, "offset": offset}, budget=budget, auth=auth)
            rows, number = listed(page, "pools", path), total(page, path)
            found.update({row.name: row for row in map(pool, rows)})
            if not rows or offset + len(rows) >= number:
                return tuple(sorted(found.values(), key=lambda each: each.name))
        raise errors.malformed(path, f"more than {MOST_POOLS} pools")

    def running(self, queue: str, *, limit: int) -> tuple[tuple[TaskInstance, ...], bool]:
        """The running task instances of one queue, the oldest first, and whether these are all of them."""
        budget = self._budget()
        found: list[TaskInstance] = []
        while len(found) < limit:
            size = min(PAGE, limit - len(found))
            query = _wanted(["running"], size) | {"queue": queue, "offset": len(found)}
            page = self._client.get(INSTANCES, query, budget=budget)
            rows = listed(page, "task_instances", INSTANCES)
            found += [instance(row) for row in rows]
            if not rows or len(found) >= total(page, INSTANCES):
                return tuple(found), True
        return tuple(found), False

    def durations(self, dag_id: str, task_id: str, *, limit: int) -> tuple[float, ...]:
        """How long the newest successful runs of a task took (seconds), newest first."""
        path = f"/api/v2/dags/{quote(dag_id, safe='')}/dagRuns/~/taskInstances"
        query: Query = {"task_id": task_id, "state": "success", "order_by": "-start_date", "limit": min(limit, PAGE)}
        rows = listed(self._client.get(path, query, budget=self._budget()), "task_instances", path)
        took = (row.get("duration") for row in rows if row.get("task_id") == task_id)
        return tuple(float(each) for each in took if isinstance(each, int | float))

    def upcoming(self, *, limit: int) -> tuple[UpcomingRun, ...]:
        """When the next run of each DAG with a schedule is due; paused ones have none. Up to `limit` DAGs are read."""
        budget = self._budget()
        if self._api(budget)[0] == 1:
            return ()
        path = "/api/v2/dags"
        found: list[UpcomingRun] = []
        for offset in range(0, limit, PAGE):
            query: Query = {"paused": "false", "order_by": "dag_id", "limit": PAGE, "offset": offset}
            page = self._client.get(path, query, budget=budget)
            rows = listed(page, "dags", path)
            for row in rows:
                at = moment(row.get("next_dagrun_run_after"))
                if at is not None:
                    found.append(UpcomingRun(text(row, "dag_id", path), at))
            if not rows or offset + len(rows) >= total(page, path):
                break
        return tuple(found)

    def started(self, since: datetime, *, limit: int) -> tuple[TaskInstance, ...]:
        """Task instances that started at `since` or later, the earliest first. Nothing on Airflow 2."""
        budget = self._budget()
        if self._api(budget)[0] == 1:
            return ()
        found: list[TaskInstance] = []
        while len(found) < limit:
            query: Query = {
                "start_date_gte": since.isoformat(), "order_by": "start_date",
                "limit": min(PAGE, limit - len(found)), "offset": len(found),
            }  # fmt: skip
            page = self._client.get(INSTANCES, query, budget=budget)
            rows = listed(page, "task_instances", INSTANCES)
            found += [instance(row) for row in rows]
            if not rows or len(found) >= total(page, INSTANCES):
                break
        return tuple(found)

    # --- changes of pools: each can be repeated, the outcome is the same ----------------------------------------------

    def put_pool(self, name: str, slots: int, description: str, include_deferred: bool) -> None:
        """Make the pool, or give it these values."""
        budget = self._budget()
        body = {"slots": slots, "description": description, "include_deferred": include_deferred}
        path = f"/api/v2/pools/{quote(name, safe='')}"
        mask = "?update_mask=slots&update_mask=description&update_mask=include_deferred"
        status, answer = self._client.change("PATCH", path + mask, {"pool": name, **body}, budget=budget)
        if status == 404:
            status, answer = self._client.change("POST", "/api/v2/pools", {"name": name, **body}, budget=budget)
        if not 200 <= status < 300:
            raise errors.refused(status, answer, f"the pool {name}")

    def delete_pool(self, name: str) -> None:
        """Remove the pool; one that is not there is taken as done."""
        path = f"/api/v2/pools/{quote(name, safe='')}"
        status, answer = self._client.change("DELETE", path, None, budget=self._budget())
        if status != 404 and not 200 <= status < 300:
            raise errors.refused(status, answer, f"the pool {name}")

    # --- assets ------------------------------------------------------------------------------------------------------

    def asset(self, wanted: str) -> int | None:
        """The id of the active asset of this name or URI; None: there is none."""
        budget = self._budget()
        if self._api(budget)[0] == 1:
            raise errors.unsupported("assets", "Upgrade to Airflow 3, or let DAGs wait by the sensor.")
        return assets.find(self._client, wanted, budget)

    def asset_event(self, asset: int, mark: tuple[str, str], since: datetime) -> int | None:
        """The asset's event since then whose extra has this key and value; None: there is none."""
        return assets.event(self._client, asset, mark, since, self._budget())

    def tell_asset(self, asset: int, extra: Mapping[str, Any]) -> int:
        """Make an event of the asset; its id. Not idempotent."""
        return assets.tell(self._client, asset, extra, self._budget())

    # --- how -------------------------------------------------------------------------------------------------------

    def _budget(self) -> Budget:
        return Budget(errors.SYSTEM, self._poll_s)

    def _api(self, budget: Budget) -> tuple[int, str]:
        """Which API this Airflow has, and its version. Found out once; asked again every minute (upgrades)."""
        if self._version and self._version[0] > time.monotonic():
            return self._version[1:]
        try:
            api, answer = 2, self._client.get("/api/v2/version", budget=budget, auth="none")
        except PlatformError as error:
            if error.code != "not_found":
                raise
            api, answer = 1, self._version_1(budget)
        version = text(answer, "version", "/version")
        self._version = (time.monotonic() + SLOW_S, api, version)
        return api, version

    def _version_1(self, budget: Budget) -> Any:
        try:
            return self._client.get("/api/v1/version", budget=budget, auth="none")
        except PlatformError as error:
            raise errors.not_found("Airflow API (/api/v2, /api/v1)") if error.code == "not_found" else error from None

    def _jobs(self, kind: str, budget: Budget) -> list[JobReading]:
        path = "/api/v2/jobs"
        query: Query = {"job_type": kind, "order_by": "-latest_heartbeat", "limit": JOBS_EACH}
        return [job(row) for row in listed(self._client.get(path, query, budget=budget), "jobs", path)]

    def _seldom(self, name: str, path: str, query: Query, budget: Budget) -> int | None:
        """A count that may be up to a minute old; None where this user may not see it."""
        known = self._numbers.get(name)
        if known and known[0] > time.monotonic():
            return known[1]
        number: int | None = None
        try:
            number = total(self._client.get(path, query, budget=budget), path)
        except PlatformError as error:
            if error.code not in {"forbidden", "not_found"}:
                raise
        self._numbers[name] = (time.monotonic() + SLOW_S, number)
        return number

    def _many(self, queues: Sequence[str], limit: int, budget: Budget) -> TasksReading:
        """More than fit one page: counts first, then the oldest of each state for what time is left."""
        totals = {state: self._count(state, None, budget) for state in ("queued", "running")}
        counts = {queue: self._counts(queue, budget) for queue in queues}
        share = {"running": max(limit // 2, limit - totals["queued"])}
        share["queued"] = limit - min(share["running"], totals["running"])
        found: dict[tuple[Any, ...], TaskInstance] = {}
        for state in ("running", "queued"):
            for each in self._oldest(state, share[state], budget):
                found[(each.identity.dag_id, each.identity.run_id, each.identity.task_id, each.identity.map_index)] = (
                    each
                )
        others = sorted({each.queue for each in found.values()} - set(counts))
        for queue in others[:UNDECLARED_QUEUES]:
            counts[queue] = self._counts(queue, budget)
        return TasksReading(
            counts=tuple(counts.values()),
            instances=tuple(found.values()),
            total_queued=totals["queued"],
            total_running=totals["running"],
            complete=len(found) >= sum(totals.values()),
        )

    def _oldest(self, state: str, most: int, budget: Budget) -> list[TaskInstance]:
        """The oldest instances of one state. Stops early rather than fail when time runs out."""
        found: list[TaskInstance] = []
        while len(found) < most and budget.left_s() > self._poll_s / 4:
            size = min(PAGE, most - len(found))
            query = _wanted([state], size) | {"offset": len(found)}
            rows = listed(self._client.get(INSTANCES, query, budget=budget), "task_instances", INSTANCES)
            found += [instance(row) for row in rows]
            if len(rows) < size:
                break
        return found

    def _counts(self, queue: str, budget: Budget) -> QueueCount:
        return QueueCount(queue, self._count("queued", queue, budget), self._count("running", queue, budget))

    def _count(self, state: str, queue: str | None, budget: Budget) -> int:
        query: Query = {"state": state, "limit": 1}
        if queue is not None:
            query["queue"] = queue
        return total(self._client.get(INSTANCES, query, budget=budget), INSTANCES)


def _wanted(states: list[str], size: int) -> Query:
    # Running ones, the oldest first. Queued ones have no start: they follow by id, in the order they were made.
    return {"state": states, "order_by": "start_date", "limit": size}


def _counted(instances: list[TaskInstance], queues: Sequence[str]) -> TasksReading:
    names = list(dict.fromkeys([*queues, *sorted({each.queue for each in instances})]))

    def number(state: str, queue: str | None = None) -> int:
        return sum(each.state == state and queue in (None, each.queue) for each in instances)

    return TasksReading(
        counts=tuple(QueueCount(name, number("queued", name), number("running", name)) for name in names),
        instances=tuple(instances),
        total_queued=number("queued"),
        total_running=number("running"),
        complete=True,
    )


def _components(health: Any) -> tuple[ComponentHealth, ...]:
    if not isinstance(health, dict) or not isinstance(health.get("scheduler"), dict):
        raise errors.malformed("monitor/health", "something else than a health report")
    kinds = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return tuple(component(kind, health[kind]) for kind in kinds if isinstance(health.get(kind), dict))

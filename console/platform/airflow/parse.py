"""JSON of Airflow's API → readings. Only what a reading holds is taken: no rendered fields, no arguments, no conf."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from console.platform.airflow.errors import malformed
from console.platform.readings import ComponentHealth, JobReading, PoolReading, TaskIdentity, TaskInstance


def listed(page: Any, key: str, path: str) -> list[dict[str, Any]]:
    """The rows of a page."""
    rows = page.get(key) if isinstance(page, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise malformed(path, f"no list of {key}")
    return rows


def total(page: Any, path: str) -> int:
    """How many rows there are in all, by Airflow's count."""
    number = page.get("total_entries") if isinstance(page, dict) else None
    if not isinstance(number, int):
        raise malformed(path, "no total_entries")
    return number


def text(row: Any, key: str, path: str) -> str:
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, str):
        raise malformed(path, f"no {key}")
    return value


def moment(value: Any) -> datetime | None:
    """An aware time in UTC; None where there is none or it is not a time."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).astimezone(UTC)


def component(kind: str, row: dict[str, Any]) -> ComponentHealth:
    status = row.get("status")
    return ComponentHealth(
        kind=kind,
        status=status if isinstance(status, str) else None,
        heartbeat_at=moment(row.get(f"latest_{kind}_heartbeat")),
    )


def job(row: dict[str, Any]) -> JobReading:
    number = row.get("id")
    if not isinstance(number, int):
        raise malformed("/api/v2/jobs", "a job without an id")
    return JobReading(
        id=number,
        kind=str(row.get("job_type") or ""),
        host=str(row.get("hostname") or ""),
        state=str(row.get("state") or ""),
        started_at=moment(row.get("start_date")),
        ended_at=moment(row.get("end_date")),
        heartbeat_at=moment(row.get("latest_heartbeat")),
    )


def instance(row: dict[str, Any]) -> TaskInstance:
    path = "taskInstances"
    try_number, map_index = row.get("try_number"), row.get("map_index")
    return TaskInstance(
        identity=TaskIdentity(
            dag_id=text(row, "dag_id", path),
            task_id=text(row, "task_id", path),
            run_id=text(row, "dag_run_id", path),
            map_index=map_index if isinstance(map_index, int) else -1,
            try_number=try_number if isinstance(try_number, int) else None,
        ),
        state=str(row.get("state") or ""),
        queue=str(row.get("queue") or ""),
        pool=str(row.get("pool") or ""),
        hostname=row.get("hostname") or None,
        queued_at=moment(row.get("queued_when")),
        started_at=moment(row.get("start_date")),
    )


def pool(row: dict[str, Any]) -> PoolReading:
    return PoolReading(
        name=text(row, "name", "pools"),
        slots=_slots(row, "slots"),
        description=str(row.get("description") or ""),
        include_deferred=bool(row.get("include_deferred")),
        running=_slots(row, "running_slots"),
        queued=_slots(row, "queued_slots"),
        scheduled=_slots(row, "scheduled_slots"),
        deferred=_slots(row, "deferred_slots", 0),
        occupied=_slots(row, "occupied_slots"),
        open=_slots(row, "open_slots"),
    )


def _slots(row: dict[str, Any], key: str, default: int | None = None) -> int:
    """A number of slots. Airflow writes an unlimited pool's open slots as -1, or as infinity."""
    value = row.get(key, default)
    if isinstance(value, float) and math.isinf(value):
        return -1
    if not isinstance(value, int):
        raise malformed("pools", f"a pool without {key}")
    return value

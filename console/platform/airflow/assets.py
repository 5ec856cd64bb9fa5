"""Assets of Airflow 3: which there is, what happened to it, and that something did."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from console.platform.airflow import errors
from console.platform.airflow.client import Client, Query
from console.platform.airflow.parse import listed, total
from console.platform.budget import Budget
from console.platform.ports import PlatformError

PAGE = 100
MOST = 2_000


def find(client: Client, wanted: str, budget: Budget) -> int | None:
    """The id of the active asset of this name or URI; None: there is none."""
    pattern = "uri_pattern" if "://" in wanted else "name_pattern"
    for row in _pages(client, "/api/v2/assets", "assets", {pattern: wanted, "order_by": "id"}, budget):
        if wanted in (row.get("name"), row.get("uri")):  # a pattern matches more
            return _number(row, "/api/v2/assets")
    return None


def event(client: Client, asset: int, mark: tuple[str, str], since: datetime, budget: Budget) -> int | None:
    """The id of the asset's oldest event since then whose extra has this key and value; None: there is none."""
    path = "/api/v2/assets/events"
    query: Query = {"asset_id": asset, "timestamp_gte": since.isoformat(), "order_by": "timestamp"}
    for row in _pages(client, path, "asset_events", query, budget):
        extra = row.get("extra")
        if isinstance(extra, dict) and extra.get(mark[0]) == mark[1]:
            return _number(row, path)
    return None


def tell(client: Client, asset: int, extra: Mapping[str, Any], budget: Budget) -> int:
    """Make an event. Not idempotent: sent once, and a lost answer leaves open whether it was made.

    Raises PlatformError; `not_found` where the asset is not active any more.
    """
    path = "/api/v2/assets/events"
    try:
        status, answer = client.change("POST", path, {"asset_id": asset, "extra": dict(extra)}, budget=budget)
    except PlatformError as error:
        raise _not_allowed() if error.code == "forbidden" else error from None
    if status == 404:
        raise errors.not_found(f"{path} of asset {asset}")
    if not 200 <= status < 300:
        raise errors.refused(status, answer, f"an event of asset {asset}")
    return _number(answer, path)


def _not_allowed() -> PlatformError:
    return PlatformError(
        errors.SYSTEM,
        "forbidden",
        "Airflow does not let the console's user make asset events",
        remedy="Give it a role that may, such as Op.",
        permanent=True,
    )


def _pages(client: Client, path: str, key: str, query: Query, budget: Budget) -> Any:
    for offset in range(0, MOST, PAGE):
        page = client.get(path, {**query, "limit": PAGE, "offset": offset}, budget=budget)
        rows = listed(page, key, path)
        yield from rows
        if not rows or offset + len(rows) >= total(page, path):
            return
    raise errors.malformed(path, f"more than {MOST} rows")


def _number(row: Any, path: str) -> int:
    found = row.get("id") if isinstance(row, dict) else None
    if not isinstance(found, int):
        raise errors.malformed(path, "no id")
    return found

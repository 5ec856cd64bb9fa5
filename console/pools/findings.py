"""What is wrong with the pools, for the incidents."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urlencode

from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.pools.pages import URL, PoolRow, pool_rows

STARVING_S = 300.0
"""A pool that has starved its tasks for so long is told; it is meant to be full for a while."""


def findings(now: datetime) -> Report:
    """Two queries, however many pools."""
    rows, sight = pool_rows(now)
    if not sight.seen:
        return Report((), frozenset({"pools."}))
    return Report(
        tuple(
            _starved(row)
            for row in rows
            if row.starving_since is not None and (now - row.starving_since).total_seconds() >= STARVING_S
        )
    )


def _starved(row: PoolRow) -> Finding:
    slots = row.slots or 0
    wanted = slots + max(1, min(row.waiting or 1, max(slots // 2, 4)))
    edit = f"{URL}{quote(row.name, safe='')}/edit/"
    return Finding(
        key=f"pools.starved:{row.name}",
        detector="pool-starved",
        severity=Severity.WARNING,
        title=f"Pool {row.name} starves its tasks",
        sentence=row.verdict.reason,
        target=f"pools/{row.name}",
        url=URL,
        facts=(
            Fact("Slots", f"{row.running} running, {row.queued} queued, {row.deferred} deferred of {slots}"),
            Fact("Waiting", f"tasks for {row.waiting} slots", "degraded"),
        ),
        recommended=Recommended(
            f"Wait for its tasks, or raise {row.name} from {slots} to {wanted} slots.",
            f"{edit}?{urlencode({'slots': wanted})}",
            f"Raise to {wanted} slots…",
            "pool",
            {"name": row.name, "slots": wanted},
        ),
        causes=("scheduler.down",),
    )

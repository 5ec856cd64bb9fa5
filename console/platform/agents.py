"""What the agents on the platform's hosts tell, and the orders they take: through the lease store (`LEASE_URL`).

The console writes only orders (who shall lead next, whether takeovers are paused), and only under the row's lock; who
holds the lease is decided by the agents alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg2 import errors, sql

from console.platform.agents_readings import AgentReading, LeaseReading, LeasesReading, ReceiptReading, TakeoverReading
from console.platform.budget import Budget
from console.platform.database import Database
from console.platform.ports import PlatformError

POLL_S = 5.0
SYSTEM = "the lease store"
MOST = 5000


class Agents:
    """Safe for threads. A store in which no agent has ever written is empty, not broken."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def leases(self, lease: str) -> LeasesReading:
        """The lease, the scheduler agents and the newest takeovers, on the store's own clock."""
        budget = Budget(SYSTEM, POLL_S)
        try:
            [(now,)] = self._database.rows(sql.SQL("SELECT clock_timestamp()"), budget)
            rows = self._database.rows(_LEASE.format(lease=sql.Literal(lease)), budget)
            agents = self._database.rows(_AGENTS.format(kind=sql.Literal("scheduler"), most=sql.Literal(100)), budget)
            takeovers = self._database.rows(_TAKEOVERS.format(lease=sql.Literal(lease)), budget)
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return LeasesReading(None, (), (), now)
        row = LeaseReading(*rows[0]) if rows else None
        found = tuple(_agent(each) for each in agents)
        return LeasesReading(row, found, tuple(TakeoverReading(*each) for each in takeovers), now)

    def receipts(self, names: Sequence[str], since: datetime) -> tuple[ReceiptReading, ...]:
        """How the workers of these names ended since then, oldest first."""
        if not names:
            return ()
        query = _RECEIPTS.format(names=sql.Literal(list(names)), since=sql.Literal(since), most=sql.Literal(MOST))
        try:
            return tuple(ReceiptReading(*row) for row in self._database.rows(query, Budget(SYSTEM, POLL_S)))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return ()

    def order_takeover(self, lease: str, holder: str, candidate: str, kind: str, reason: str, for_s: float) -> None:
        """Let `candidate` lead next; `holder` is who is believed to lead now. PlatformError `rejected` if it is not."""
        query = _ORDER.format(
            lease=sql.Literal(lease),
            holder=sql.Literal(holder),
            candidate=sql.Literal(candidate),
            kind=sql.Literal(kind),
            reason=sql.Literal(reason),
            for_s=sql.Literal(for_s),
        )
        if not self._change(query):
            text = f"{holder} does not hold the lease any more"
            raise PlatformError(SYSTEM, "rejected", text, remedy="Look who leads now.", permanent=True)

    def withdraw_order(self, lease: str, candidate: str) -> None:
        """Take the order back, if it still stands."""
        self._change(_WITHDRAW.format(lease=sql.Literal(lease), candidate=sql.Literal(candidate)))

    def hold_takeovers(self, lease: str, for_s: float, reason: str) -> None:
        """Pause automatic takeovers for so many seconds of the store's clock; 0 ends the pause."""
        query = _HOLD.format(lease=sql.Literal(lease), for_s=sql.Literal(for_s), reason=sql.Literal(reason))
        if not self._change(query):
            text = f"there is no lease {lease} yet: no scheduler agent has run"
            raise PlatformError(SYSTEM, "not_found", text, remedy="Start the scheduler agents.", permanent=True)

    def _change(self, query: sql.Composable) -> bool:
        try:
            return bool(self._database.rows(query, Budget(SYSTEM, POLL_S)))
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return False


def _agent(row: tuple[object, ...]) -> AgentReading:
    name, host, pid, child, state, detail, started_at, seen_at, age_s = row
    told = detail if isinstance(detail, dict) else {}
    return AgentReading(
        name=str(name),
        host=str(host),
        pid=int(str(pid)),
        child_pid=int(str(child)) if child is not None else None,
        state=str(state),
        ready=bool(told.get("ready")),
        why=str(told.get("why") or ""),
        token=told.get("token") if isinstance(told.get("token"), int) else None,
        airflow=str(told["airflow"]) if told.get("airflow") else None,
        config=str(told["config"]) if told.get("config") else None,
        started_at=started_at,  # type: ignore[arg-type]
        seen_at=seen_at,  # type: ignore[arg-type]
        seen_age_s=float(str(age_s)),
    )


_LEASE = sql.SQL(
    """
    SELECT name, holder, token, expires_at, extract(epoch FROM expires_at - clock_timestamp())::float, acquired_at,
        renewed_at, released_at, ttl_s, next_holder, next_until, next_kind, next_reason, held_until, held_reason
    FROM quarterdeck.lease WHERE name = {lease}
    """
)
_AGENTS = sql.SQL(
    """
    SELECT name, host, pid, child_pid, state, detail, started_at, seen_at,
        extract(epoch FROM clock_timestamp() - seen_at)::float
    FROM quarterdeck.agent WHERE kind = {kind} ORDER BY name LIMIT {most}
    """
)
_TAKEOVERS = sql.SQL(
    """
    SELECT token, at, kind, from_holder, to_holder, reason, last_renewed_at FROM quarterdeck.takeover
    WHERE lease = {lease} ORDER BY token DESC LIMIT 100
    """
)
_RECEIPTS = sql.SQL(
    """
    SELECT name, child_pid, exit_code, signal, asked, tasks_finished, started_at, exited_at FROM quarterdeck.receipt
    WHERE name = ANY({names}) AND written_at >= {since} ORDER BY exited_at LIMIT {most}
    """
)
_ORDER = sql.SQL(
    """
    UPDATE quarterdeck.lease SET next_holder = {candidate}, next_kind = {kind}, next_reason = {reason},
        next_until = clock_timestamp() + make_interval(secs => {for_s})
    WHERE name = {lease} AND holder = {holder} RETURNING 1
    """
)
_WITHDRAW = sql.SQL(
    """
    UPDATE quarterdeck.lease SET next_holder = NULL, next_kind = NULL, next_reason = NULL, next_until = NULL
    WHERE name = {lease} AND next_holder = {candidate} RETURNING 1
    """
)
_HOLD = sql.SQL(
    """
    UPDATE quarterdeck.lease SET held_until = clock_timestamp() + make_interval(secs => {for_s}),
        held_reason = NULLIF({reason}, '')
    WHERE name = {lease} RETURNING 1
    """
)

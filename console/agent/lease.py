"""The lease on the right to run Airflow's scheduler: who may hold it, and until when. The rules are pure.

One row per lease. Every change reads the row under a lock, asks the rules with the *database's* clock, and writes
what they say, so that any number of agents, and the console, agree. The token rises with each new holder (a fencing
token) and never falls.

Why a holder's belief always ends before its lease does: an agent believes from the moment it *sent* the request, on
its monotonic clock, for `ttl_s - margin_s`; the database counts `ttl_s` from the later moment at which it *served* it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg2.extensions

SCHEMA = """
CREATE TABLE IF NOT EXISTS quarterdeck.lease (
    name text PRIMARY KEY,
    holder text,
    token bigint NOT NULL DEFAULT 0,
    expires_at timestamptz,
    acquired_at timestamptz,
    renewed_at timestamptz,
    released_at timestamptz,
    ttl_s double precision,
    next_holder text,
    next_until timestamptz,
    next_kind text,
    next_reason text,
    held_until timestamptz,
    held_reason text
);
CREATE TABLE IF NOT EXISTS quarterdeck.takeover (
    lease text NOT NULL,
    token bigint NOT NULL,
    at timestamptz NOT NULL,
    kind text NOT NULL,
    from_holder text,
    to_holder text NOT NULL,
    reason text NOT NULL,
    last_renewed_at timestamptz,
    PRIMARY KEY (lease, token)
);
"""

MARGIN_S = 0.5
"""How much earlier than the lease an agent's belief ends: more than any scheduling delay of a healthy host."""


@dataclass(frozen=True)
class Timing:
    """Seconds. `loop + 2 * retry <= ttl` (Patroni's rule): two tries to renew fit into a lease."""

    ttl_s: float = 10.0
    loop_s: float = 2.0
    retry_s: float = 3.0
    stop_s: float = 3.0  # from TERM to KILL when the lease can't be renewed

    def fault(self) -> str | None:
        """What is wrong with these settings, with the arithmetic; None when they are sound."""
        if min(self.ttl_s, self.loop_s, self.retry_s, self.stop_s) <= 0:
            return "ttl, loop, retry and stop must each be more than 0 seconds"
        if self.loop_s + 2 * self.retry_s > self.ttl_s:
            total = self.loop_s + 2 * self.retry_s
            return f"loop + 2 × retry = {total:g} s is more than ttl = {self.ttl_s:g} s: a slow answer would end it"
        if self.loop_s + self.retry_s + self.stop_s + MARGIN_S > self.ttl_s:
            total = self.loop_s + self.retry_s + self.stop_s + MARGIN_S
            return (
                f"loop + retry + stop + {MARGIN_S:g} = {total:g} s is more than ttl = {self.ttl_s:g} s: no time to stop"
            )
        return None


@dataclass(frozen=True)
class Lease:
    """The row. Times are the database's."""

    name: str
    holder: str | None = None
    token: int = 0
    expires_at: datetime | None = None
    acquired_at: datetime | None = None
    renewed_at: datetime | None = None
    released_at: datetime | None = None  # given up on purpose; `holder` still names who had it
    ttl_s: float | None = None
    next_holder: str | None = None  # who shall have it next (a switchover or a forced failover)
    next_until: datetime | None = None
    next_kind: str | None = None  # planned | forced
    next_reason: str | None = None
    held_until: datetime | None = None  # automatic takeovers are paused
    held_reason: str | None = None

    def expired(self, now: datetime) -> bool:
        return self.holder is None or self.expires_at is None or self.expires_at <= now

    def chosen(self, now: datetime) -> str | None:
        """Who alone may take it next, while that order lasts."""
        return self.next_holder if self.next_holder and self.next_until and self.next_until > now else None

    def held(self, now: datetime) -> bool:
        return self.held_until is not None and self.held_until > now


@dataclass(frozen=True)
class Takeover:
    token: int
    kind: str  # first | automatic | planned | forced | resumed
    from_holder: str | None
    to_holder: str
    reason: str
    last_renewed_at: datetime | None


@dataclass(frozen=True)
class Verdict:
    """What one sync came to. `held`: this agent holds the lease now, with `lease.token`."""

    lease: Lease
    held: bool
    reason: str  # why not, or what to do
    step_down: bool = False  # it holds it, and is to hand it over
    kill: bool = False  # … at once (forced)
    takeover: Takeover | None = None


def sync(lease: Lease, me: str, token: int | None, now: datetime, ttl_s: float, *, ready: bool) -> Verdict:
    """Renew, take over, or leave it. `token` is the one under which this agent believes to hold it (None: it doesn't).

    A holder that finds a higher token, or another name, has lost it: `held` is False. Never two holders of one token.
    """
    mine = lease.holder == me and token is not None and lease.token == token
    chosen = lease.chosen(now)
    until = now + timedelta(seconds=ttl_s)
    if mine:
        if chosen and chosen != me:
            # Renewed once more, so that nobody takes it while this one is stopping its scheduler.
            kept = replace(lease, expires_at=max(until, lease.expires_at or until), renewed_at=now)
            forced = lease.next_kind == "forced"
            return Verdict(kept, True, f"handing over to {chosen}", step_down=True, kill=forced)
        return Verdict(replace(lease, expires_at=until, renewed_at=now, ttl_s=ttl_s), True, "renewed")
    if not lease.expired(now):
        if lease.holder == me:
            # An earlier run of this agent held it. Its scheduler died with it; but wait the lease out all the same.
            return Verdict(lease, False, "an earlier run of this agent holds it until it expires")
        return Verdict(lease, False, f"{lease.holder} holds it")
    if not ready:
        return Verdict(lease, False, "free, but this host is not ready to lead")
    if chosen and chosen != me:
        return Verdict(lease, False, f"it is {chosen}'s turn")
    if lease.held(now) and lease.holder not in (None, me) and chosen != me:
        return Verdict(lease, False, f"automatic failover is paused: {lease.held_reason or 'no reason given'}")
    taken = replace(
        lease,
        holder=me,
        token=lease.token + 1,
        expires_at=until,
        acquired_at=now,
        renewed_at=now,
        released_at=None,
        ttl_s=ttl_s,
        next_holder=None,
        next_until=None,
        next_kind=None,
        next_reason=None,
    )
    return Verdict(taken, True, "taken over", takeover=_takeover(lease, me, chosen))


def next_look_s(verdict: Verdict, me: str, now: datetime, loop_s: float, soon_s: float) -> float:
    """Seconds until the next sync: a holder keeps to its loop, the others look when the lease may become free.

    `now` is the database's, as at the sync. A wrong guess costs one more look: whoever asks too early is refused.
    """
    lease = verdict.lease
    if verdict.held or lease.expired(now):
        return loop_s
    if lease.chosen(now) == me:
        return min(loop_s, soon_s)
    assert lease.expires_at is not None  # else it had expired
    return min(loop_s, (lease.expires_at - now).total_seconds() + 0.05)


def _takeover(lease: Lease, me: str, chosen: str | None) -> Takeover:
    if chosen == me:
        kind, reason = lease.next_kind or "planned", lease.next_reason or "ordered"
    elif lease.token == 0:
        kind, reason = "first", "nobody held it before"
    elif lease.holder == me:
        kind, reason = "resumed", "nobody else took it"
    elif lease.released_at is not None:
        kind, reason = "automatic", f"{lease.holder} gave it up"
    else:
        kind, reason = "automatic", f"{lease.holder} stopped renewing"
    return Takeover(lease.token + 1, kind, lease.holder, me, reason, lease.renewed_at)


def release(lease: Lease, me: str, token: int, now: datetime) -> Lease:
    """Give it up, once the scheduler has stopped. Another's lease is left as it is."""
    if lease.holder != me or lease.token != token:
        return lease
    return replace(lease, expires_at=now, released_at=now)


_COLUMNS = tuple(Lease.__dataclass_fields__)


def read(cursor: psycopg2.extensions.cursor, name: str, *, lock: bool = False) -> tuple[Lease, datetime]:
    """The row (made when missing) and the database's clock; with `lock` nobody else changes it in this transaction."""
    columns = ", ".join(_COLUMNS)
    query = f"SELECT {columns} FROM quarterdeck.lease WHERE name = %s" + (" FOR UPDATE" if lock else "")  # noqa: S608
    cursor.execute(query, (name,))
    row = cursor.fetchone()
    if row is None:
        cursor.execute("INSERT INTO quarterdeck.lease (name) VALUES (%s) ON CONFLICT DO NOTHING", (name,))
        cursor.execute(query, (name,))
        row = cursor.fetchone()
    # After the lock: time that passed waiting for it has passed for the lease too.
    cursor.execute("SELECT clock_timestamp()")
    clock: Any = cursor.fetchone()
    return Lease(*row), clock[0]


def write(cursor: psycopg2.extensions.cursor, lease: Lease) -> None:
    changes = ", ".join(f"{column} = %s" for column in _COLUMNS[1:])
    values = [getattr(lease, column) for column in _COLUMNS[1:]]
    cursor.execute(f"UPDATE quarterdeck.lease SET {changes} WHERE name = %s", (*values, lease.name))  # noqa: S608


def write_takeover(cursor: psycopg2.extensions.cursor, name: str, takeover: Takeover, at: datetime) -> None:
    cursor.execute(
        """
        INSERT INTO quarterdeck.takeover (lease, token, at, kind, from_holder, to_holder, reason, last_renewed_at)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
        """,
        (
            name,
            takeover.token,
            at,
            takeover.kind,
            takeover.from_holder,
            takeover.to_holder,
            takeover.reason,
            takeover.last_renewed_at,
        ),
    )

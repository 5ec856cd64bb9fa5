"""What the agents on the platform's hosts wrote into the lease store: who leads, who could, how workers ended."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class LeaseReading:
    """The right to run the scheduler. Times are the store's; `expires_in_s` was counted there."""

    name: str
    holder: str | None
    token: int
    expires_at: datetime | None
    expires_in_s: float | None
    acquired_at: datetime | None
    renewed_at: datetime | None
    released_at: datetime | None
    ttl_s: float | None
    next_holder: str | None
    next_until: datetime | None
    next_kind: str | None
    next_reason: str | None
    held_until: datetime | None  # automatic takeovers are paused until then
    held_reason: str | None


@dataclass(frozen=True)
class AgentReading:
    """What a scheduler agent last said of itself, and how long ago by the store's clock."""

    name: str
    host: str
    pid: int
    child_pid: int | None
    state: str  # leading, standby, stopping
    ready: bool  # it could take over now
    why: str  # why it is not ready
    token: int | None
    airflow: str | None
    config: str | None
    started_at: datetime
    seen_at: datetime
    seen_age_s: float


@dataclass(frozen=True)
class TakeoverReading:
    token: int
    at: datetime
    kind: str  # first, automatic, planned, forced, resumed
    from_holder: str | None
    to_holder: str
    reason: str
    last_renewed_at: datetime | None


@dataclass(frozen=True)
class LeasesReading:
    lease: LeaseReading | None  # None: no agent has ever run
    agents: tuple[AgentReading, ...]
    takeovers: tuple[TakeoverReading, ...]  # newest first
    server_now: datetime


@dataclass(frozen=True)
class ReceiptReading:
    """How a supervised worker's process ended, by its agent."""

    name: str
    child_pid: int
    exit_code: int | None
    signal: int | None
    asked: bool
    tasks_finished: int | None
    started_at: datetime
    exited_at: datetime

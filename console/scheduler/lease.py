"""The lease on scheduling as the console sees it: who holds it, who could take it, would it happen by itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.lib.words import duration
from console.platform.agents_readings import AgentReading, LeaseReading, LeasesReading
from console.platform.rules import Sight

FRESH_S = 15.0
"""An agent that has not reported for longer is silent."""


@dataclass(frozen=True)
class AgentView:
    """One scheduler host's agent. `word`: leading, ready, not ready, silent."""

    name: str
    host: str
    word: str
    ready: bool
    why: str  # why it could not take over now; "" when it could, or leads
    seen_age_s: float
    token: int | None


@dataclass(frozen=True)
class LeaseView:
    """What is known of the lease at one moment. `used` False: no agent has ever run; all else is empty then."""

    used: bool
    seen: bool
    reason: str  # why it can't be seen
    holder: str | None = None  # None: nobody holds it now
    last_holder: str | None = None
    token: int | None = None
    expires_in_s: float | None = None
    agents: tuple[AgentView, ...] = ()
    automatic: bool = False  # a takeover would happen by itself
    held_until: datetime | None = None
    held_reason: str = ""
    next_holder: str | None = None
    not_acting: str = ""  # a sentence: why a takeover that is due does not happen, or could not

    def agent(self, name: str) -> AgentView | None:
        return next((one for one in self.agents if one.name == name), None)

    @property
    def standbys(self) -> tuple[AgentView, ...]:
        return tuple(one for one in self.agents if one.ready and one.name != self.holder)


UNUSED = LeaseView(used=False, seen=False, reason="no scheduler agent has run yet")


def view(reading: LeasesReading | None, as_of: datetime | None, sight: Sight, now: datetime) -> LeaseView:
    """The lease at `now`. The store's clock is never compared with the console's: only ages counted there are used."""
    if reading is None or as_of is None:
        return UNUSED
    if reading.lease is None and not reading.agents:
        return UNUSED
    if not sight.seen:
        return LeaseView(used=True, seen=False, reason=sight.reason)
    passed_s = max(0.0, (now - as_of).total_seconds())
    lease = reading.lease
    left_s = lease.expires_in_s - passed_s if lease and lease.expires_in_s is not None else None
    # Between two looks the holder renews: what counts is whether it had expired when it was looked at.
    live = bool(lease and lease.holder and lease.expires_in_s is not None and lease.expires_in_s > 0)
    holder = lease.holder if lease and live else None
    agents = tuple(_agent(one, holder, passed_s) for one in reading.agents)
    held = lease is not None and lease.held_until is not None and lease.held_until > reading.server_now
    found = LeaseView(
        used=True,
        seen=True,
        reason="",
        holder=holder,
        last_holder=lease.holder if lease else None,
        token=lease.token if lease else None,
        expires_in_s=left_s if live else None,
        agents=agents,
        automatic=not held,
        held_until=lease.held_until if lease and held else None,
        held_reason=(lease.held_reason or "") if lease and held else "",
        next_holder=_ordered(lease, reading.server_now),
    )
    return LeaseView(**{**vars(found), "not_acting": _not_acting(found)})


def _agent(one: AgentReading, holder: str | None, passed_s: float) -> AgentView:
    age_s = one.seen_age_s + passed_s
    if one.seen_age_s > FRESH_S:
        why = f"its agent has been silent for {duration(one.seen_age_s)}"
        return AgentView(one.name, one.host, "silent", False, why, age_s, None)
    if one.name == holder:
        return AgentView(one.name, one.host, "leading", True, "", age_s, one.token)
    word = "ready" if one.ready else "not ready"
    return AgentView(one.name, one.host, word, one.ready, one.why, age_s, None)


def _ordered(lease: LeaseReading | None, store_now: datetime) -> str | None:
    if lease is None or lease.next_holder is None or lease.next_until is None or lease.next_until <= store_now:
        return None
    return lease.next_holder


def _not_acting(found: LeaseView) -> str:
    ready = [one.name for one in found.standbys]
    paused = ""
    if found.held_until is not None:
        paused = f"utomatic failover is paused until {found.held_until:%H:%M} UTC: {found.held_reason}."
    if found.holder is None and paused:
        return f"Nobody leads, and a{paused}"
    if found.holder is None and not ready:
        return "Nobody leads, and no standby is ready to."
    if not ready:
        others = [one for one in found.agents if one.name != found.holder]
        if not others:
            return "There is no standby: no other agent runs."
        return f"No standby is ready: {others[0].name}: {others[0].why}."
    return f"A{paused}" if paused else ""

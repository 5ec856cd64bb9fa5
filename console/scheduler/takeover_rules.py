"""The operations `switchover` (planned) and `failover` (forced): another host leads. Pure.

    order → the old one stops its scheduler and gives the lease up → the new one takes it → its scheduler beats twice

The console only writes an order into the lease; the agents decide. Until the lease has moved the order can be taken
back; after that it goes forward only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.lib.words import duration
from console.operations.rules import Call, Decision, Ledger, Line, Orders, Outcome, Progress, State
from console.platform.agents_readings import LeasesReading
from console.platform.readings import JobReading
from console.scheduler.lease import FRESH_S

VERSION = 1
ORDER_S = 60.0
VERIFY_S = 120.0
"""So long may a new scheduler take to be seen beating twice."""


@dataclass(frozen=True)
class Takeover:
    """How far it is. Times are ISO 8601, on the store's clock or on Airflow's."""

    token: int | None = None  # of the old holder
    ordered_at: str = ""
    moved_at: str = ""
    beats: tuple[str, ...] = ()  # distinct heartbeats of the new scheduler
    old_last: str = ""  # the old scheduler's last sign of life
    stopping: bool = False  # that the old one stops its scheduler has been told
    released: bool = False  # likewise that it has given the lease up
    job: int | None = None  # the new scheduler's Job, once it was told


@dataclass(frozen=True)
class Seen:
    """`jobs` None: Airflow can't be seen."""

    leases: LeasesReading
    jobs: tuple[JobReading, ...] | None


def decide(
    parameters: Mapping[str, Any], state: Takeover, seen: Seen, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Takeover]:
    lease, old, new = seen.leases.lease, parameters["from"], parameters["to"]
    if lease is None:
        return _failed(state, "There is no lease any more.")
    if state.moved_at or (state.ordered_at and lease.holder == new and lease.token != state.token):
        return _moved(parameters, state, seen, now)
    if not state.ordered_at:
        if orders.aborting:
            return Decision(state, outcome=Outcome(State.ABORTED, "Nothing had been ordered."))
        fault = refusal(seen.leases, old, new, forced=parameters["forced"])
        if fault:
            return _failed(state, f"{fault} Nothing was done.")
        args = {
            "lease": lease.name,
            "holder": old,
            "candidate": new,
            "kind": "forced" if parameters["forced"] else "planned",
            "reason": parameters["why"],
            "for_s": ORDER_S,
        }
        last = _last_sign(seen.jobs, old)
        begun = replace(state, token=lease.token, ordered_at=seen.leases.server_now.isoformat(), old_last=last)
        call = Call("order", "order", f"Order {new} to lead after {old}", args)
        return Decision(begun, calls=(call,), progress=Progress(0, 3, "ordered"), next_tick_s=1.0)
    return _waiting(parameters, state, seen, orders)


def _waiting(parameters: Mapping[str, Any], state: Takeover, seen: Seen, orders: Orders) -> Decision[Takeover]:
    """The order stands; the lease has not moved."""
    lease, old, new = seen.leases.lease, parameters["from"], parameters["to"]
    assert lease is not None
    waited_s = (seen.leases.server_now - datetime.fromisoformat(state.ordered_at)).total_seconds()
    last = _last_sign(seen.jobs, old) or state.old_last
    state = replace(state, old_last=last)
    state, notes = _told_of_the_old(state, seen, old)
    withdraw = Call("withdraw", "withdraw", "Take the order back", {"lease": lease.name, "candidate": new})
    if orders.aborting:
        if lease.next_holder == new:
            progress = Progress(0, 3, "taking it back")
            return Decision(state, calls=(withdraw,), notes=notes, progress=progress, next_tick_s=1.0)
        return Decision(state, notes=notes, outcome=Outcome(State.ABORTED, f"{lease.holder} keeps leading."))
    if lease.holder not in (old, new):
        return _failed(state, f"{lease.holder} took the lease meanwhile.")
    if waited_s > ORDER_S:
        agent = next((one for one in seen.leases.agents if one.name == new), None)
        why = agent.why or "it did not take it" if agent else "its agent is gone"
        return _failed(state, f"{new} has not taken over within {duration(ORDER_S)}: {why}. {old} may lead on.")
    text = f"waiting for {old} to stop and {new} to take the lease, {duration(waited_s)}"
    return Decision(state, notes=notes, progress=Progress(1, 3, text), next_tick_s=1.0)


def _told_of_the_old(state: Takeover, seen: Seen, old: str) -> tuple[Takeover, tuple[Line, ...]]:
    """What is news of the old one on its way out."""
    lease = seen.leases.lease
    agent = next((one for one in seen.leases.agents if one.name == old), None)
    notes: list[Line] = []
    if agent is not None and agent.state == "stopping" and not state.stopping:
        state = replace(state, stopping=True)
        notes.append(Line(f"{old} stops its scheduler."))
    released = lease.released_at if lease is not None and lease.holder == old else None
    if released is not None and not state.released and released >= datetime.fromisoformat(state.ordered_at):
        state = replace(state, released=True)
        notes.append(Line(f"{old} has stopped its scheduler and gave the lease up at {released:%H:%M:%S} UTC."))
    return state, tuple(notes)


def _moved(parameters: Mapping[str, Any], state: Takeover, seen: Seen, now: datetime) -> Decision[Takeover]:
    """The lease has moved: forward only, until the new scheduler is seen to work."""
    new = parameters["to"]
    notes: tuple[Line, ...] = ()
    if not state.moved_at:
        taken = next((one for one in seen.leases.takeovers if one.to_holder == new), None)
        at = taken.at if taken else seen.leases.server_now
        state = replace(state, moved_at=at.isoformat())
        token = seen.leases.lease.token if seen.leases.lease else "unknown"
        notes = (Line(f"{new} holds the lease since {at:%H:%M:%S} UTC, token {token}."),)
    moved = datetime.fromisoformat(state.moved_at)
    jobs = [] if seen.jobs is None else [j for j in seen.jobs if j.host == new and j.kind == "SchedulerJob"]
    job = next((j for j in jobs if j.state == "running" and j.started_at and j.started_at >= moved), None)
    if job is not None and job.started_at is not None and state.job != job.id:
        state = replace(state, job=job.id)
        text = (
            f"Its scheduler runs since {job.started_at:%H:%M:%S} UTC, and adopts what the old one left (Job {job.id})."
        )
        notes = (*notes, Line(text))
    if job is not None and job.heartbeat_at is not None:
        beat = job.heartbeat_at.isoformat()
        if beat not in state.beats:
            state = replace(state, beats=(*state.beats, beat))
    if len(state.beats) >= 2 and job is not None and job.started_at is not None:
        gap = ""
        if state.old_last:
            gap_s = max(0.0, (job.started_at - datetime.fromisoformat(state.old_last)).total_seconds())
            gap = f"; nobody scheduled for {duration(gap_s)}"
        outcome = Outcome(State.SUCCEEDED, f"{new} leads{gap}.")
        return Decision(state, verified=("order",), notes=notes, outcome=outcome, progress=Progress(3, 3))
    waited_s = (seen.leases.server_now - moved).total_seconds()
    if waited_s > VERIFY_S:
        text = f"{new} holds the lease, but its scheduler was not seen to work within {duration(VERIFY_S)}."
        return _failed(state, text)
    text = "waiting for two heartbeats of the new scheduler" if seen.jobs is not None else "Airflow can't be seen"
    return Decision(state, verified=("order",), notes=notes, progress=Progress(2, 3, text), next_tick_s=1.0)


def refusal(leases: LeasesReading, old: str, new: str, *, forced: bool) -> str:
    """Why this takeover can't be ordered, as a sentence; "" when it can."""
    lease = leases.lease
    if lease is None or lease.holder is None:
        return "Nobody has ever led: start the agents first."
    if lease.holder != old:
        return f"{lease.holder} leads now, not {old}."
    if new == old:
        return f"{new} leads already."
    agent = next((one for one in leases.agents if one.name == new), None)
    if agent is None:
        known = ", ".join(one.name for one in leases.agents if one.name != old) or "none"
        return f"No scheduler agent is called {new}; there is {known}."
    if agent.seen_age_s > FRESH_S:
        return f"The agent of {new} has been silent for {duration(agent.seen_age_s)}."
    if not agent.ready:
        return f"{new} is not ready: {agent.why}."
    if not forced and (lease.expires_in_s is None or lease.expires_in_s <= 0):
        return f"{old} does not hold the lease any more: it has expired. Fail over instead."
    return ""


def _last_sign(jobs: tuple[JobReading, ...] | None, host: str) -> str:
    """When the host's scheduler last did anything: its clean end, or its last heartbeat."""
    signs = [
        sign
        for job in jobs or ()
        if job.host == host and job.kind == "SchedulerJob"
        for sign in (job.heartbeat_at, job.ended_at if job.state == "success" else None)
        if sign is not None
    ]
    return max(signs).isoformat() if signs else ""


def _failed(state: Takeover, text: str) -> Decision[Takeover]:
    return Decision(state, outcome=Outcome(State.FAILED, text))

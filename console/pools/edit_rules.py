"""The operation `pool`: give a pool new settings, for good or until a moment, or remove it. Pure.

A temporary override stays an active operation until it has reverted: the pool can't be edited meanwhile without ending
it, and a console that was down at that moment reverts when it is back. What somebody else changed in the meantime is
never overwritten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.lib.words import count
from console.operations.rules import Call, Decision, Ledger, Level, Line, Orders, Outcome, Progress, State
from console.pools.rules import UNLIMITED, PoolFacts, revision

VERSION = 1
LONGEST_TICK_S = 30.0


@dataclass(frozen=True)
class Settings:
    """What of a pool can be edited."""

    slots: int
    description: str
    include_deferred: bool

    @property
    def revision(self) -> str:
        return revision(self.slots, self.description, self.include_deferred)


@dataclass(frozen=True)
class Edit:
    """How far an edit is. `before` None: the pool did not exist."""

    looked: bool = False
    before: Settings | None = None
    applied: bool = False
    reverting: bool = False


def start(parameters: Mapping[str, Any]) -> Edit:
    return Edit()


def wanted(parameters: Mapping[str, Any]) -> Settings | None:
    """The settings to reach; None: no such pool."""
    settings = parameters["settings"]
    return None if settings is None else Settings(**settings)


def decide(
    parameters: Mapping[str, Any], edit: Edit, pool: Settings | None, ledger: Ledger, orders: Orders, now: datetime
) -> Decision[Edit]:
    """`pool` is the fresh reading; None: Airflow has no such pool."""
    name, goal = parameters["name"], wanted(parameters)
    until = datetime.fromisoformat(parameters["until"]) if parameters["until"] else None
    if not edit.looked:
        found = pool.revision if pool else ""
        if found != parameters["revision"] and pool != goal:
            text = f"{name} is {_words(pool)} now: it was changed since you looked. Nothing was done."
            return Decision(edit, outcome=Outcome(State.FAILED, text))
        edit = replace(edit, looked=True, before=pool)
    if orders.aborting and not edit.applied and ledger.stage("apply") is None:
        return Decision(edit, outcome=Outcome(State.ABORTED, f"{name} was not touched."))
    if not edit.applied:
        if pool != goal:
            return Decision(edit, calls=(_call("apply", name, goal),), progress=_progress(0, until), next_tick_s=0.5)
        edit = replace(edit, applied=True)
        note = Line(f"{name} is {_words(goal)}.")
        if until is None:
            outcome = Outcome(State.SUCCEEDED, f"{name} is {_words(goal)}, was {_words(edit.before)}.")
            return Decision(edit, verified=("apply",), notes=(note,), outcome=outcome, progress=Progress(1, 1))
        return Decision(edit, verified=("apply",), notes=(note,), progress=_progress(1, until), next_tick_s=0.5)
    return _held(name, edit, pool, goal, until, orders, now)


def _held(
    name: str,
    edit: Edit,
    pool: Settings | None,
    goal: Settings | None,
    until: datetime | None,
    orders: Orders,
    now: datetime,
) -> Decision[Edit]:
    """An override in force: wait for its end, then put back what was there, unless somebody changed it."""
    ends = orders.aborting or until is None or now >= until
    if edit.reverting and pool == edit.before:
        state = State.ABORTED if orders.aborting else State.SUCCEEDED
        text = f"{name} is {_words(edit.before)} again."
        return Decision(edit, verified=("revert",), outcome=Outcome(state, text), progress=Progress(2, 2))
    if pool != goal and not edit.reverting:
        text = f"Somebody changed {name} to {_words(pool)} meanwhile; it is left so, and not reverted."
        note = Line(text, Level.WARNING)
        return Decision(edit, notes=(note,), outcome=Outcome(State.FAILED, text), progress=Progress(1, 2))
    if not ends:
        assert until is not None
        left_s = (until - now).total_seconds()
        return Decision(edit, progress=_progress(1, until), next_tick_s=min(max(left_s, 0.5), LONGEST_TICK_S))
    edit = replace(edit, reverting=True)
    return Decision(edit, calls=(_call("revert", name, edit.before),), progress=_progress(1, until), next_tick_s=0.5)


def _call(key: str, name: str, settings: Settings | None) -> Call:
    if settings is None:
        return Call(key, "delete_pool", f"Remove {name}", {"name": name})
    args = {
        "name": name,
        "slots": settings.slots,
        "description": settings.description,
        "include_deferred": settings.include_deferred,
    }
    return Call(key, "put_pool", f"Set {name} to {_words(settings)}", args)


def _progress(done: int, until: datetime | None) -> Progress:
    if until is None:
        return Progress(done, 1)
    return Progress(done, 2, f"until {until:%Y-%m-%d %H:%M} UTC, then back" if done else "")


def _words(settings: Settings | None) -> str:
    if settings is None:
        return "gone"
    slots = "without a limit" if settings.slots == UNLIMITED else f"at {count(settings.slots, 'slot')}"
    return slots + (", deferred tasks included" if settings.include_deferred else "")


def consequence(pool: PoolFacts | None, slots: int | None) -> tuple[str, ...]:
    """What a change would do to the tasks of a pool, in sentences. `slots` None: the pool is removed."""
    if pool is None:
        return (
            (f"A new pool with {count(slots or 0, 'slot')}.",)
            if slots != UNLIMITED
            else ("A new pool without a limit.",)
        )
    if slots is None:
        held = f"{count(pool.occupied, 'slot')} are taken" if pool.occupied else "no slot is taken"
        waits = f", and tasks for {count(pool.scheduled, 'slot')} wait" if pool.scheduled else ""
        return (f"{pool.name} is removed: {held}{waits}. Tasks that name it can no longer be scheduled.",)
    if slots == UNLIMITED:
        return (f"No limit any more: tasks for {count(pool.scheduled, 'waiting slot')} may start at once.",)
    after = slots - pool.occupied
    sentences = []
    if after < 0:
        sentences.append(
            f"{pool.occupied} slots are taken, {-after} more than the new limit: nothing is stopped, and nothing "
            f"starts until {1 - after} of them end."
        )
    starts = max(0, min(pool.scheduled, after))
    if starts:
        sentences.append(f"Tasks for {count(starts, 'slot')} that wait now may start.")
    left = pool.scheduled - starts
    if left:
        sentences.append(f"Tasks for {count(left, 'slot')} still wait.")
    return tuple(sentences) or (f"{count(max(after, 0), 'slot')} would be open; nothing waits.",)

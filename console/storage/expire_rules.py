"""The operation `expire`: remove the hand-offs that are past their expiry. Pure.

Invariant: what was not past its expiry when the operation began is never named in a call; and each call looks again at
what it names (`ledger.removable`) just before it removes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from console.lib.words import count, size
from console.operations.rules import Call, Decision, Ledger, Level, Line, Orders, Outcome, Progress, State, StepState
from console.storage.ledger import Past

VERSION = 1
BATCH = 50
TRIES = 3
"""So many calls in a row may fail, or change nothing, before it gives up."""


@dataclass(frozen=True)
class Expire:
    """How far it is. `before` "": it has not looked yet. `batch`: the folders of call `number`, 0 before the first."""

    before: str = ""
    total: int = 0
    total_bytes: int = 0
    number: int = 0
    batch: tuple[str, ...] = ()
    in_vain: int = 0


def start(parameters: Mapping[str, Any]) -> Expire:
    return Expire()


def decide(
    parameters: Mapping[str, Any],
    state: Expire,
    past: Sequence[Past],
    ledger: Ledger,
    orders: Orders,
    now: datetime,
) -> Decision[Expire]:
    """`past` is what lies there now and had expired when it began (at the first look: by now)."""
    first = not state.before
    if first:
        state = replace(state, before=now.isoformat(), total=len(past), total_bytes=sum(each.bytes for each in past))
    done, left = max(0, state.total - len(past)), {each.folder for each in past}
    freed = max(0, state.total_bytes - sum(each.bytes for each in past))
    progress = Progress(done, state.total, f"{size(freed)} freed" if done else "")
    if first and not past:
        return Decision(state, outcome=Outcome(State.SUCCEEDED, "Nothing was past its expiry any more."))
    said = f"{count(done, 'hand-off')} removed, {size(freed)}"
    verified: tuple[str, ...] = ()
    notes: tuple[Line, ...] = ()
    if state.batch:
        key = f"remove-{state.number}"
        stage = ledger.stage(key)
        if stage in (None, StepState.INTENT):  # it was not made, or who made it died: made again, it does no harm
            return Decision(state, calls=(_call(parameters, state),), progress=progress, next_tick_s=1.0)
        kept = sum(folder in left for folder in state.batch)
        if kept == len(state.batch):
            state = replace(state, in_vain=state.in_vain + 1)
            if state.in_vain >= TRIES:
                step = ledger.steps.get(key)
                why = (step.error if step else "") or "they are still there after they were removed."
                return Decision(state, progress=progress, outcome=Outcome(State.FAILED, f"{said}; then: {why}"))
        else:
            state = replace(state, in_vain=0)
            verified = (key,) if stage is not StepState.FAILED else ()
            notes = (Line(f"{said} of {size(state.total_bytes)}."),) if state.number % 10 == 0 else ()
        state = replace(state, batch=())
    if not past:
        return Decision(
            state, verified=verified, progress=progress, outcome=Outcome(State.SUCCEEDED, f"{_capped(said)}.")
        )
    if orders.aborting:
        text = f"{_capped(said)}; {count(len(past), 'hand-off')} left where they are."
        return Decision(state, verified=verified, progress=progress, outcome=Outcome(State.ABORTED, text))
    if state.in_vain:
        notes = (*notes, Line("None of these could be removed; it is tried again.", Level.WARNING))
    batch = tuple(each.folder for each in sorted(past, key=lambda each: each.folder)[:BATCH])
    state = replace(state, number=state.number + 1, batch=batch)
    call = _call(parameters, state)
    return Decision(state, calls=(call,), verified=verified, notes=notes, progress=progress, next_tick_s=1.0)


def _call(parameters: Mapping[str, Any], state: Expire) -> Call:
    args = {"storage": parameters["storage"], "folders": list(state.batch), "before": state.before}
    title = f"Remove {count(len(state.batch), 'hand-off')}, if they are still past their expiry"
    return Call(f"remove-{state.number}", "remove_expired", title, args)


def _capped(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"

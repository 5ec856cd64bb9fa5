"""What an operation is, as values: the state it keeps, what it may decide in one tick, what a person may order. Pure.

An operation is a reconcile loop. Each tick hands its rule a fresh observation, and the rule answers with a `Decision`:
its next state, the calls to make, what is proven by now. The engine (`console.operations.engine`) writes each call down
as INTENT before it is made, as CALLED after it, and as VERIFIED when a later observation proves it: a process that is
killed at any line costs one tick, and never makes a call that must not be made twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

JSON = Any
S = TypeVar("S")


class State(StrEnum):
    """CONTRACT's words. `paused` also where a person must choose (`Operation.question`)."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    ABORTED = "aborted"


ACTIVE = (State.QUEUED, State.RUNNING, State.PAUSED)
FINAL = (State.SUCCEEDED, State.FAILED, State.ABORTED)


class StepState(StrEnum):
    INTENT = "intent"  # written down; perhaps called, if the process died in between
    CALLED = "called"  # the platform took it
    VERIFIED = "verified"  # an observation proves its effect
    FAILED = "failed"  # the platform refused it, or it came too late


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True)
class Line:
    """A note for the log of the operation: one sentence."""

    text: str
    level: Level = Level.INFO


@dataclass(frozen=True)
class Call:
    """One change of the platform. `key` is unique within the operation, and names the step for ever.

    A `once` call has no client token on the other side and is never made again after a crash: the rule has to find out
    from its observation whether it took place. Any other call is idempotent, and is repeated until it was CALLED.
    `not_after_s` bounds how late an intent may still be acted upon; a later one fails instead.
    """

    key: str
    action: str
    title: str
    args: Mapping[str, JSON] = field(default_factory=dict)
    once: bool = False
    not_after_s: float = 120.0


@dataclass(frozen=True)
class Progress:
    done: int = 0
    total: int = 0
    text: str = ""


@dataclass(frozen=True)
class Question:
    """A choice that a person must make: the sentence, and what may be answered (name → what it does)."""

    text: str
    choices: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Outcome:
    """How it ended; only `FINAL` states."""

    state: State
    text: str


@dataclass(frozen=True)
class Decision(Generic[S]):
    """What a rule wants after one observation."""

    state: S
    calls: tuple[Call, ...] = ()
    verified: tuple[str, ...] = ()  # keys of steps whose effect is proven
    notes: tuple[Line, ...] = ()
    next_tick_s: float = 2.0
    progress: Progress = field(default_factory=Progress)
    question: Question | None = None
    outcome: Outcome | None = None
    lock: tuple[str, ...] = ()  # further targets to take; one that is taken already is told at the next tick
    release: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepSeen:
    """What is remembered of one call."""

    key: str
    state: StepState
    called_at: datetime | None
    error: str


@dataclass(frozen=True)
class Answer:
    """What a person answered to a question, or ordered in words of the kind ("undrain i-0abc")."""

    choice: str
    args: Mapping[str, JSON]
    by: str
    at: datetime


@dataclass(frozen=True)
class Orders:
    """What people want of a running operation, at this tick. Each answer is handed over exactly once."""

    paused: bool = False
    aborting: bool = False
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True)
class Ledger:
    """The operation's own memory beside its state: steps by key, and the targets that it holds."""

    steps: Mapping[str, StepSeen] = field(default_factory=dict)
    held: frozenset[str] = frozenset()
    refused: Mapping[str, str] = field(default_factory=dict)  # target → who holds it

    def stage(self, key: str) -> StepState | None:
        step = self.steps.get(key)
        return None if step is None else step.state

    def done(self, key: str) -> bool:
        """Called, or already proven."""
        return self.stage(key) in (StepState.CALLED, StepState.VERIFIED)


def refusal(order: str, state: State, *, aborting: bool, can_pause: bool, can_abort: bool) -> str | None:
    """Why `pause`, `resume` or `abort` can't be ordered now; None when it can."""
    if state in FINAL:
        return f"It has ended already: {state}."
    match order:
        case "pause":
            if not can_pause:
                return "This kind of operation can't be paused between its steps."
            if state is State.PAUSED:
                return "It is paused already."
            if aborting:
                return "It is being aborted."
        case "resume":
            if state is not State.PAUSED:
                return "It is not paused."
        case "abort":
            if not can_abort:
                return "It is past the point where it could be undone: it goes forward only."
            if aborting:
                return "It is being aborted already."
        case _:
            return f"No such order: {order}."
    return None

"""How one worker is drained: from serving to gone without losing a task. Pure; shared by drains and deploys.

    SERVING → QUIESCING → DRAINING → EMPTY → STOPPING → EXITED → TERMINATING → GONE
                  └──────────┴→ UNDRAINING → UNDRAINED            (a person changed their mind)
    LOST: its process or its host ended by itself while it was being drained.

Rules and their reasons (Airflow 3.3, Celery 5.6.3; docs/drain.md):
- consumers are cancelled *before* the stop: a worker that is stopping no longer answers inspection;
- a control command's "ok" means *scheduled*: only what the worker itself answers later counts;
- a cancelled consumer can come back after a reconnect: it is looked at, and cancelled again, until the stop;
- EMPTY needs three looks in a row by the same process: no consumer, nothing active, reserved or scheduled, at least
  `SETTLE_S` after the last cancel, and no running task instance on that host by Airflow's own account;
- what can't be seen is neither empty nor lost: it sets the count of looks back to zero;
- nothing is terminated without a receipt of the exit, or evidence that the host is gone, or an order to force;
- a worker of which nothing is heard for long is a person's choice (`Drain.stuck`): it is neither empty nor dead.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from console.lib.words import count, duration

SETTLE_S = 3.0
LOOKS = 3
RECANCEL_S = 5.0
RESTOP_S = 30.0
LOST_AFTER_S = 90.0
RETERMINATE_S = 20.0
UNDRAIN_SETTLE_S = 10.0
RECEIPT_S = 120.0
"""After its stop an empty worker's receipt comes within seconds; later than this a person is asked."""
UNDRAIN_S = 180.0
"""Celery 5.6 may forget an added consumer for good: a worker that is not back by then needs a person."""


class Phase(StrEnum):
    SERVING = "serving"
    QUIESCING = "quiescing"
    DRAINING = "draining"
    STOPPING = "stopping"
    EXITED = "exited"
    TERMINATING = "terminating"
    GONE = "gone"
    LOST = "lost"
    UNDRAINING = "undraining"
    UNDRAINED = "undrained"


ENDED = frozenset({Phase.GONE, Phase.LOST, Phase.UNDRAINED})
"""Nothing more happens to a worker in one of these."""
UNDOABLE = frozenset({Phase.SERVING, Phase.QUIESCING, Phase.DRAINING})
"""A worker in one of these still can take work again."""


class Act(StrEnum):
    """What a worker's drain may want of the platform."""

    CANCEL = "cancel"  # stop consuming from these queues
    CONSUME = "consume"  # take them up again
    STOP = "stop"  # warm shutdown
    TERMINATE = "terminate"  # end the instance


@dataclass(frozen=True)
class Receipt:
    """The agent's word on how the worker's process ended."""

    pid: int
    exit_code: int | None
    signal: int | None
    exited_at: datetime

    @property
    def words(self) -> str:
        return f"signal {self.signal}" if self.signal is not None else f"exit code {self.exit_code}"


@dataclass(frozen=True)
class Seen:
    """One look at a worker. None in a field: it could not be seen (never "nothing")."""

    answered: bool | None  # False: asked, and silent; None: the broker could not be asked
    pid: int | None = None
    queues: tuple[str, ...] | None = None
    active: tuple[str, ...] | None = None  # names of its tasks: dag.task (run)
    reserved: int | None = None  # fetched or scheduled, not started
    running: tuple[str, ...] | None = None  # running there by Airflow's own account
    lifecycle: str | None = None  # of its instance; "absent": the group and EC2 no longer know it
    receipt: Receipt | None = None  # of the process with the remembered pid
    canaries: int | None = None  # canary tasks that it has run


@dataclass(frozen=True)
class Drain:
    """What is remembered of one worker's drain. Times are on the console's clock."""

    node: str
    instance_id: str
    queues: tuple[str, ...]  # what it consumed, and would again after an undrain
    phase: Phase = Phase.SERVING
    pid: int | None = None
    looks: int = 0  # in a row, at which it was empty
    since: datetime | None = None  # of the phase
    started_at: datetime | None = None
    cancelled_at: datetime | None = None
    silent_since: datetime | None = None
    deadline_at: datetime | None = None
    asked_at: datetime | None = None  # the last stop or terminate
    attempts: int = 0
    remaining: tuple[str, ...] = ()  # tasks at the last look
    lost: tuple[str, ...] = ()  # tasks that its end took along
    died: str = ""  # how it ended by itself, or who forced it, before it was empty
    why: str = ""  # how it ended, or what it waits for
    entered: tuple[tuple[Phase, datetime], ...] = ()  # when it first came into each phase

    @property
    def ended(self) -> bool:
        return self.phase in ENDED

    def at(self, phase: Phase) -> datetime | None:
        """When it first came into a phase; None when it never did."""
        return next((at for each, at in self.entered if each is phase), None)

    def overdue(self, now: datetime) -> bool:
        return (
            self.phase in (Phase.QUIESCING, Phase.DRAINING) and self.deadline_at is not None and now >= self.deadline_at
        )

    def stuck(self, now: datetime) -> str:
        """What it waits for in vain, as a sentence; "" when it does not: waiting on alone would never end it."""
        if self.phase in UNDOABLE and _waited(self.silent_since, now, LOST_AFTER_S):
            return f"{self.node} has not answered for {duration((now - (self.silent_since or now)).total_seconds())}."
        if self.phase is Phase.STOPPING and _waited(self.since, now, RECEIPT_S):
            return f"{self.node} was told to stop when it was empty, and no receipt of its agent can be seen."
        if self.phase is Phase.UNDRAINING and _waited(self.since, now, UNDRAIN_S):
            return f"{self.node} does not take up its queues again: restart it, or end it."
        return ""

    def needs_choice(self, now: datetime) -> bool:
        return self.overdue(now) or bool(self.stuck(now))


def _waited(since: datetime | None, now: datetime, limit_s: float) -> bool:
    return since is not None and (now - since).total_seconds() >= limit_s


@dataclass(frozen=True)
class Want:
    """One thing to do now to this worker. `number` tells repeated attempts apart."""

    act: Act
    number: int


@dataclass(frozen=True)
class Next:
    drain: Drain
    wants: tuple[Want, ...] = ()
    notes: tuple[str, ...] = field(default=())


def _to(drain: Drain, phase: Phase, now: datetime, **changes: Any) -> Drain:
    known = any(each is phase for each, _ in drain.entered)
    entered = drain.entered if known else (*drain.entered, (phase, now))
    return replace(drain, phase=phase, since=now, entered=entered, **changes)


def begin(drain: Drain, seen: Seen, now: datetime, deadline_s: float) -> Next:
    """Start draining: the worker is to take no new work from here on."""
    queues = seen.queues or drain.queues
    begun = _to(
        drain,
        Phase.QUIESCING,
        now,
        queues=tuple(queues),
        pid=seen.pid,
        started_at=now,
        cancelled_at=now,
        deadline_at=now + timedelta(seconds=deadline_s),
        remaining=seen.active or (),
        silent_since=None if seen.answered else now,
        attempts=1,
    )
    return Next(begun, (Want(Act.CANCEL, 1),), (f"{drain.node} takes no new work from now on.",))


def step(drain: Drain, seen: Seen, now: datetime) -> Next:
    """What becomes of this worker after one look at it."""
    match drain.phase:
        case Phase.QUIESCING | Phase.DRAINING:
            return _ended_by_itself(drain, seen, now) or _emptying(drain, seen, now)
        case Phase.STOPPING:
            return _stopping(drain, seen, now)
        case Phase.EXITED:
            return _gone(drain, now) if is_gone(seen) else _terminate(drain, now)
        case Phase.TERMINATING:
            return _terminating(drain, seen, now)
        case Phase.UNDRAINING:
            return _ended_by_itself(drain, seen, now) or _undraining(drain, seen, now)
        case _:
            return Next(drain)


def is_gone(seen: Seen) -> bool:
    """Evidence that the instance has ended or is ending; False where it can't be seen."""
    return seen.lifecycle is not None and (
        seen.lifecycle in ("absent", "Terminated") or seen.lifecycle.startswith("Terminating")
    )


def _ended_by_itself(drain: Drain, seen: Seen, now: datetime) -> Next | None:
    """Its process or host ended while it was still draining: with a clean exit that is fine, else work may be lost."""
    if seen.receipt is not None:
        if seen.receipt.exit_code == 0:
            text = f"{drain.node} was stopped by somebody else and ended clean."
            return Next(_to(drain, Phase.EXITED, now, remaining=(), why=seen.receipt.words), notes=(text,))
        return _lost(drain, seen, now, f"its process ended with {seen.receipt.words}")
    if is_gone(seen):
        return _lost(drain, seen, now, f"its instance is {seen.lifecycle} and left no receipt")
    return None


def _lost(drain: Drain, seen: Seen, now: datetime, why: str) -> Next:
    # Airflow's account is the newer one where it still lists tasks there; else what was active at the last look.
    lost = tuple(seen.running or drain.remaining)
    # Its instance may still be there, without a worker: it is terminated all the same.
    phase = Phase.LOST if is_gone(seen) else Phase.EXITED
    dead = _to(drain, phase, now, lost=lost, remaining=(), died=why, why=why)
    return Next(dead, notes=(f"{drain.node} was lost: {why}. It took along {_named(lost)}.",))


def _named(tasks: tuple[str, ...]) -> str:
    return ", ".join(tasks) if tasks else "no task that is known of"


def _emptying(drain: Drain, seen: Seen, now: datetime) -> Next:
    if seen.answered is None:
        # The time in which nobody could ask it is not held against it.
        return Next(replace(drain, looks=0, silent_since=None, why="the broker can't be asked"))
    if not seen.answered:
        silent = drain.silent_since or now
        waited_s = (now - silent).total_seconds()
        return Next(replace(drain, looks=0, silent_since=silent, why=f"it has not answered for {waited_s:.0f} s"))
    drain = replace(drain, silent_since=None)
    if drain.pid is None:
        drain = replace(drain, pid=seen.pid)
    if seen.pid is not None and seen.pid != drain.pid:
        # The same name, another process: it consumes its queues again, and its tasks are other tasks.
        fresh = replace(drain, pid=seen.pid, looks=0, phase=Phase.QUIESCING)
        return _cancel(fresh, now, f"{drain.node} was restarted (process {seen.pid}); it is quiesced again.")
    if seen.queues is None or seen.active is None:
        return Next(replace(drain, looks=0, why="its answer is incomplete"))
    if seen.queues:
        if drain.cancelled_at and (now - drain.cancelled_at).total_seconds() < RECANCEL_S:
            return Next(replace(drain, looks=0, remaining=seen.active, why="it still consumes"))
        again = drain.phase is Phase.DRAINING
        note = (
            f"{drain.node} took up {', '.join(seen.queues)} again after a reconnect; cancelled again." if again else ""
        )
        known = tuple(dict.fromkeys((*drain.queues, *seen.queues)))
        return _cancel(replace(drain, queues=known, looks=0, phase=Phase.QUIESCING, remaining=seen.active), now, note)
    notes: tuple[str, ...] = ()
    if drain.phase is Phase.QUIESCING:
        drain = _to(drain, Phase.DRAINING, now)
        notes = (f"{drain.node} consumes nothing any more; {count(len(seen.active), 'task')} to finish.",)
    settled = drain.cancelled_at is None or (now - drain.cancelled_at).total_seconds() >= SETTLE_S
    empty = not seen.active and seen.reserved == 0 and seen.running == () and settled
    if not empty:
        return Next(replace(drain, looks=0, remaining=seen.active or seen.running or (), why=_waits(seen)), notes=notes)
    drain = replace(drain, looks=drain.looks + 1, remaining=(), why="")
    if drain.looks < LOOKS:
        return Next(drain, notes=notes)
    stopping = _to(drain, Phase.STOPPING, now, asked_at=now, attempts=1)
    return Next(stopping, (Want(Act.STOP, 1),), (*notes, f"{drain.node} is empty; it is told to stop."))


def _waits(seen: Seen) -> str:
    if seen.active:
        return f"{count(len(seen.active), 'task')} to finish"
    if seen.reserved is None:
        return "what it has fetched can't be seen"
    if seen.reserved:
        return f"{seen.reserved} fetched tasks to start"
    if seen.running is None:
        return "Airflow can't say what runs there"
    if seen.running:
        return f"Airflow still counts {len(seen.running)} running there"
    return "settling"


def _cancel(drain: Drain, now: datetime, note: str) -> Next:
    number = drain.attempts + 1
    again = replace(drain, cancelled_at=now, attempts=number, why="it still consumes")
    return Next(again, (Want(Act.CANCEL, number),), (note,) if note else ())


def _stopping(drain: Drain, seen: Seen, now: datetime) -> Next:
    if seen.receipt is not None or is_gone(seen):
        how = seen.receipt.words if seen.receipt else f"the instance is {seen.lifecycle}"
        exited = _to(drain, Phase.EXITED, now, why=how)
        return Next(exited, notes=(f"{drain.node} has exited ({how}).",))
    asked_s = (now - drain.asked_at).total_seconds() if drain.asked_at else RESTOP_S
    if seen.answered and asked_s >= RESTOP_S:  # a stopping worker would not answer: it did not hear
        number = drain.attempts + 1
        return Next(replace(drain, asked_at=now, attempts=number), (Want(Act.STOP, number),))
    return Next(replace(drain, why="waiting for the agent's receipt"))


def _terminate(drain: Drain, now: datetime) -> Next:
    terminating = _to(drain, Phase.TERMINATING, now, asked_at=now, attempts=1, why="")
    return Next(terminating, (Want(Act.TERMINATE, 1),))


def _gone(drain: Drain, now: datetime) -> Next:
    phase = Phase.LOST if drain.died else Phase.GONE
    return Next(_to(drain, phase, now), notes=(f"{drain.instance_id} is gone.",))


def _terminating(drain: Drain, seen: Seen, now: datetime) -> Next:
    if is_gone(seen):
        return _gone(drain, now)
    asked_s = (now - drain.asked_at).total_seconds() if drain.asked_at else RETERMINATE_S
    if seen.lifecycle is not None and asked_s >= RETERMINATE_S:
        number = drain.attempts + 1
        return Next(replace(drain, asked_at=now, attempts=number), (Want(Act.TERMINATE, number),))
    return Next(replace(drain, why="waiting for the instance to go"))


def force(drain: Drain, seen: Seen, now: datetime, by: str) -> Next:
    """End the instance with whatever runs on it. The work that this loses is named."""
    lost = tuple(seen.running or seen.active or drain.remaining)
    died = f"forced by {by}"
    ending = _to(drain, Phase.TERMINATING, now, asked_at=now, attempts=1, lost=lost, died=died, why=died)
    note = f"{drain.node} is stopped by force ({by}); it takes along {_named(lost)}."
    return Next(ending, (Want(Act.TERMINATE, 1),), (note,))


def undrain(drain: Drain, now: datetime, by: str) -> Next:
    """Take work again, if it has not been stopped yet."""
    if drain.phase not in UNDOABLE:
        return Next(drain, notes=(f"{drain.node} can't be undrained any more: it is {drain.phase}.",))
    if drain.phase is Phase.SERVING:
        return Next(_to(drain, Phase.UNDRAINED, now, why="never drained"))
    number = drain.attempts + 1
    undraining = _to(drain, Phase.UNDRAINING, now, looks=0, asked_at=now, attempts=number, why=f"undrained by {by}")
    return Next(undraining, (Want(Act.CONSUME, number),), (f"{drain.node} takes up its queues again ({by}).",))


def _undraining(drain: Drain, seen: Seen, now: datetime) -> Next:
    """Celery 5.6 forgets an added consumer at a reconnect: look for a while, and add it again."""
    if seen.answered is None:
        return Next(replace(drain, looks=0, since=now, why="the broker can't be asked"))
    if not seen.answered or seen.queues is None:
        return Next(replace(drain, looks=0))
    if set(drain.queues) <= set(seen.queues):
        settled = drain.since is not None and (now - drain.since).total_seconds() >= UNDRAIN_SETTLE_S
        looks = drain.looks + 1
        if looks >= LOOKS and settled:
            return Next(
                _to(drain, Phase.UNDRAINED, now), notes=(f"{drain.node} serves {', '.join(drain.queues)} again.",)
            )
        return Next(replace(drain, looks=looks))
    if drain.asked_at and (now - drain.asked_at).total_seconds() < RECANCEL_S:
        return Next(replace(drain, looks=0))
    number = drain.attempts + 1
    return Next(replace(drain, looks=0, asked_at=now, attempts=number), (Want(Act.CONSUME, number),))


def extend(drain: Drain, now: datetime, deadline_s: float) -> Drain:
    """Give it more time, from now on: to its deadline, and to whatever it waits for."""
    later = None if drain.deadline_at is None else max(drain.deadline_at, now + timedelta(seconds=deadline_s))
    silent = now if drain.silent_since else None
    return replace(drain, deadline_at=later, silent_since=silent, since=now if drain.since else None)


def gone_already(drain: Drain, now: datetime) -> Next:
    """Its instance went before it was touched: there is nothing to drain."""
    return Next(_to(drain, Phase.GONE, now, why="it was gone already"))


def silent(drain: Drain, seen: Seen, now: datetime) -> Drain:
    """Remember since when a worker that is not being drained yet has not answered."""
    return replace(drain, silent_since=(drain.silent_since or now) if seen.answered is False else None)

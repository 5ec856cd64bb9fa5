"""What a worker is doing, from the evidence. Pure: `now` and every age are passed in.

The rules stand in the order in which they are asked; the first that applies gives the state and says why. The law
above them: a worker is never called dead because the console can't see. Silence is counted along the stream of
heartbeats as far as it *was read*, and only since it has been listened to without a gap; and silence alone is never
enough.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from console.lib.words import count, duration

FRESH_S = 30.0
"""A sign of life this young makes a worker alive."""
SILENT_S = 90.0
"""Silence this long is one half of what makes a worker lost."""
UNANSWERED = 3
"""Questions in a row that it left unanswered while others answered: the other half, where there is no instance."""
OVERDUE_S = 600.0
"""A launch that takes longer than this is overdue."""
STUCK_S = 60.0
"""So long must a backlog have waited beside a worker that takes nothing."""
ARCHIVE_S = 900.0
"""A worker that is over, and whose instance is, leaves the list after this long."""
FORGET_S = 86400.0
"""A worker about which nothing is known leaves the list after this long."""


class State(StrEnum):
    """CONTRACT's words for a worker, and `unknown` for one that can't be seen."""

    LAUNCHING = "launching"
    IN_SERVICE = "in_service"
    QUIESCED = "quiesced"  # consumes nothing and has no task
    DRAINING = "draining"  # takes no new task and still works
    STOPPED = "stopped"
    TERMINATED = "terminated"
    LOST = "lost"
    STUCK = "stuck"
    UNKNOWN = "unknown"


OVER = frozenset({State.STOPPED, State.TERMINATED, State.LOST})


@dataclass(frozen=True)
class View:
    """What can be seen at all, at this moment. An `…_as_of` of None: that source can't be seen."""

    now: datetime
    heartbeats_as_of: datetime | None  # how far the stream of heartbeats was read
    listening_since: datetime | None  # since when it has been read without a gap
    answers_as_of: datetime | None
    compute_as_of: datetime | None
    tasks_seen: bool
    blind_because: str = ""  # why heartbeats and answers can't be seen


@dataclass(frozen=True)
class InstanceSeen:
    """The EC2 instance behind a worker, as last seen."""

    lifecycle: str
    gone: bool  # it was in its group and is no longer, or it is Terminated
    since: datetime  # launched, or first seen


@dataclass(frozen=True)
class Waiting:
    """Messages in the queues that a worker is there for."""

    queue: str
    messages: int
    since: datetime  # without interruption


@dataclass(frozen=True)
class Evidence:
    """Everything known of one worker. Times are on the console's clock."""

    seen_at: datetime | None  # its newest heartbeat
    goodbye_at: datetime | None  # it said that it stops
    answered_at: datetime | None
    unanswered: int  # in a row, while others answered
    consumes: tuple[str, ...] | None  # by its last answer
    active: int | None  # tasks it works on, by its own word
    slots: int | None
    progress_at: datetime | None  # when it last took or finished a task
    tasks_on_host: int  # running there by Airflow's word
    instance: InstanceSeen | None
    waiting: Waiting | None  # None: nothing waits, or it can't be seen
    first_seen_at: datetime


@dataclass(frozen=True)
class Judged:
    """The verdict on one worker: its state, why, and whether a launch takes too long."""

    state: State
    reason: str
    overdue: bool = False


@dataclass(frozen=True)
class _Facts:
    """Evidence and view, with the ages worked out once."""

    it: Evidence
    view: View
    heartbeat_age_s: float | None  # None: never beaten, or heartbeats can't be seen
    silent_s: float | None  # None: silence can't be measured
    answer_age_s: float | None

    @property
    def fresh(self) -> bool:
        return any(age is not None and age <= FRESH_S for age in (self.heartbeat_age_s, self.answer_age_s))

    @property
    def reported(self) -> bool:
        return self.it.seen_at is not None or self.it.answered_at is not None

    @property
    def said_goodbye(self) -> bool:
        return self.it.goodbye_at is not None and (self.it.seen_at is None or self.it.goodbye_at >= self.it.seen_at)

    @property
    def instance(self) -> InstanceSeen | None:
        return self.it.instance if self.view.compute_as_of is not None else None


def _since(later: datetime | None, earlier: datetime | None) -> float | None:
    return None if later is None or earlier is None else max(0.0, (later - earlier).total_seconds())


def _facts(it: Evidence, view: View) -> _Facts:
    silent_s = None
    if it.seen_at and view.listening_since:
        silent_s = _since(view.heartbeats_as_of, max(it.seen_at, view.listening_since))
    return _Facts(
        it=it,
        view=view,
        heartbeat_age_s=_since(view.heartbeats_as_of, it.seen_at),
        silent_s=silent_s,
        answer_age_s=_since(view.answers_as_of, it.answered_at),
    )


def _silence(f: _Facts) -> str:
    """How long nothing was heard, and how much of that was listened to: only that is held against it."""
    silent_s, age_s = f.silent_s or 0.0, f.heartbeat_age_s or 0.0
    if age_s - silent_s < 1.0:
        return f"silent for {duration(silent_s)}"
    return f"not heard for {duration(age_s)}, of which somebody listened for {duration(silent_s)}"


def _gone(f: _Facts) -> Judged | None:
    """EC2 says that its instance is no more."""
    if f.instance is None or not f.instance.gone:
        return None
    if not f.reported:
        return Judged(State.TERMINATED, "its instance went before a worker reported from it")
    if f.said_goodbye:
        return Judged(State.TERMINATED, "it stopped, and its instance is gone")
    if f.fresh:
        return Judged(State.IN_SERVICE, "its instance has left the group, and it still works")
    if f.silent_s is not None and f.silent_s > SILENT_S:
        return Judged(State.LOST, f"{_silence(f)}, and its instance is gone")
    return Judged(State.UNKNOWN, f"its instance is gone; it counts as lost after {duration(SILENT_S)} of silence")


def _goodbye(f: _Facts) -> Judged | None:
    """It said that it stops. After that word it still finishes its tasks, and answers nothing."""
    if not f.said_goodbye:
        return None
    if not f.view.tasks_seen:
        return Judged(State.DRAINING, "it said that it stops; whether its tasks have ended can't be seen")
    if f.it.tasks_on_host:
        return Judged(State.DRAINING, f"it said that it stops, and finishes {count(f.it.tasks_on_host, 'task')}")
    return Judged(State.STOPPED, "it said that it stops, and has no task")


def _lost(f: _Facts) -> Judged | None:
    """Silence *and* evidence: it answers nothing while others do."""
    if f.silent_s is None or f.silent_s <= SILENT_S or f.fresh or f.view.answers_as_of is None:
        return None
    if f.it.unanswered < UNANSWERED:
        return None
    text = f"{_silence(f)}, and it did not answer {f.it.unanswered} times while others did"
    return Judged(State.LOST, text)


def _launching(f: _Facts) -> Judged | None:
    """An instance from which no worker has reported yet."""
    if f.reported:
        return None
    if f.instance is None:
        reason = (
            "no worker has reported from it yet" if f.view.compute_as_of else "the Auto Scaling Groups can't be seen"
        )
        return Judged(State.UNKNOWN, reason)
    took_s = _since(f.view.compute_as_of, f.instance.since) or 0.0
    if took_s > OVERDUE_S:
        text = f"overdue: launched {duration(took_s)} ago, and no worker has reported from it"
        return Judged(State.LAUNCHING, text, overdue=True)
    return Judged(State.LAUNCHING, f"launched {duration(took_s)} ago, no worker has reported yet")


def _unseen(f: _Facts) -> Judged | None:
    """No young sign of life, and not enough to call it lost."""
    if f.fresh:
        return None
    if f.view.heartbeats_as_of is None and f.view.answers_as_of is None:
        return Judged(State.UNKNOWN, f.view.blind_because or "neither heartbeats nor answers can be seen")
    if f.heartbeat_age_s is None:
        return Judged(State.UNKNOWN, "no heartbeat can be seen, and it has not answered lately")
    return Judged(State.UNKNOWN, f"silent for {duration(f.heartbeat_age_s)}, with no evidence that it is gone")


def _stuck(f: _Facts) -> Judged | None:
    """Alive, free, and takes nothing while its queue waits: after a lost broker workers come back like this."""
    waiting = f.it.waiting
    waited_s = _since(f.view.now, waiting.since) if waiting else None
    if waiting is None or waited_s is None or waited_s < STUCK_S or _leaving(f):
        return None
    backlog = f"{count(waiting.messages, 'task')} wait in {waiting.queue}"
    if f.it.consumes == () and f.view.answers_as_of is not None:
        return Judged(State.STUCK, f"it answers but consumes no queue, while {backlog}: restart it")
    idle_s = _since(f.view.heartbeats_as_of, f.it.progress_at)
    free = f.it.slots is not None and f.it.active is not None and f.it.active < f.it.slots
    if free and idle_s is not None and idle_s > STUCK_S:
        return Judged(State.STUCK, f"it has free slots and has started nothing for {duration(idle_s)}, while {backlog}")
    return None


def _leaving(f: _Facts) -> bool:
    return f.instance is not None and f.instance.lifecycle.startswith(
        ("Terminating", "Detach", "EnteringStandby", "Standby")
    )


def _quiet(f: _Facts) -> Judged | None:
    """It takes no new task: it was told so, or its instance is on the way out."""
    if not (f.it.consumes == () and f.view.answers_as_of is not None) and not _leaving(f):
        return None
    why = f"its instance is {f.instance.lifecycle}" if _leaving(f) and f.instance else "it consumes no queue"
    if f.it.active:
        return Judged(State.DRAINING, f"{why}; it finishes {count(f.it.active, 'task')}")
    return Judged(State.DRAINING if _leaving(f) else State.QUIESCED, f"{why}, and it has no task")


def _serving(f: _Facts) -> Judged:
    if f.view.answers_as_of is None or f.it.consumes is None:
        return Judged(State.IN_SERVICE, "its heartbeats are fresh; what it consumes has not been seen yet")
    return Judged(State.IN_SERVICE, f"it consumes {', '.join(f.it.consumes[:3])}")


RULES: tuple[Callable[[_Facts], Judged | None], ...] = (_gone, _goodbye, _lost, _launching, _unseen, _stuck, _quiet)


def judge_worker(it: Evidence, view: View) -> Judged:
    """The state of one worker: the first rule that applies."""
    facts = _facts(it, view)
    for rule in RULES:
        found = rule(facts)
        if found is not None:
            return found
    return _serving(facts)


def to_archive(state: State, since: datetime, instance_stands: bool, now: datetime) -> bool:
    """Whether a worker leaves the list by itself: over for a while, its instance too; or unknown for a day."""
    if state in OVER and not instance_stands:
        return now - since > timedelta(seconds=ARCHIVE_S)
    return state is State.UNKNOWN and not instance_stands and now - since > timedelta(seconds=FORGET_S)

"""The lanes of a deploy: each old worker with the new one that takes its place. From its memory, without a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from console.deploys.predict import AT_WORST, LIKELY, OVERHEAD_S, Running, until_empty
from console.deploys.state import Fresh, Rollout
from console.deploys.track import Axis, Span, Track, bars
from console.fleets.draining import Drain, Phase
from console.fleets.running import Expected
from console.lib.words import count

TASKS_SHOWN = 12
STATUS = {
    Phase.SERVING: "waiting",
    Phase.QUIESCING: "draining",
    Phase.DRAINING: "draining",
    Phase.STOPPING: "draining",
    Phase.EXITED: "draining",
    Phase.TERMINATING: "draining",
    Phase.GONE: "succeeded",
    Phase.LOST: "failing",
    Phase.UNDRAINING: "running",
    Phase.UNDRAINED: "healthy",
}
WORDS = {
    Phase.QUIESCING: "quiescing",
    Phase.STOPPING: "stopping",
    Phase.EXITED: "stopped",
    Phase.TERMINATING: "terminating",
    Phase.GONE: "replaced",
    Phase.LOST: "lost",
    Phase.UNDRAINING: "being put back",
    Phase.UNDRAINED: "back in service",
}
ACTIVE = frozenset({"draining", "running"})


@dataclass(frozen=True)
class TaskLine:
    """A task that a draining worker still finishes."""

    name: str
    run_id: str
    started_at: datetime | None
    ran_s: float | None
    expected: Expected
    past_s: tuple[float, ...] = ()


@dataclass(frozen=True)
class Foretold:
    """A prediction: the newest, the first, and how far off the first one was once it has ended."""

    likely_at: datetime
    at_worst_at: datetime
    made_at: datetime
    starts_at: datetime | None
    guessed: bool
    first_likely_at: datetime | None
    first_at_worst_at: datetime | None
    ended_at: datetime | None

    @property
    def off_s(self) -> float | None:
        """How much later it ended than was likely at first; negative: earlier."""
        if self.ended_at is None or self.first_likely_at is None:
            return None
        return (self.ended_at - self.first_likely_at).total_seconds()

    @property
    def within(self) -> bool | None:
        """Whether it ended by the first prediction's worst case."""
        if self.ended_at is None or self.first_at_worst_at is None:
            return None
        return self.ended_at <= self.first_at_worst_at


@dataclass(frozen=True)
class Arrival:
    """A new worker as it is drawn: when it was launched (or first seen) and ready."""

    instance_id: str
    since: datetime
    ready_at: datetime | None
    proven: bool
    failed: bool


@dataclass(frozen=True)
class Lane:
    """One worker's way through the deploy. `status` is a word of the vocabulary, `word` what its pill says.

    `role` is `old`, or `new` for a worker that takes nobody's place. `replaced_by` is the new one in the same lane.
    `ends_likely` and `ends_at_worst` are None where nothing can be said.
    """

    queue: str
    instance_id: str
    node: str
    role: str
    phase: str
    status: str
    word: str
    since: datetime | None
    waits: str
    tasks: tuple[TaskLine, ...] = ()
    more_tasks: int = 0
    remaining: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    deadline_at: datetime | None = None
    overdue: bool = False
    stuck: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    starts_at: datetime | None = None
    ends_likely: datetime | None = None
    ends_at_worst: datetime | None = None
    guessed: bool = False
    off_s: float | None = None
    replaced_by: str = ""
    replacement: str = ""  # the state of that one, in words
    track: Track = field(default_factory=Track)
    undoable: bool = False

    @property
    def short(self) -> str:
        return short(self.instance_id)

    @property
    def active(self) -> bool:
        return self.status in ACTIVE or self.overdue

    @property
    def drained_s(self) -> float | None:
        if self.started_at is None or self.ended_at is None:
            return None
        return max(0.0, (self.ended_at - self.started_at).total_seconds())

    @property
    def spoken(self) -> str:
        """The lane in a sentence, for those who can't see it."""
        place = f", its place is taken by {self.replaced_by} ({self.replacement})" if self.replaced_by else ""
        return f"{self.instance_id}: {self.word}{place}"


def short(instance_id: str) -> str:
    return f"…{instance_id[-6:]}" if len(instance_id) > 12 else instance_id


def arrivals(rollout: Rollout, launched: Mapping[str, datetime], since: datetime) -> list[Arrival]:
    """The workers that this deploy had launched, in their order; not those that were new before it began."""
    found = [_arrival(one, launched.get(one.instance_id)) for one in rollout.fresh.values()]
    return sorted(
        (one for one in found if launched.get(one.instance_id, one.since) >= since),
        key=lambda one: (one.since, one.instance_id),
    )


def _arrival(one: Fresh, launched_at: datetime | None) -> Arrival:
    return Arrival(one.instance_id, min(one.since, launched_at or one.since), one.ready_since, one.proven, one.failed)


def of_rollout(
    queue: str,
    rollout: Rollout,
    new: Sequence[Arrival],
    tasks: Mapping[str, Sequence[TaskLine]],
    foretold: Mapping[str, Foretold],
    now: datetime,
) -> list[Lane]:
    """In the order in which they were drained, then those that wait, in the order of their turn."""
    drains = sorted(
        (rollout.crew.drains[i] for i in rollout.old if i in rollout.crew.drains),
        key=lambda drain: (drain.started_at or now, drain.instance_id),
    )
    lanes = [
        _drained(queue, drain, tasks.get(drain.instance_id, ()), foretold.get(drain.instance_id), now)
        for drain in drains
    ]
    lanes += [_vanished(queue, instance) for instance in rollout.vanished]
    known = {lane.instance_id for lane in lanes}
    waiting = [_waiting(queue, instance, foretold.get(instance)) for instance in rollout.old if instance not in known]
    waiting.sort(key=lambda lane: (lane.starts_at or now + timedelta(days=99), lane.instance_id))
    lanes += waiting
    lanes = [_placed(lane, new[number]) if number < len(new) else lane for number, lane in enumerate(lanes)]
    return lanes + [_alone(queue, arrival) for arrival in new[len(lanes) :]]


def _placed(lane: Lane, arrival: Arrival) -> Lane:
    return replace(lane, replaced_by=arrival.instance_id, replacement=state_of(arrival)[0])


def state_of(arrival: Arrival) -> tuple[str, str]:
    """In words, and as a word of the vocabulary."""
    if arrival.proven:
        return "serves", "healthy"
    if arrival.failed:
        return "never ready", "failing"
    if arrival.ready_at:
        return "ready, being watched", "running"
    return "launching", "running"


def _alone(queue: str, arrival: Arrival) -> Lane:
    word, status = state_of(arrival)
    return Lane(
        queue=queue,
        instance_id=arrival.instance_id,
        node="",
        role="new",
        phase=word,
        status=status,
        word=word,
        since=arrival.ready_at or arrival.since,
        waits="",
        replaced_by=arrival.instance_id,
        replacement=word,
    )


def _vanished(queue: str, instance: str) -> Lane:
    text = "The cloud took it away before it was drained."
    return Lane(queue, instance, "", "old", "taken away by the cloud", "degraded", "taken away", None, text)


def _waiting(queue: str, instance: str, foretold: Foretold | None) -> Lane:
    lane = Lane(queue, instance, "", "old", "in service", "waiting", "waiting", None, "")
    if foretold is None:
        return lane
    return replace(
        lane,
        starts_at=foretold.starts_at,
        ends_likely=foretold.likely_at,
        ends_at_worst=foretold.at_worst_at,
        guessed=foretold.guessed,
    )


def _drained(queue: str, drain: Drain, tasks: Sequence[TaskLine], foretold: Foretold | None, now: datetime) -> Lane:
    running = () if drain.ended else tasks
    overdue, stuck = drain.overdue(now), drain.stuck(now)
    lane = Lane(
        queue=queue,
        instance_id=drain.instance_id,
        node=drain.node,
        role="old",
        phase=str(drain.phase),
        status="failing" if overdue or stuck else STATUS[drain.phase],
        word=_word(drain, len(running), overdue, stuck),
        since=drain.since,
        waits=drain.why,
        tasks=tuple(running[:TASKS_SHOWN]),
        more_tasks=max(0, len(running) - TASKS_SHOWN),
        remaining=drain.remaining,
        lost=drain.lost,
        deadline_at=None if drain.ended else drain.deadline_at,
        overdue=overdue,
        stuck=stuck,
        started_at=drain.started_at,
        ended_at=drain.since if drain.ended else None,
        off_s=foretold.off_s if foretold else None,
        undoable=drain.phase in (Phase.QUIESCING, Phase.DRAINING),
    )
    if drain.phase not in (Phase.QUIESCING, Phase.DRAINING):
        return lane
    spread = until_empty([Running(task.ran_s or 0.0, task.past_s) for task in running])
    likely, worst = (timedelta(seconds=spread.at(share) + OVERHEAD_S) for share in (LIKELY, AT_WORST))
    return replace(lane, ends_likely=now + likely, ends_at_worst=now + worst, guessed=spread.guessed)


def _word(drain: Drain, tasks: int, overdue: bool, stuck: str) -> str:
    if overdue:
        return "overdue"
    if stuck:
        return "silent" if drain.silent_since else "stuck"
    if drain.phase is Phase.DRAINING:
        number = tasks or len(drain.remaining)
        return f"{count(number, 'task')} left" if number else "settling"
    return WORDS.get(drain.phase, str(drain.phase))


def drawn(lane: Lane, drain: Drain | None, arrival: Arrival | None, axis: Axis, ended: bool) -> Lane:
    """The lane with its bars. `ended`: the deploy is over, and nothing is foretold any more."""
    new = []
    if arrival is not None:
        end = axis.end if ended else None
        new.append(Span("launching", arrival.since, arrival.ready_at or end))
        if arrival.ready_at:
            new.append(Span("ready", arrival.ready_at, end, short(arrival.instance_id), "qd-on-ready"))
    old, whisker, gone_x = [], None, None
    if lane.role == "old" and drain is None and lane.status != "degraded":
        old = [Span("old", axis.start, axis.end if ended else None, lane.short, "qd-on-tint")]
        if lane.starts_at and lane.ends_likely and not ended:
            old += [Span("oldnext", axis.now, lane.starts_at), Span("predicted", lane.starts_at, lane.ends_likely)]
    elif drain is not None:
        old = _phases(drain, lane, axis)
        over = drain.at(Phase.GONE) or drain.at(Phase.LOST)
        gone_x = axis.x(over) if over else None
        if lane.ends_likely and lane.ends_at_worst and not ended:
            old.append(Span("predicted", axis.now, lane.ends_likely))
            whisker = (axis.x(lane.ends_likely), axis.x(lane.ends_at_worst))
    deadline_x = axis.x(lane.deadline_at) if lane.deadline_at and lane.deadline_at <= axis.end and not ended else None
    track = Track(bars(axis, old), bars(axis, new), gone_x, whisker, deadline_x)
    return replace(lane, track=track)


def _phases(drain: Drain, lane: Lane, axis: Axis) -> list[Span]:
    """What is dated: quiesced, draining, stopped; an undrained one serves again."""
    moments = [
        ("quiesced", drain.at(Phase.QUIESCING) or drain.started_at, ""),
        ("draining", drain.at(Phase.DRAINING), "draining"),
        ("stopped", drain.at(Phase.STOPPING) or drain.at(Phase.EXITED), ""),
        ("old", drain.at(Phase.UNDRAINED), lane.short),
    ]
    known = [(css, at, label) for css, at, label in moments if at is not None]
    end = drain.at(Phase.GONE) or drain.at(Phase.LOST)
    first = known[0][1] if known else end
    spans = [Span("old", axis.start, first, lane.short, "qd-on-tint")]
    for number, (css, at, label) in enumerate(known):
        until = known[number + 1][1] if number + 1 < len(known) else end
        spans.append(Span(css, at, until, label, "qd-on-tint" if css == "old" else "qd-on-fill"))
    return spans

"""The pages of operations, each one frozen object from a bounded number of queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Q, QuerySet

from console.accounts.actor import Actor
from console.lib import matching
from console.lib.kept import kept
from console.lib.words import count, duration
from console.operations import kinds
from console.operations.models import Note, Operation, OperationQuerySet, OperationTally, Step
from console.operations.rules import ACTIVE, State, StepState, refusal

PAGE = 50
NOTES = 300
STEPS = 200
STEP_STATUS = {
    StepState.INTENT: "waiting",
    StepState.CALLED: "running",
    StepState.VERIFIED: "succeeded",
    StepState.FAILED: "failed",
}
LEVEL_TONE = {"info": "", "warning": "warn", "error": "bad"}


@dataclass(frozen=True)
class Row:
    """One operation in a list."""

    id: int
    title: str
    kind: str
    target: str
    who: str
    by_console: bool
    why: str
    state: str
    attention: bool  # a person must choose
    created_at: datetime
    took_s: float | None
    done: int
    total: int
    text: str
    url: str


@dataclass(frozen=True)
class ListPage:
    headline: str
    rows: tuple[Row, ...]
    counts: Mapping[str, int]
    kinds: tuple[str, ...]
    state: str
    kind: str
    who: str
    text: str
    earlier: int | None  # the id to page on from
    total: int


@dataclass(frozen=True)
class StepLine:
    status: str
    title: str
    text: str
    took: str


@dataclass(frozen=True)
class LogLine:
    at: str
    text: str
    tone: str


@dataclass(frozen=True)
class OperationPage:
    row: Row
    reason: str
    outcome: str
    started_at: datetime | None
    finished_at: datetime | None
    steps: tuple[StepLine, ...]
    steps_left_out: int
    log: tuple[LogLine, ...]
    log_left_out: int
    targets: tuple[str, ...]
    question: str
    choices: tuple[tuple[str, str], ...]
    pause: str | None  # why it can't be paused; "" when it can
    resume: str | None
    abort: str | None
    failures: int


def url_of(operation: Operation) -> str:
    """A deploy has a page of its own."""
    return operation.url


def title_of(operation: Operation) -> str:
    """What it does, in words; the kind's name where this console no longer knows the kind, or what it was asked."""
    try:
        return kinds.get(operation.kind).title(operation.parameters)
    except (KeyError, TypeError, IndexError, AttributeError):  # of another version: one row must not take the page
        return f"{operation.kind} {operation.target}"


def row_of(operation: Operation, now: datetime) -> Row:
    progress: dict[str, Any] = operation.progress or {}
    end = operation.finished_at or now
    return Row(
        id=operation.pk,
        title=title_of(operation),
        kind=operation.kind,
        target=operation.target,
        who=operation.requested_by_name,
        by_console=operation.requested_by_id is None,
        why=operation.reason,
        state=operation.state,
        attention=operation.question is not None,
        created_at=operation.created_at,
        took_s=max(0.0, (end - operation.started_at).total_seconds()) if operation.started_at else None,
        done=int(progress.get("done", 0)),
        total=int(progress.get("total", 0)),
        text=operation.outcome or str(progress.get("text", "")),
        url=url_of(operation),
    )


def list_page(now: datetime, query: Mapping[str, str]) -> ListPage:
    """The newest operations, filtered by what the address says. 3 queries, a fourth where words are looked for."""
    text, kind, state, who = (query.get(name, "").strip()[:200] for name in _ASKED)
    by_console = {"people": False, "console": True}.get(who)
    before = int(said[:18]) if (said := query.get("before", "")).isdecimal() else None
    chosen = _chosen(text, kind, by_console)
    states = ACTIVE if state == "active" else (State(state),) if state in set(State) else tuple(State)
    tally = _tally()
    counts = _by_state(row for row in tally if kind in ("", row[1]) and by_console in (None, row[2]))
    if text:
        counts, page = matching.look(chosen, states, before, PAGE + 1)
        shown = Operation.objects.filter(pk__in=page)
    else:
        shown = chosen if len(states) == len(State) else chosen.filter(state__in=states)
        shown = shown if before is None else shown.filter(pk__lt=before)
    total = sum(counts.get(each, 0) for each in states)
    everything = not (text or kind) and by_console is None and before is None and len(states) == len(State)
    rows: list[Operation] = []
    if total:  # else every one would be looked at for nothing
        rows = _newest() if everything else list(_told(shown)[: PAGE + 1])
    return ListPage(
        headline=_headline(sum(_by_state(tally).get(each, 0) for each in ACTIVE), len(_asking())),
        rows=tuple(row_of(row, now) for row in rows[:PAGE]),
        counts={"all": sum(counts.values()), "active": sum(counts.get(each, 0) for each in ACTIVE)}
        | {str(each): counts.get(each, 0) for each in State},
        kinds=kinds.names(),
        state=state,
        kind=kind,
        who=who,
        text=text,
        earlier=rows[PAGE - 1].pk if len(rows) > PAGE else None,
        total=total,
    )


_ASKED = ("q", "kind", "state", "who")


def _chosen(text: str, kind: str, by_console: bool | None) -> OperationQuerySet:
    """The operations in any state that the filters ask for."""
    found = Operation.objects.all()
    if text:
        found = found.filter(
            Q(target__icontains=text)
            | Q(reason__icontains=text)
            | Q(requested_by_name__icontains=text)
            | Q(kind__icontains=text)
        )
    if kind:
        found = found.filter(kind=kind)
    return found if by_console is None else found.filter(requested_by__isnull=by_console)


def _told(shown: QuerySet[Operation]) -> QuerySet[Operation]:
    """The newest first, with what a list tells of them: a deploy's memory can be large."""
    return shown.order_by("-pk").only(*_TOLD)


_TOLD = (
    "kind", "target", "parameters", "reason", "requested_by_id", "requested_by_name", "created_at", "started_at",
    "finished_at", "state", "question", "progress", "outcome",
)  # fmt: skip


@kept
def _newest() -> QuerySet[Operation]:
    return _told(Operation.objects.all())[: PAGE + 1]


@kept
def _asking() -> QuerySet[Operation, int]:
    """Those that ask a person."""
    return Operation.objects.active().filter(question__isnull=False).values_list("pk", flat=True)


@kept
def _tally() -> QuerySet[OperationTally, tuple[str, str, bool, int]]:
    return OperationTally.objects.filter(number__gt=0).values_list("state", "kind", "by_console", "number")


def _by_state(tally: Iterable[tuple[str, str, bool, int]]) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for state, _, _, number in tally:
        counts[state] += number
    return counts


def _headline(active: int, waiting: int) -> str:
    if not active:
        return "Nothing is being changed"
    text = f"{count(active, 'operation')} {'is' if active == 1 else 'are'} under way"
    return f"{text}, {waiting} {'waits' if waiting == 1 else 'wait'} for a person" if waiting else text


def operation_page(operation: Operation, now: datetime, actor: Actor) -> OperationPage:
    """One operation: 5 queries at most, whatever its length."""
    steps = list(operation.steps.order_by("-pk")[: STEPS + 1])
    notes = list(operation.notes.order_by("-pk")[: NOTES + 1])
    targets = operation.targets.values_list("target", flat=True).order_by("target")[:50]
    question = operation.question or {}
    return OperationPage(
        row=row_of(operation, now),
        reason=operation.reason,
        outcome=operation.outcome,
        started_at=operation.started_at,
        finished_at=operation.finished_at,
        steps=tuple(_step(step, now) for step in reversed(steps[:STEPS])),
        steps_left_out=operation.steps.count() - STEPS if len(steps) > STEPS else 0,
        log=tuple(_line(note) for note in reversed(notes[:NOTES])),
        log_left_out=operation.notes.count() - NOTES if len(notes) > NOTES else 0,
        targets=tuple(targets),
        question=question.get("text", ""),
        choices=tuple((name, words) for name, words in question.get("choices", [])),
        pause=_why_not(operation, "pause", actor),
        resume=_why_not(operation, "resume", actor),
        abort=_why_not(operation, "abort", actor),
        failures=operation.failures,
    )


def _why_not(operation: Operation, word: str, actor: Actor) -> str | None:
    """None where the button makes no sense (it is hidden), "" where it works, else why it is off."""
    if operation.state not in ACTIVE:
        return None
    try:
        kind = kinds.get(operation.kind)
    except KeyError:
        return "This console does not know this kind of operation."
    if word == "resume" and not operation.held:
        return None
    if word == "pause" and (operation.held or not kind.can_pause):
        return None
    no = refusal(
        word,
        State(operation.state),
        aborting=operation.aborting,
        can_pause=kind.can_pause,
        can_abort=kind.can_abort(kind.load(operation.memory, operation.memory_version)),
    )
    if no:
        return no
    return "" if actor.can(kind.role) else f"This takes the role {kind.role}."


def _step(step: Step, now: datetime) -> StepLine:
    end = step.verified_at or step.called_at
    took = duration(max(0.0, (end - step.intended_at).total_seconds())) if end else ""
    text = step.error
    if not text and step.state == StepState.CALLED:
        text = "Done; its effect has not been seen yet."
    if not text and step.state == StepState.INTENT:
        text = "Written down; not known to have been done."
    return StepLine(STEP_STATUS[StepState(step.state)], step.title, text, took)


def _line(note: Note) -> LogLine:
    return LogLine(f"{note.at:%H:%M:%S}", note.text, LEVEL_TONE.get(note.level, ""))


def of_target(target: str, now: datetime, *, days: int = 30, limit: int = 10) -> tuple[Row, ...]:
    """The newest operations of one target, for the page of the thing itself. 1 query."""
    since = now - timedelta(days=days)
    found = Operation.objects.filter(target=target, created_at__gte=since).order_by("-created_at")[:limit]
    return tuple(row_of(operation, now) for operation in found)


def recent(now: datetime, limit: int = 5) -> tuple[Row, ...]:
    """The newest, for the overview. 1 query."""
    return tuple(row_of(operation, now) for operation in Operation.objects.order_by("-pk")[:limit])

"""One tick of one operation: claim, observe, decide, write the intent down, call, write that it was called.

Patterned on reconcile loops (Kubernetes controllers) with a write-ahead step log. Invariants:
- only the holder of the newest fence writes (`Operation.write`), and only while its lease lasts;
- a call is made only after its INTENT is committed; a `once` call at most once, whatever dies;
- an answer of a person is handed over in the same transaction that saves what the rule made of it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now
from django.utils import timezone

from console.accounts import audit
from console.accounts.actor import CONSOLE
from console.history import series
from console.live import publish
from console.operations import kinds
from console.operations.kinds import Kind
from console.operations.models import LostLease, Note, Operation, Order, Step, Target
from console.operations.rules import Answer, Call, Decision, Level, Orders, State, StepState
from console.platform.ports import PlatformError, Ports

log = logging.getLogger(__name__)

LEASE_S = 60.0
"""Longer than any one observation or call (both are bounded by the adapters' time-outs); renewed before each call."""
BACKOFF_S = (2.0, 4.0, 8.0, 15.0)


def tick(pk: int, ports: Ports, *, now: Callable[[], datetime] = timezone.now) -> bool:
    """Work on an operation once; False when it was not due, or another executor has it."""
    operation = Operation.objects.claim(pk, LEASE_S)
    if operation is None:
        return False
    try:
        _tick(operation, kinds.get(operation.kind), ports, now())
    except LostLease:
        log.warning("OP-%s was taken over by another executor", pk)
    except PlatformError as error:
        _later(operation, f"{error.message} {error.remedy}".strip(), Level.WARNING)
    except Exception:
        log.exception("OP-%s: a tick failed", pk)
        _later(operation, "The console itself failed in this tick; its log has the traceback.", Level.ERROR)
    return True


def _tick(operation: Operation, kind: Kind[Any, Any], ports: Ports, now: datetime) -> None:
    state = kind.load(operation.memory, operation.memory_version)
    observation = kind.observe(ports, operation.parameters, state, now)
    waiting = list(operation.orders.filter(taken_at=None))
    orders = Orders(
        paused=operation.held,
        aborting=operation.aborting,
        answers=tuple(Answer(o.choice, o.args, o.by, o.at) for o in waiting),
    )
    ledger = operation.ledger(operation.progress.get("refused"))
    decision = kind.decide(operation.parameters, state, observation, ledger, orders, now)
    decided_s = time.monotonic()
    with transaction.atomic():
        calls = _save(operation, kind, decision, now)
        Order.objects.filter(pk__in=[o.pk for o in waiting]).update(taken_at=now)
        publish(*kinds.topics_of(operation.kind))
        if decision.outcome:
            _finish(operation, kind, decision, now)
            return
    for call in calls:
        if time.monotonic() - decided_s > min(call.not_after_s, LEASE_S / 2):
            _fail(operation, call, "It came too late to be acted upon; the next tick decides afresh.")
            continue
        operation.write(leased_until=Now() + timedelta(seconds=LEASE_S), failures=0)
        _make(operation, kind, call, ports)
    operation.write(
        leased_until=None,
        failures=0,
        next_tick_at=Now() + timedelta(seconds=max(0.5, decision.next_tick_s)),
    )


def _save(operation: Operation, kind: Kind[Any, Any], decision: Decision[Any], now: datetime) -> list[Call]:
    """Write a decision down; the calls that are to be made now."""
    refused = _lock(operation, decision)
    fields: dict[str, object] = {
        "memory": kind.dump(decision.state),
        "memory_version": kind.version,
        "progress": {
            "done": decision.progress.done,
            "total": decision.progress.total,
            "text": decision.progress.text,
            "refused": refused,
        },
    }
    if decision.question is not None:
        choices = [list(choice) for choice in decision.question.choices]
        fields["question"] = {"text": decision.question.text, "choices": choices}
        fields["state"] = State.PAUSED
    else:  # what it asked has been answered, or has settled itself
        fields["question"] = None
        fields["state"] = Case(When(held=True, then=Value(State.PAUSED)), default=Value(State.RUNNING))
    operation.write(**fields)
    if decision.verified:
        operation.steps.filter(key__in=decision.verified).exclude(state=StepState.VERIFIED).update(
            state=StepState.VERIFIED, verified_at=Now()
        )
    Note.objects.bulk_create(Note(operation=operation, level=line.level, text=line.text) for line in decision.notes)
    known = {step.key: step for step in operation.steps.filter(key__in=[call.key for call in decision.calls])}
    wanted = []
    for call in decision.calls:
        step = known.get(call.key)
        # An INTENT left by a tick that died: repeat it, unless it must not be made twice.
        if step is None or (step.state == StepState.INTENT and not step.once):
            wanted.append(call)
    Step.objects.bulk_create(
        (
            Step(
                operation=operation,
                key=call.key,
                action=call.action,
                title=call.title,
                args=dict(call.args),
                once=call.once,
                not_after=now + timedelta(seconds=call.not_after_s),
            )
            for call in wanted
        ),
        update_conflicts=True,
        unique_fields=["operation", "key"],
        update_fields=["args", "not_after"],
    )
    return wanted


def _lock(operation: Operation, decision: Decision[Any]) -> dict[str, str]:
    """Take and release further targets; what could not be taken, with its holder."""
    if decision.release:
        operation.targets.filter(target__in=decision.release, released_at=None).update(released_at=Now())
    if not decision.lock:
        return {}
    held = set(operation.targets.filter(target__in=decision.lock, released_at=None).values_list("target", flat=True))
    wanted = sorted(set(decision.lock) - held)  # in one order for everybody
    if not wanted:
        return {}
    # Hundreds at once in one statement; what somebody else holds is left out by the constraint.
    Target.objects.bulk_create((Target(operation=operation, target=each) for each in wanted), ignore_conflicts=True)
    rows = Target.objects.filter(target__in=wanted, released_at=None).select_related("operation")
    holders = {row.target: row.operation for row in rows}
    missing = [each for each in wanted if each not in holders or holders[each].pk != operation.pk]
    return {each: str(holders[each]) if each in holders else "another operation" for each in missing}


def _make(operation: Operation, kind: Kind[Any, Any], call: Call, ports: Ports) -> None:
    steps = operation.steps.filter(key=call.key)
    tried = F("attempts") + 1
    try:
        kind.actions[call.action](ports, call.args)
    except PlatformError as error:
        message = f"{error.message} {error.remedy}".strip()
        if error.permanent or call.once:
            steps.update(attempts=tried)
            _fail(operation, call, message)
        else:
            steps.update(error=message, attempts=tried)
            _note(operation, f"{call.title}: {message} It is tried again.", Level.WARNING)
        return
    steps.update(state=StepState.CALLED, called_at=Now(), error="", attempts=tried)


def _fail(operation: Operation, call: Call, message: str) -> None:
    operation.steps.filter(key=call.key).update(state=StepState.FAILED, error=message)
    _note(operation, f"{call.title}: {message}", Level.ERROR)


def _finish(operation: Operation, kind: Kind[Any, Any], decision: Decision[Any], now: datetime) -> None:
    outcome = decision.outcome
    assert outcome is not None
    operation.write(
        state=outcome.state,
        outcome=outcome.text,
        finished_at=now,
        leased_until=None,
        question=None,
    )
    operation.targets.filter(released_at=None).update(released_at=Now())
    level = Level.INFO if outcome.state is State.SUCCEEDED else Level.WARNING
    _note(operation, f"{outcome.state}: {outcome.text}", level)
    if kind.mark:
        title = f"OP-{operation.pk} {outcome.state}: {kind.title(operation.parameters)}"
        series.mark(now, kind.mark, title, operation.url, operation.target)
    audit.record(
        CONSOLE,
        f"operation.{outcome.state}",
        operation.target,
        reason=outcome.text,
        details={"operation": operation.pk, "kind": operation.kind},
    )


def _later(operation: Operation, text: str, level: Level) -> None:
    """A tick that could not see or change the platform: say so once, try again a little later."""
    failures = operation.failures + 1
    wait_s = BACKOFF_S[min(failures, len(BACKOFF_S)) - 1]
    try:
        operation.write(failures=failures, leased_until=None, next_tick_at=Now() + timedelta(seconds=wait_s))
    except LostLease:
        return
    if failures in (1, 10) or failures % 100 == 0:
        _note(operation, text, level)
        publish(*kinds.topics_of(operation.kind))


def _note(operation: Operation, text: str, level: Level) -> None:
    Note.objects.create(operation=operation, text=text, level=level)

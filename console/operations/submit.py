"""Asking for an operation, and telling a running one what people want of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils import timezone

from console.accounts import audit
from console.accounts.actor import Actor
from console.history import series
from console.lib.words import storable
from console.live import publish
from console.operations import kinds
from console.operations.kinds import Invalid, Plan
from console.operations.models import Note, Operation, Order, Target
from console.operations.rules import ACTIVE, JSON, Level, State, refusal


class Conflict(Exception):
    """The target has an active operation already; `operation` is that one."""

    def __init__(self, operation: Operation) -> None:
        super().__init__(f"{operation.target} has an active operation: OP-{operation.pk} ({operation.kind}).")
        self.operation = operation


class Refused(Exception):
    """The preflight says no, or the world has moved on since the plan was shown; `plan` is the one of now."""

    def __init__(self, message: str, plan: Plan) -> None:
        super().__init__(message)
        self.plan = plan


class NotNow(Exception):
    """An order that the operation can't take in the state it is in: the message says why."""


def _reason(reason: str) -> str:
    text = storable(reason)
    if not text:
        raise Invalid({"reason": "Say why, in a few words: the reason stands in the record of this operation."})
    if len(text) > 1000:
        raise Invalid({"reason": f"{len(text)} characters; at most 1000."})
    return text


def submit(
    kind_name: str,
    sent: Mapping[str, JSON],
    *,
    reason: str,
    by: Actor,
    idempotency_key: str | None = None,
    plan_id: str | None = None,
    confirm: str | None = None,
    now: datetime | None = None,
) -> Operation:
    """Make an operation, or say why not: Invalid, Conflict or Refused.

    With an `idempotency_key` the same request gives the same operation, however often it is sent. With a `plan_id` it
    is refused when the plan of this moment is another one than was shown.
    """
    now = now or timezone.now()
    kind = kinds.get(kind_name)
    reason = _reason(reason)
    parameters = kind.clean(sent)
    if idempotency_key is not None:
        if not 1 <= len(idempotency_key) <= 200:
            raise Invalid({"Idempotency-Key": "1 to 200 characters."})
        earlier = _earlier(by, idempotency_key, kind_name, parameters)
        if earlier is not None:
            return earlier
    targets = kind.targets(parameters)
    holder = Operation.objects.active().filter(targets__target__in=targets, targets__released_at=None)
    if (found := holder.first()) is not None:
        raise Conflict(found)
    plan = kind.plan(parameters, now)
    if plan_id and plan_id != plan.id:
        raise Refused("What this would do has changed since it was shown. Look at it again.", plan)
    if plan.refusals:
        raise Refused(" ".join(plan.refusals), plan)
    if plan.confirm is not None and confirm != plan.confirm:
        raise Invalid({"confirm": f"Type {plan.confirm!r} to confirm."})
    try:
        with transaction.atomic():
            operation = Operation.objects.create(
                kind=kind_name,
                target=targets[0],
                parameters=parameters,
                reason=reason,
                requested_by_id=by.user_id,
                requested_by_name=by.name,
                idempotency_key=idempotency_key,
                plan_id=plan.id,
                memory=kind.dump(kind.start(parameters)),
                memory_version=kind.version,
            )
            # In one order for everybody, so that two requests can't wait for each other.
            for target in sorted(targets):
                Target.objects.create(operation=operation, target=target)
            Note.objects.create(operation=operation, text=f"Asked for by {by.name}: {reason}")
            publish(*kinds.topics_of(kind_name))
            if kind.mark:
                title = f"OP-{operation.pk} asked for: {kind.title(parameters)}"
                series.mark(now, kind.mark, title, operation.url, targets[0])
            audit.record(
                by,
                f"operation.{kind_name}",
                targets[0],
                reason=reason,
                details={"operation": operation.pk, "parameters": parameters},
            )
    except IntegrityError:
        if idempotency_key is not None:
            earlier = _earlier(by, idempotency_key, kind_name, parameters)
            if earlier is not None:
                return earlier
        found = holder.first()
        if found is None:  # it ended between our two looks
            return submit(
                kind_name,
                sent,
                reason=reason,
                by=by,
                idempotency_key=idempotency_key,
                plan_id=plan_id,
                confirm=confirm,
            )
        raise Conflict(found) from None
    return operation


def _earlier(by: Actor, key: str, kind: str, parameters: dict[str, JSON]) -> Operation | None:
    operation = Operation.objects.filter(requested_by_name=by.name, idempotency_key=key).first()
    if operation is not None and (operation.kind != kind or operation.parameters != parameters):
        raise Invalid({"Idempotency-Key": f"It was used for another request: OP-{operation.pk}. Use a new one."})
    return operation


def order(operation_id: int, word: str, *, reason: str, by: Actor) -> Operation:
    """`pause`, `resume` or `abort` an operation; NotNow says why it can't be."""
    reason = _reason(reason)
    with transaction.atomic():
        operation = Operation.objects.select_for_update().get(pk=operation_id)
        kind = kinds.get(operation.kind)
        no = refusal(
            word,
            State(operation.state),
            aborting=operation.aborting,
            can_pause=kind.can_pause,
            can_abort=kind.can_abort(kind.load(operation.memory, operation.memory_version)),
        )
        if no:
            raise NotNow(no)
        now = timezone.now()
        match word:
            case "pause":
                operation.held, operation.state = True, State.PAUSED
            case "resume":
                operation.held = False
                if operation.question is None:
                    operation.state = State.RUNNING
            case "abort":
                operation.aborting, operation.held = True, False
                operation.question, operation.state = None, State.RUNNING
        operation.next_tick_at = now
        operation.save(update_fields=["state", "held", "aborting", "question", "next_tick_at"])
        _told(operation, word, reason, by)
    return operation


def answer(
    operation_id: int, choice: str, args: Mapping[str, JSON] | None = None, *, reason: str, by: Actor
) -> Operation:
    """Answer an operation's question, or give an order of its kind ("undrain"). NotNow, Invalid."""
    reason = _reason(reason)
    with transaction.atomic():
        operation = Operation.objects.select_for_update().get(pk=operation_id)
        if operation.state not in ACTIVE:
            raise NotNow(f"It has ended already: {operation.state}.")
        asked = {name for name, _ in (operation.question or {}).get("choices", [])}
        if choice not in asked | kinds.get(operation.kind).orders:
            offered = ", ".join(sorted(asked)) or "nothing now"
            raise Invalid({"choice": f"{choice!r} is not asked for; it asks for: {offered}."})
        Order.objects.create(operation=operation, by=by.name, choice=choice, args=dict(args or {}), reason=reason)
        if choice in asked:
            operation.question = None
            operation.state = State.PAUSED if operation.held else State.RUNNING
        operation.next_tick_at = timezone.now()
        operation.save(update_fields=["state", "question", "next_tick_at"])
        _told(operation, choice, reason, by)
    return operation


def _told(operation: Operation, word: str, reason: str, by: Actor) -> None:
    Note.objects.create(operation=operation, text=f"{word} by {by.name}: {reason}", level=Level.INFO)
    publish(*kinds.topics_of(operation.kind))
    audit.record(
        by,
        f"operation.{word}",
        operation.target,
        reason=reason,
        details={"operation": operation.pk, "kind": operation.kind},
    )

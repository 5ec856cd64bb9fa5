"""Operations as the API tells them, and the one answer of every call that changes the platform."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Schema, Status

from console.accounts.actor import actor_of
from console.lib.api import Problem
from console.operations import kinds
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.pages import title_of, url_of
from console.operations.submit import Conflict, Refused, submit


class ProgressOut(Schema):
    done: int
    total: int
    text: str


class StepOut(Schema):
    """`state`: intent (written down), called, verified (its effect was seen), failed."""

    key: str
    title: str
    state: str
    intended_at: datetime
    called_at: datetime | None
    verified_at: datetime | None
    error: str


class NoteOut(Schema):
    at: datetime
    level: str
    text: str


class QuestionOut(Schema):
    """A person must choose: POST the name of one of `choices` to …/answer."""

    text: str
    choices: list[dict[str, str]]


class CheckOut(Schema):
    """`ok` null: it can't be seen now. A `blocking` one that is not ok refuses the submit."""

    text: str
    ok: bool | None
    blocking: bool


class PlanOut(Schema):
    """What an operation would do now. Send `id` as `plan` to have exactly this done, or be told that it changed.

    `refused`: why it would be refused as things are. `confirm`: the word that must be sent along, if any.
    """

    id: str
    kind: str
    target: str
    parameters: dict[str, Any]
    checks: list[CheckOut]
    touches: list[str]
    at_risk: list[str]
    refused: list[str]
    confirm: str | None


class OperationBrief(Schema):
    """`state`: queued running paused succeeded failed aborted."""

    id: int
    kind: str
    target: str
    title: str
    state: str
    reason: str
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    progress: ProgressOut
    outcome: str
    question: QuestionOut | None
    url: str


class OperationOut(OperationBrief):
    parameters: dict[str, Any]
    steps: list[StepOut]
    notes: list[NoteOut]


def brief(operation: Operation) -> dict[str, Any]:
    progress = operation.progress or {}
    question = operation.question
    return {
        "id": operation.pk,
        "kind": operation.kind,
        "target": operation.target,
        "title": title_of(operation),
        "state": operation.state,
        "reason": operation.reason,
        "requested_by": operation.requested_by_name,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
        "progress": {name: progress.get(name, default) for name, default in (("done", 0), ("total", 0), ("text", ""))},
        "outcome": operation.outcome,
        "question": question
        and {"text": question["text"], "choices": [{"name": n, "means": m} for n, m in question["choices"]]},
        "url": url_of(operation),
    }


def whole(operation: Operation) -> dict[str, Any]:
    steps = operation.steps.all()[:2000]
    notes = operation.notes.all()[:5000]
    return brief(operation) | {
        "parameters": operation.parameters,
        "steps": [{field: getattr(step, field) for field in StepOut.model_fields} for step in steps],
        "notes": [{"at": note.at, "level": note.level, "text": note.text} for note in notes],
    }


def planned(kind: str, sent: dict[str, Any]) -> dict[str, Any]:
    """The plan of what was sent, for an API call that changes nothing; 422 as problem+json."""
    found = kinds.get(kind)
    try:
        plan = found.plan(found.clean(sent), timezone.now())
    except Invalid as error:
        raise as_problem(error) from error
    return {field: getattr(plan, field) for field in PlanOut.model_fields if field not in ("checks", "refused")} | {
        "checks": [{"text": each.text, "ok": each.ok, "blocking": each.blocking} for each in plan.checks],
        "refused": list(plan.refusals),
    }


def submitted(
    request: HttpRequest,
    kind: str,
    sent: dict[str, Any],
    *,
    reason: str,
    plan: str | None = None,
    confirm: str | None = None,
) -> Status[dict[str, Any]]:
    """Submit for an API call: 202 with the operation; 409, 422 as problem+json."""
    try:
        operation = submit(
            kind,
            sent,
            reason=reason,
            by=actor_of(request),
            idempotency_key=request.headers.get("Idempotency-Key"),
            plan_id=plan,
            confirm=confirm,
        )
    except Exception as error:
        raise as_problem(error) from error
    return Status(202, whole(operation))


def as_problem(error: Exception) -> Exception:
    """The API's words for what `submit`, `order` and `answer` raise; anything else is handed back as it is."""
    match error:
        case Invalid():
            errors = {name: [text] for name, text in error.errors.items()}
            return Problem(422, "The request is not valid; see errors.", code="invalid", errors=errors)
        case Conflict():
            detail = (
                f"{error.operation.target} has an active operation: OP-{error.operation.pk}. Wait for it, or abort it."
            )
            return Problem(409, detail, code="operation-active", operation=brief(error.operation))
        case Refused():
            checks = [{"text": check.text, "ok": check.ok} for check in error.plan.checks]
            return Problem(409, str(error), code="refused", plan=error.plan.id, checks=checks)
    return error

"""GET operations and operations/ID; pause, resume, abort and answer them."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from ninja import Query, Router, Schema, Status

from console.accounts.actor import actor_of
from console.accounts.api_auth import operator
from console.lib.api import Change, Problem
from console.operations.kinds import Invalid
from console.operations.models import Operation
from console.operations.rules import ACTIVE, State
from console.operations.schemas import OperationBrief, OperationOut, as_problem, brief, whole
from console.operations.submit import NotNow, answer, order

router = Router(tags=["operations"])


class Filters(Schema):
    """`state` is one of CONTRACT's words, or `active`. `before` pages on from an id; `limit` is 200 at most."""

    state: str = ""
    kind: str = ""
    target: str = ""
    before: int | None = None
    limit: int = 50


class Answer(Change):
    """One of the operation's `choices`, or a word of its kind; `instance_id` where it is about one worker."""

    choice: str
    instance_id: str | None = None


@router.get("", response=list[OperationBrief], summary="The newest operations first")
def operations(request: HttpRequest, filters: Query[Filters]) -> list[dict[str, Any]]:
    if filters.state not in {"", "active", *State}:
        known = ", ".join(["active", *State])
        raise Problem(422, f"state is one of {known}.", code="invalid", errors={"state": [f"One of {known}."]})
    found: QuerySet[Operation] = Operation.objects.order_by("-pk")
    if filters.state:
        found = found.filter(state__in=ACTIVE if filters.state == "active" else [filters.state])
    if filters.kind:
        found = found.filter(kind=filters.kind)
    if filters.target:
        found = found.filter(target=filters.target)
    if filters.before:
        found = found.filter(pk__lt=filters.before)
    return [brief(operation) for operation in found[: max(1, min(filters.limit, 200))]]


@router.get("/{int:pk}", response=OperationOut, summary="One operation with its steps and notes")
def operation(request: HttpRequest, pk: int) -> dict[str, Any]:
    return whole(_found(pk))


@router.post("/{int:pk}/answer", response={202: OperationOut}, auth=operator, summary="Answer its question")
def answer_operation(request: HttpRequest, pk: int, body: Answer) -> Status[dict[str, Any]]:
    _found(pk)
    args = {"instance_id": body.instance_id} if body.instance_id else {}
    try:
        return Status(202, whole(answer(pk, body.choice, args, reason=body.reason, by=actor_of(request))))
    except NotNow as error:
        raise Problem(409, str(error), code="not-now") from error
    except Invalid as error:
        raise as_problem(error) from error


@router.post("/{int:pk}/{word}", response={202: OperationOut}, auth=operator, summary="pause, resume or abort")
def order_operation(request: HttpRequest, pk: int, word: str, body: Change) -> Status[dict[str, Any]]:
    if word not in ("pause", "resume", "abort"):
        raise Problem(404, f"An operation can be told to pause, resume or abort, not to {word[:40]}.", code="not-found")
    _found(pk)
    try:
        return Status(202, whole(order(pk, word, reason=body.reason, by=actor_of(request))))
    except NotNow as error:
        raise Problem(409, str(error), code="not-now") from error
    except Invalid as error:
        raise as_problem(error) from error


def _found(pk: int) -> Operation:
    operation = Operation.objects.filter(pk=pk).first()
    if operation is None:
        raise Problem(404, f"There is no operation {pk}.", code="not-found")
    return operation

"""POST and GET /api/v1/deploys, GET /api/v1/deploys/ID; and what a deploy would do."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router, Schema, Status

from console.accounts.api_auth import operator
from console.deploys.lanes import Foretold, Lane
from console.deploys.pages import DeployPage, deploy_page
from console.lib.api import Change, Problem
from console.operations.models import Operation
from console.operations.rules import ACTIVE, State
from console.operations.schemas import OperationBrief, OperationOut, PlanOut, brief, planned, submitted, whole

router = Router(tags=["deploys"])


class DeployWhat(Schema):
    """Replace every worker that was not launched with `version` (default: what each group launches now).

    Never fewer than desired − `max_unavailable` ready, never more than desired + `max_surge` hosts; both 0 is refused.
    With `canary` a new worker has to run a harmless task before it counts.
    """

    version: str | None = None
    queues: list[str] | None = None
    max_surge: int = 1
    max_unavailable: int = 0
    drain_deadline_s: float | None = None
    on_deadline: Literal["wait", "stop"] = "wait"
    min_ready_s: float | None = None
    ready_timeout_s: float | None = None
    canary: bool = False


class DeployIn(DeployWhat, Change):
    """`plan`: the id of the plan that was shown; refused when it has changed."""

    plan: str | None = None


class Filters(Schema):
    """`state` is one of CONTRACT's words, or `active`. `before` pages on from an id; `limit` is 200 at most."""

    state: str = ""
    before: int | None = None
    limit: int = 100


class TaskOut(Schema):
    """A task that a draining worker still finishes."""

    name: str
    run_id: str
    started_at: datetime | None
    expected_end: datetime | None


class LaneOut(Schema):
    """One worker's way through the deploy. `ends_likely` and `ends_at_worst` (nine in ten cases) come from its tasks'
    own past runs; `guessed` where a task has none. `starts_at`: when the turn of a waiting one is expected.

    `off_s`: how much later it ended than was first predicted (negative: earlier); null before its end.
    """

    queue: str
    instance_id: str
    role: Literal["old", "new"]
    phase: str
    since: datetime | None
    waits: str
    remaining: list[str]
    lost: list[str]
    tasks: list[TaskOut]
    replaced_by: str
    deadline_at: datetime | None
    overdue: bool
    starts_at: datetime | None
    ends_likely: datetime | None
    ends_at_worst: datetime | None
    guessed: bool
    ended_at: datetime | None
    off_s: float | None


class ForecastOut(Schema):
    """The newest prediction, the first one, and how far off that was (`off_s`; negative: it ended earlier)."""

    made_at: datetime
    likely_at: datetime
    at_worst_at: datetime
    guessed: bool
    first_likely_at: datetime | None
    first_at_worst_at: datetime | None
    off_s: float | None
    within: bool | None


class DeployOut(OperationOut):
    version: str
    queues: list[str]
    replaced: int
    lanes: list[LaneOut]
    ends_likely: datetime | None
    ends_at_worst: datetime | None
    forecast: ForecastOut | None


class DeployBrief(OperationBrief):
    version: str
    queues: list[str]


@router.post("", response={202: OperationOut}, auth=operator, summary="Replace the workers of fleets, wave by wave")
def start(request: HttpRequest, body: DeployIn) -> Status[dict[str, Any]]:
    sent = body.model_dump(exclude={"reason", "plan"}, exclude_none=True)
    return submitted(request, "deploy", sent, reason=body.reason, plan=body.plan)


@router.get("", response=list[DeployBrief], summary="The newest deploys first")
def deploys(request: HttpRequest, filters: Query[Filters]) -> list[dict[str, Any]]:
    if filters.state not in {"", "active", *State}:
        known = ", ".join(["active", *State])
        raise Problem(422, f"state is one of {known}.", code="invalid", errors={"state": [f"One of {known}."]})
    found = Operation.objects.filter(kind="deploy").order_by("-pk")
    if filters.state:
        found = found.filter(state__in=ACTIVE if filters.state == "active" else [filters.state])
    if filters.before:
        found = found.filter(pk__lt=filters.before)
    return [brief(one) | _asked(one) for one in found[: max(1, min(filters.limit, 200))]]


@router.get("/plan", response=PlanOut, summary="What such a deploy would do")
def plan(request: HttpRequest, what: Query[DeployWhat]) -> dict[str, Any]:
    return planned("deploy", what.model_dump(exclude_none=True))


@router.get("/{int:pk}", response=DeployOut, summary="One deploy, a lane per worker")
def deploy(request: HttpRequest, pk: int) -> dict[str, Any]:
    operation = Operation.objects.filter(pk=pk, kind="deploy").first()
    if operation is None:
        raise Problem(404, f"There is no deploy {pk}.", code="not-found")
    page: DeployPage = deploy_page(operation, timezone.now())
    told = {
        "replaced": page.done,
        "lanes": [_lane(lane) for lane in page.lanes],
        "ends_likely": page.ends_likely,
        "ends_at_worst": page.ends_at_worst,
        "forecast": page.end and _forecast(page.end),
    }
    return whole(operation) | _asked(operation) | told


def _asked(operation: Operation) -> dict[str, Any]:
    parameters = operation.parameters
    queues = [fleet["queue"] for fleet in parameters.get("fleets", ())]
    return {"version": str(parameters.get("version") or ""), "queues": queues}


def _lane(lane: Lane) -> dict[str, Any]:
    tasks = [
        {
            "name": task.name,
            "run_id": task.run_id,
            "started_at": task.started_at,
            "expected_end": task.expected.likely,
        }
        for task in lane.tasks
    ]
    return {name: getattr(lane, name) for name in LaneOut.model_fields if name != "tasks"} | {"tasks": tasks}


def _forecast(end: Foretold) -> dict[str, Any]:
    return {name: getattr(end, name) for name in ForecastOut.model_fields}

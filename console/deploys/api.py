"""POST and GET /api/v1/deploys, GET /api/v1/deploys/ID."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status

from console.accounts.api_auth import operator
from console.deploys.pages import DeployPage, deploy_page
from console.lib.api import Change, Problem
from console.operations.models import Operation
from console.operations.schemas import OperationBrief, OperationOut, brief, submitted, whole

router = Router(tags=["deploys"])


class DeployIn(Change):
    """Replace every worker that was not launched with `version` (default: what each group launches now).

    Never fewer than desired − `max_unavailable` ready, never more than desired + `max_surge` hosts; both 0 is refused.
    """

    version: str | None = None
    queues: list[str] | None = None
    max_surge: int = 1
    max_unavailable: int = 0
    drain_deadline_s: float | None = None
    on_deadline: Literal["wait", "stop"] = "wait"
    min_ready_s: float | None = None
    ready_timeout_s: float | None = None
    plan: str | None = None


class LaneOut(Schema):
    """One worker's way through the deploy. `ends_likely` and `ends_at_worst` come from its tasks' own past runs."""

    queue: str
    instance_id: str
    role: Literal["old", "new"]
    phase: str
    since: datetime | None
    remaining: list[str]
    lost: list[str]
    ends_likely: datetime | None
    ends_at_worst: datetime | None


class DeployOut(OperationOut):
    lanes: list[LaneOut]
    ends_likely: datetime | None
    ends_at_worst: datetime | None


@router.post("", response={202: OperationOut}, auth=operator, summary="Replace the workers of fleets, wave by wave")
def start(request: HttpRequest, body: DeployIn) -> Status[dict[str, Any]]:
    sent = body.model_dump(exclude={"reason", "plan"}, exclude_none=True)
    return submitted(request, "deploy", sent, reason=body.reason, plan=body.plan)


@router.get("", response=list[OperationBrief], summary="The newest deploys first")
def deploys(request: HttpRequest) -> list[dict[str, Any]]:
    return [brief(one) for one in Operation.objects.filter(kind="deploy").order_by("-pk")[:100]]


@router.get("/{int:pk}", response=DeployOut, summary="One deploy, a lane per worker")
def deploy(request: HttpRequest, pk: int) -> dict[str, Any]:
    operation = Operation.objects.filter(pk=pk, kind="deploy").first()
    if operation is None:
        raise Problem(404, f"There is no deploy {pk}.", code="not-found")
    page: DeployPage = deploy_page(operation, timezone.now())
    lanes = [
        {"queue": fleet.queue} | {name: getattr(lane, name) for name in LaneOut.model_fields if name != "queue"}
        for fleet in page.fleets
        for lane in fleet.lanes
    ]
    ends = {"ends_likely": page.ends_likely, "ends_at_worst": page.ends_at_worst}
    return whole(operation) | {"lanes": lanes} | ends

"""GET /api/v1/fleets, fleets/QUEUE, fleets/QUEUE/workers. Lists are paged: `limit`, `offset`; X-Total-Count, Link."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema
from ninja import Status as Answer
from pydantic import Field, StrictInt

from console.accounts.api_auth import operator
from console.fleets.facts import Sights
from console.fleets.figures import Fleet, fleet_of
from console.fleets.fleet_page import Unknown, find_queue
from console.fleets.models import GroupSnapshot, ScalingDecision, Worker
from console.fleets.pages import fleets_listed
from console.fleets.rules import State
from console.fleets.scaling.bills import costs, levels
from console.fleets.scaling.told import NOTHING, Told, told
from console.fleets.workers import WorkerRow, ordered, worker_rows
from console.lib.api import Change, Remembered, not_found
from console.lib.status import Status
from console.operations.kinds import Invalid
from console.operations.schemas import OperationOut, PlanOut, as_problem, planned, submitted
from console.platform.declared import declaration

router = Router(tags=["fleets"])

Limit = Annotated[int, Query(ge=1, le=1000, description="rows in this answer")]
Offset = Annotated[int, Query(ge=0, le=10_000_000, description="rows left out before them")]


class WorkersOut(Schema):
    """How many workers are in each state. All None while they can't be seen."""

    in_service: int | None
    launching: int | None
    draining: int | None
    lost: int | None
    overdue: int | None = Field(description="launching, and for too long; counted in `launching` too")
    quiesced: int | None
    stuck: int | None
    unknown: int | None


class DecisionOut(Schema):
    """`desired` is null where it could not be known; `operation` is what it asked for, `outcome` why it did not."""

    at: datetime
    desired: int | None
    because: str
    action: str
    current: int | None
    need: int | None
    outcome: str
    operation: int | None


class FleetOut(Remembered):
    """One queue and its workers. A figure of null can't be seen now, whatever it was before.

    `outstanding` task instances are queued and `running` run, by Airflow's own count (`exact` false: at least that
    many). `depth` are the broker's messages. `slots` are those of the workers in service. `desired` is the Auto Scaling
    Group's, and so are `baseline` (its minimum, the declared one while that is 0) and `max`; for a queue that nobody
    declared there are none.
    """

    queue: str
    declared: bool
    outstanding: int | None
    running: int | None
    exact: bool
    depth: int | None
    oldest_outstanding_s: float | None
    clears_in_s: float | None = Field(description="at the pace of the last minutes; null where that can't be said")
    slots: int | None
    workers: WorkersOut
    baseline: int | None
    desired: int | None
    max: int | None
    autoscaling: Literal["on", "off"]
    autoscaling_mode: str = Field(description="console, publish or off, as it is now")
    autoscaling_until: datetime | None = Field(description="when a switch that people set ends")
    last_decision: DecisionOut | None


class TaskOut(Schema):
    """A running task instance. `expected_end` is the median of its past runs that took longer than this one has."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int | None
    started_at: datetime | None
    expected_end: datetime | None
    expected_end_at_worst: datetime | None
    past_runs: int


class WorkerOut(Remembered):
    """One worker. `state` is `unknown` while it can't be seen; `tasks` is null while Airflow's can't.

    `active` are the tasks that it works on by its own word, `tasks` those that Airflow runs on its host, oldest first.
    """

    name: str
    instance_id: str | None
    host: str
    zone: str | None
    version: str | None
    state: State
    active: int | None
    slots: int | None
    queues: list[str]
    pid: int | None
    overdue: bool
    oldest_task_s: float | None
    seen_age_s: float | None
    tasks: list[TaskOut] | None


@router.get("", response=list[FleetOut], summary="Every queue, its work and its workers")
def fleets(request: HttpRequest, response: HttpResponse, limit: Limit = 200, offset: Offset = 0) -> list[FleetOut]:
    now = timezone.now()
    found, total = fleets_listed(now, limit=limit, offset=offset)
    _paged(request, response, total, limit, offset)
    scaling = told([fleet.queue for fleet in found], now)
    return [_fleet(fleet, scaling.get(fleet.queue, NOTHING)) for fleet in found]


@router.get("/{path:queue}/workers", response=list[WorkerOut], summary="The workers of a queue, by name")
def workers(
    request: HttpRequest,
    response: HttpResponse,
    queue: str,
    limit: Limit = 100,
    offset: Offset = 0,
    state: State | None = None,
    q: str = "",
) -> list[dict[str, Any]]:
    now = timezone.now()
    _known(queue, now)
    rows = Worker.objects.serving(queue)
    rows = rows.filter(state=state) if state else rows
    rows = rows.matching(q.replace("\x00", "")[:200]) if q else rows
    _paged(request, response, rows.count(), limit, offset)
    sights = Sights.at(now)
    return [_worker(row, now) for row in worker_rows(ordered(rows, "worker")[offset : offset + limit], queue, sights)]


class DrainWhat(Schema):
    """Workers by node, instance or host name. `replace`: their group launches others; else it gets smaller by them.

    `on_deadline`: `wait` asks a person where work is left at the deadline, `stop` ends the worker with its work.
    `override_last`: also the queue's last worker in service.
    """

    workers: list[str]
    deadline_s: float | None = None
    on_deadline: Literal["wait", "stop"] = "wait"
    replace: bool = False
    override_last: bool = False


class ResizeWhat(Schema):
    """The group's sizes; what is left out stays. Scaling in happens by drains only, `deadline_s` for each."""

    baseline: StrictInt | None = None
    max: StrictInt | None = None
    desired: StrictInt | None = None
    autoscaling: Literal["on", "off"] | None = None
    deadline_s: float | None = None
    on_deadline: Literal["wait", "stop"] = "wait"
    override_last: bool = False


class Planned(Change):
    """`plan`: the id of the plan that was shown; refused when it has changed. `confirm`: the plan's word, if any."""

    plan: str | None = None
    confirm: str | None = None


class DrainIn(DrainWhat, Planned):
    pass


class ResizeIn(ResizeWhat, Planned):
    """`autoscaling` alone switches it, for `autoscaling_for_s` seconds or until it is said otherwise."""

    autoscaling_for_s: float | None = None


class ResizeQuery(ResizeWhat):
    """In an address every number is text."""

    baseline: int | None = None
    max: int | None = None
    desired: int | None = None


@router.post("/{path:queue}/drain", response={202: OperationOut}, auth=operator, summary="Take workers out of service")
def drain(request: HttpRequest, queue: str, body: DrainIn) -> Answer[dict[str, Any]]:
    return _submitted(request, "drain", queue, body)


class CostOut(Schema):
    """Of the last `day` or `month`, as worked out at `as_of` over the `covered_h` hours that were seen; USD.

    `static` is a fleet that is always as large as the largest seen, `machine` one machine that holds the peak.
    """

    period: str
    as_of: datetime
    covered_h: float
    worker_hours: float
    usd: float
    boot_usd: float
    idle_usd: float
    peak_workers: int
    static_usd: float
    machine_usd: float
    month_usd: float | None


class WaitOut(Schema):
    """Time in queued of the tasks that started in the last `hour` (or two) or `day`. `burn` 1: all of its budget."""

    period: str
    started: int
    late: int
    target_s: float
    p50_s: float | None
    p95_s: float | None
    burn: float | None


@router.get("/{path:queue}/cost", response=list[CostOut], summary="What it cost, and what else would have cost")
def cost(request: HttpRequest, queue: str) -> list[CostOut]:
    _known(queue, timezone.now())
    fleet = declaration().fleet(queue)
    return [
        CostOut(
            period=period,
            as_of=it.as_of,
            covered_h=it.covered_h,
            worker_hours=it.bill.hours,
            usd=it.usd,
            boot_usd=it.boot_usd,
            idle_usd=it.idle_usd,
            peak_workers=it.bill.peak,
            static_usd=it.static_usd,
            machine_usd=it.machine_usd,
            month_usd=it.month_usd,
        )
        for period, it in (costs(fleet) if fleet else {}).items()
    ]


@router.get("/{path:queue}/wait", response=list[WaitOut], summary="How long its tasks were queued")
def wait(request: HttpRequest, queue: str) -> list[WaitOut]:
    now = timezone.now()
    _known(queue, now)
    fleet = declaration().fleet(queue)
    found = levels(fleet, now) if fleet else {}
    names = ("started", "late", "target_s", "p50_s", "p95_s", "burn")
    return [WaitOut(period=word, **{name: getattr(it, name) for name in names}) for word, it in found.items()]


@router.get("/{path:queue}/decisions", response=list[DecisionOut], summary="What was decided, newest first")
def decisions(
    request: HttpRequest, response: HttpResponse, queue: str, limit: Limit = 100, offset: Offset = 0, all: bool = False
) -> list[DecisionOut]:
    """Those that said something new; `all`: the repetitions of the last two days too."""
    _known(queue, timezone.now())
    rows = ScalingDecision.objects.filter(queue=queue, **({} if all else {"news": True}))
    _paged(request, response, rows.count(), limit, offset)
    return [_decision(row) for row in rows.order_by("-at", "-pk")[offset : offset + limit]]


@router.get("/{path:queue}/drain/plan", response=PlanOut, summary="What that drain would do")
def drain_plan(request: HttpRequest, queue: str, what: Query[DrainWhat]) -> dict[str, Any]:
    _known(queue, timezone.now())
    return planned("drain", {"queue": queue} | what.model_dump(exclude_none=True))


@router.get("/{path:queue}/resize/plan", response=PlanOut, summary="What that resize would do")
def resize_plan(request: HttpRequest, queue: str, what: Query[ResizeQuery]) -> dict[str, Any]:
    _known(queue, timezone.now())
    return planned("resize", {"queue": queue} | what.model_dump(exclude_none=True))


@router.patch("/{path:queue}", response={202: OperationOut}, auth=operator, summary="Change the size of a fleet")
def resize(request: HttpRequest, queue: str, body: ResizeIn) -> Answer[dict[str, Any]]:
    if body.autoscaling is None or any(size is not None for size in (body.baseline, body.max, body.desired)):
        if body.autoscaling_for_s is not None:
            text = "Only beside `autoscaling` alone: send the sizes in another request."
            raise as_problem(Invalid({"autoscaling_for_s": text}))
        return _submitted(request, "resize", queue, body)
    _known(queue, timezone.now())
    sent = {"queue": queue, "autoscaling": body.autoscaling, "for_s": body.autoscaling_for_s}
    return submitted(request, "autoscaling", sent, reason=body.reason, plan=body.plan, confirm=body.confirm)


def _submitted(request: HttpRequest, kind: str, queue: str, body: DrainIn | ResizeIn) -> Answer[dict[str, Any]]:
    _known(queue, timezone.now())
    sent = {"queue": queue} | body.model_dump(
        exclude={"reason", "plan", "confirm", "autoscaling_for_s"}, exclude_none=True
    )
    return submitted(request, kind, sent, reason=body.reason, plan=body.plan, confirm=body.confirm)


@router.get("/{path:queue}", response=FleetOut, summary="One queue")
def fleet(request: HttpRequest, queue: str) -> FleetOut:
    now = timezone.now()
    _known(queue, now)
    found = fleet_of(find_queue(queue, now), GroupSnapshot.objects.in_bulk(), Sights.at(now))
    return _fleet(found, told([queue], now).get(queue, NOTHING))


def _known(queue: str, now: datetime) -> None:
    try:
        find_queue(queue, now)
    except Unknown as error:
        not_found("queue", error.name, error.known)


def _paged(request: HttpRequest, response: HttpResponse, total: int, limit: int, offset: int) -> None:
    """How many there are, and where the next and the previous page are (RFC 8288)."""
    response["X-Total-Count"] = str(total)
    links = []
    kept = {key: value for key, value in request.GET.items() if key not in ("limit", "offset")}
    for rel, start in (("prev", offset - limit), ("next", offset + limit)):
        if (rel == "next" and start < total) or (rel == "prev" and offset > 0):
            query = urlencode({**kept, "limit": limit, "offset": max(0, start)})
            links.append(f'<{request.build_absolute_uri(request.path)}?{query}>; rel="{rel}"')
    if links:
        response["Link"] = ", ".join(links)


def _fleet(it: Fleet, scaling: Told) -> FleetOut:
    return FleetOut(
        status=it.status,
        reason=it.reason,
        as_of=it.as_of,
        age_s=it.age_s,
        queue=it.queue,
        declared=it.declared,
        outstanding=it.outstanding,
        running=it.running,
        exact=it.exact,
        depth=it.depth,
        oldest_outstanding_s=it.oldest_outstanding_s,
        clears_in_s=it.clears.seconds,
        slots=it.slots,
        workers=WorkersOut(
            in_service=it.in_service,
            launching=it.launching,
            draining=it.draining,
            lost=it.lost,
            overdue=it.overdue,
            quiesced=it.quiesced,
            stuck=it.stuck,
            unknown=it.unknown,
        ),
        baseline=it.baseline,
        desired=it.desired,
        max=it.maximum,
        autoscaling="on" if scaling.on else "off",
        autoscaling_mode=scaling.mode,
        autoscaling_until=scaling.until,
        last_decision=_decision(scaling.last) if scaling.last else None,
    )


def _decision(it: ScalingDecision) -> DecisionOut:
    return DecisionOut(
        at=it.at,
        desired=it.desired,
        because=it.because,
        action=it.action,
        current=it.current,
        need=it.need,
        outcome=it.outcome,
        operation=it.operation,
    )


def _worker(it: WorkerRow, now: datetime) -> dict[str, Any]:
    """As a dict: the answer is validated once, by its schema, and not twice for each of a thousand workers."""
    return {
        "status": it.status if it.state is not State.UNKNOWN else Status.UNKNOWN,
        "reason": it.reason,
        "as_of": it.as_of,
        "age_s": max(0.0, (now - it.as_of).total_seconds()) if it.as_of else None,
        "name": it.node,
        "instance_id": it.instance_id or None,
        "host": it.host,
        "zone": it.zone or None,
        "version": it.version or None,
        "state": it.state,
        "active": it.active,
        "slots": it.slots,
        "queues": list(it.serves),
        "pid": it.pid,
        "overdue": it.overdue,
        "oldest_task_s": it.oldest.ran_s if it.oldest else None,
        "seen_age_s": it.seen_age_s,
        "tasks": None
        if it.tasks is None
        else [
            {
                "dag_id": task.dag_id,
                "task_id": task.task_id,
                "run_id": task.run_id,
                "map_index": task.map_index,
                "try_number": task.try_number,
                "started_at": task.started_at,
                "expected_end": task.expected.likely,
                "expected_end_at_worst": task.expected.at_worst,
                "past_runs": task.expected.runs,
            }
            for task in it.tasks
        ],
    }

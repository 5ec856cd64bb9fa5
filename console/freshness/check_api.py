"""POST freshness/check, PUT freshness/cutoffs, GET freshness/changes, freshness/tasks, POST …/attest."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Schema, Status
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from console.accounts.api_auth import operator
from console.freshness import actions
from console.freshness.asking import Question, Told, Untracked, ask
from console.freshness.cutoffs import Wait
from console.freshness.models import Heartbeat, TableSnapshot
from console.freshness.records import CutoffRow, TableEvent, generation
from console.freshness.watermark import Basis
from console.lib.api import Change, Problem, Renderer, moment, not_found
from console.operations.schemas import OperationOut, submitted
from console.platform.declared import declaration

router = Router(tags=["freshness"])

MOST_ITEMS = 1000
MOST_WAIT_S = 25


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("Add the offset: 2026-11-22T00:00:00Z is UTC.")
    return at


Moment = Annotated[datetime, AfterValidator(_aware)]


# Of pydantic's own and not ninja's Schema: that one looks each field up through a wrapper of Django objects, which for
# a hundred questions takes longer than all queries together.


class Item(BaseModel):
    """One question. `key` comes back with its answer."""

    model_config = ConfigDict(extra="forbid")

    key: Annotated[str, Field(max_length=300)]
    table: Annotated[str, Field(max_length=400)]
    cutoff: Moment


class Check(BaseModel):
    """`wait`: up to so many seconds for a verdict to change (with the ASGI server only). `proof: estimated` also takes
    DMS' own latency for an answer, which proves nothing; the default never does."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Item], Field(min_length=1, max_length=MOST_ITEMS)]
    basis: Basis = Basis.ROW
    proof: Literal["heartbeat", "estimated"] = "heartbeat"
    wait: Annotated[float, Field(ge=0, le=MOST_WAIT_S)] = 0


class Said(BaseModel):
    """`verdict`: complete, pending, blocked (a person is needed) or unknown; `status`: the table's own, of nine.

    `watermark`: up to when it is proven complete; `limiting`: what that waits for. `eta` is a forecast.
    """

    key: str
    table: str
    cutoff: datetime
    verdict: Literal["complete", "pending", "blocked", "unknown"]
    status: str
    watermark: datetime | None
    lag_s: float | None
    eta: datetime | None
    limiting: dict[str, Any] | None
    epoch: int | None
    proof_id: str | None
    reasons: list[str]
    retry_after_s: int


class CheckOut(BaseModel):
    generation: int
    items: list[Said]


@router.post("/check", response=CheckOut, summary="Are these tables complete to these cutoffs?")
def check(request: HttpRequest, body: Check) -> HttpResponse:
    """Always 200 for tables that are declared. What was called complete stays so until a load revokes it."""
    now = timezone.now()
    questions = [Question(item.key, item.table, item.cutoff) for item in body.items]
    try:
        number, told = ask(questions, body.basis, now, estimates=body.proof == "estimated")
    except Untracked as error:
        raise _untracked(error.names) from None
    # Written here and not by ninja, which would make models of a hundred answers, and dictionaries of those, first: a
    # fifth of the whole request. That it is as CheckOut says is tested.
    said = _Saying()
    return Renderer.response({"generation": number, "items": [said.out(one) for one in told]})


def _untracked(names: tuple[str, ...]) -> Problem:
    """404 with the nearest names."""
    known = list(TableSnapshot.objects.values_list("name", flat=True)) or [table.name for table in declaration().tables]
    nearest = {name: get_close_matches(name, known, n=3, cutoff=0.4) for name in names[:20]}
    first = names[0]
    hint = f"Did you mean {' or '.join(nearest[first])}?" if nearest[first] else "Declare it in platform.yaml."
    more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
    return Problem(404, f"No table is called {first[:100]}{more}. {hint}", code="untracked", tables=nearest)


class _Saying:
    """Answers as `Said` describes them. A hundred tables share a few moments: each is put into words once."""

    def __init__(self) -> None:
        self._moments: dict[datetime | None, str | None] = {None: None}

    def _at(self, at: datetime | None) -> str | None:
        if at not in self._moments:
            assert at is not None
            self._moments[at] = moment(at)
        return self._moments[at]

    def out(self, told: Told) -> dict[str, Any]:
        return {
            "key": told.question.key,
            "table": told.question.table,
            "cutoff": self._at(told.question.cutoff),
            "verdict": told.answer.verdict.value,
            "status": told.answer.status.value,
            "watermark": self._at(told.watermark),
            "lag_s": told.lag_s,
            "eta": self._at(told.answer.eta),
            "limiting": told.limiting,
            "epoch": told.epoch,
            "proof_id": told.proof_id,
            "reasons": told.reasons,
            "retry_after_s": told.answer.retry_after_s,
        }


# --- Cutoffs -------------------------------------------------------------------------------------------------------


class CutoffIn(Change):
    """A table that somebody waits for: complete to `cutoff` by `deadline`."""

    table: str
    cutoff: Moment
    deadline: Moment
    dag_id: Annotated[str, Field(max_length=250)] = ""


class CutoffOut(Schema):
    """`met_at`: when it was first proven, null until then."""

    table: str
    cutoff: datetime
    deadline: datetime
    dag_id: str
    origin: Literal["calendar", "api"]
    met_at: datetime | None


def cutoff_out(row: CutoffRow | Wait) -> CutoffOut:
    return CutoffOut(
        table=row.table,
        cutoff=row.at,
        deadline=row.deadline,
        dag_id=row.dag_id,
        origin="calendar" if row.origin == CutoffRow.Origin.CALENDAR else "api",
        met_at=row.met_at,
    )


@router.put("/cutoffs", response=CutoffOut, auth=operator, summary="Wait for a table")
def register(request: HttpRequest, body: CutoffIn) -> CutoffOut:
    """Nothing of the platform changes: the console watches it, forecasts it and tells when it is at risk."""
    if not TableSnapshot.objects.filter(name=body.table).exists():
        raise _untracked((body.table,))
    if body.deadline <= body.cutoff:
        errors = {"deadline": ["It must be after the cutoff: data up to a moment arrives after it."]}
        raise Problem(422, "The request is not valid: see errors.", code="invalid", errors=errors)
    actor = request.auth  # type: ignore[attr-defined]
    row = actions.register_cutoff(actor, body.table, body.cutoff, body.deadline, body.dag_id, body.reason)
    return cutoff_out(row)


# --- Changes -------------------------------------------------------------------------------------------------------


class EventOut(Schema):
    """`kind`: status, revoked (what was proven before is not any more), or met (a cutoff)."""

    id: int
    table: str
    at: datetime
    generation: int
    kind: str
    text: str


class ChangedOut(Schema):
    table: str
    generation: int
    status: str
    watermark: datetime | None
    commit_watermark: datetime | None
    steady: bool
    epoch: int | None


class ChangesOut(Schema):
    """`more`: there are further ones; ask again with the last table's generation and name as after and after_table,
    and with the last event's id as after_event. Each list that came empty keeps what was asked with."""

    generation: int
    tables: list[ChangedOut]
    events: list[EventOut]
    more: bool


class ChangesQuery(Schema):
    after: Annotated[int, Field(ge=0)] = 0
    after_table: str = ""
    after_event: Annotated[int, Field(ge=0, description="Events after this one, in place of a generation.")] = 0
    limit: Annotated[int, Field(ge=1, le=10_000)] = 1000


def event_out(row: TableEvent) -> EventOut:
    return EventOut(id=row.pk, table=row.table, at=row.at, generation=row.generation, kind=row.kind, text=row.text)


@router.get("/changes", response=ChangesOut, summary="What has changed after a generation")
def changes(request: HttpRequest, query: Query[ChangesQuery]) -> ChangesOut:
    number = generation()
    later = Q(generation__gt=query.after)
    if query.after_table:
        later |= Q(generation=query.after, name__gt=query.after_table)
    rows = list(TableSnapshot.objects.filter(later, followed=True).order_by("generation", "name")[: query.limit + 1])
    since = Q(pk__gt=query.after_event) if query.after_event else Q(generation__gt=query.after)
    events = list(TableEvent.objects.filter(since).order_by("id")[: query.limit + 1])
    return ChangesOut(
        generation=number,
        tables=[
            ChangedOut(
                table=row.name,
                generation=row.generation,
                status=row.nine,
                watermark=row.row_at,
                commit_watermark=row.commit_at,
                steady=row.steady,
                epoch=row.epoch,
            )
            for row in rows[: query.limit]
        ],
        events=[event_out(row) for row in events[: query.limit]],
        more=max(len(rows), len(events)) > query.limit,
    )


# --- Tasks ---------------------------------------------------------------------------------------------------------


class HeartbeatOut(Schema):
    """One DMS task's heartbeat. `unsettled`: why nothing is proven until somebody attests; `error` with its remedy."""

    task: str
    source: str
    epoch: int
    seq: int
    written_at: datetime | None
    arrived_seq: int | None
    watermark: datetime | None
    commit_watermark: datetime | None
    holder: dict[str, Any] | None
    unsettled: str
    error: str
    remedy: str


def _heartbeat_out(row: Heartbeat) -> HeartbeatOut:
    holder = {"pid": row.holder_pid, "user": row.holder_user, "since": row.holder_since} if row.holder_pid else None
    return HeartbeatOut(
        task=row.task,
        source=row.source,
        epoch=row.epoch,
        seq=row.seq,
        written_at=row.written_at,
        arrived_seq=row.arrived_seq,
        watermark=row.row_at,
        commit_watermark=row.commit_at,
        holder=holder,
        unsettled=row.unsettled,
        error=row.error or row.blind or row.arriving,
        remedy=row.remedy,
    )


@router.get("/tasks", response=list[HeartbeatOut], summary="The heartbeats of each DMS task")
def tasks(request: HttpRequest) -> list[HeartbeatOut]:
    return [_heartbeat_out(row) for row in Heartbeat.objects.all()]


class Repair(Change):
    """`plan`: the id of the preflight that was shown, where one was."""

    plan: str | None = None


class Reload(Repair):
    """`task`: through which one, where several write to the table. `confirm`: the table's name."""

    task: str = ""
    confirm: str | None = None


@router.post("/tasks/{name}/resume", response={202: OperationOut}, auth=operator, summary="Resume a DMS task")
def resume(request: HttpRequest, name: str, body: Repair) -> Status[dict[str, Any]]:
    return submitted(request, "dms-resume", {"task": name}, reason=body.reason, plan=body.plan)


@router.post("/tables/{name}/reload", response={202: OperationOut}, auth=operator, summary="Load a table anew")
def reload(request: HttpRequest, name: str, body: Reload) -> Status[dict[str, Any]]:
    """`confirm` is the table's name: it is emptied first. What was proven of it is revoked."""
    sent = {"table": name, "task": body.task}
    return submitted(request, "table-reload", sent, reason=body.reason, plan=body.plan, confirm=body.confirm)


class Attestation(Change):
    """That the source's state is what the warehouse shall follow, after a failover or a restore."""


@router.post("/tasks/{name}/attest", response=HeartbeatOut, auth=operator, summary="Settle a new epoch of a source")
def attest(request: HttpRequest, name: str, body: Attestation) -> HeartbeatOut:
    actor = request.auth  # type: ignore[attr-defined]
    try:
        return _heartbeat_out(actions.attest_epoch(actor, name, body.reason))
    except Heartbeat.DoesNotExist:
        not_found("DMS task", name, list(Heartbeat.objects.values_list("task", flat=True)))
    except actions.Settled:
        raise Problem(409, f"The epoch of {name} is settled: there is nothing to attest to.", code="settled") from None

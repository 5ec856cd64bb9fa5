"""GET /api/v1/scheduler."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from ninja import Status as Answer
from pydantic import AliasChoices, Field

from console.accounts.api_auth import operator
from console.lib.api import Change, Remembered
from console.lib.status import Status
from console.operations.schemas import OperationOut, submitted
from console.scheduler.pages import State, TakeoverRow, scheduler_state, takeover_rows
from console.scheduler.verdicts import Candidate

router = Router(tags=["scheduler"])
HISTORY = 20


class LeaderOut(Schema):
    """The scheduler that leads. `token` and `lease_expires_in_s` are null where no agent holds a lease."""

    name: str
    host: str
    token: int | None
    lease_expires_in_s: float | None
    since: datetime | None


class CandidateOut(Schema):
    """A host that does not lead. `ready` and `seen_age_s` are null while it can't be seen; `state`: running late lost
    absent unknown; of an agent: ready not_ready silent."""

    name: str
    host: str
    ready: bool | None
    seen_age_s: float | None
    state: str
    reason: str
    declared: bool


class ProcessOut(Schema):
    """One process of Airflow: scheduler, triggerer, dag-processor; the metadatabase sends no heartbeat."""

    kind: str
    host: str
    status: Status
    reason: str
    heartbeat_age_s: float | None


class TakeoverOut(Schema):
    """Another scheduler led from `at` on; `gap_s` is how long nobody did. `operation` is null when no operation of this
    console did it."""

    at: datetime
    kind: str
    from_: str = Field(validation_alias=AliasChoices("from", "from_"), serialization_alias="from")
    to: str
    gap_s: float | None
    operation: str | None


class SchedulerOut(Remembered):
    """All figures are null, and the lists of processes empty, while Airflow's scheduler can't be seen."""

    title: str
    remedy: str
    heartbeat_age_s: float | None
    leader: LeaderOut | None
    candidates: list[CandidateOut]
    processes: list[ProcessOut]
    automatic_failover: bool = Field(description="a ready standby would take over by itself, now")
    failover_paused_until: datetime | None
    not_acting: str = Field(description="why a takeover would not happen by itself; empty when it would")
    airflow_version: str | None
    dags: int | None
    import_errors: int | None
    history: list[TakeoverOut]


@router.get("", response=SchedulerOut, by_alias=True, summary="Who schedules, who could take over, and who did")
def scheduler(request: HttpRequest) -> SchedulerOut:
    now = timezone.now()
    return scheduler_out(scheduler_state(now), takeover_rows(now)[:HISTORY])


class SwitchoverIn(Change):
    """`to`: who is to lead; may be left out where only one standby is ready."""

    to: str | None = None
    plan: str | None = None


class FailoverIn(SwitchoverIn):
    """`confirm` is the current leader's name."""

    confirm: str


class PauseIn(Change):
    """How long automatic failover is paused (seconds); 0 ends the pause."""

    for_s: Literal[0, 3600, 7200, 14400]


@router.post("/switchover", response={202: OperationOut}, auth=operator, summary="Another host leads, planned")
def switchover(request: HttpRequest, body: SwitchoverIn) -> Answer[dict[str, Any]]:
    sent = {"to": body.to, "reason": body.reason}
    return submitted(request, "switchover", sent, reason=body.reason, plan=body.plan)


@router.post("/failover", response={202: OperationOut}, auth=operator, summary="Another host leads, by force")
def failover(request: HttpRequest, body: FailoverIn) -> Answer[dict[str, Any]]:
    sent = {"to": body.to, "reason": body.reason}
    return submitted(request, "failover", sent, reason=body.reason, plan=body.plan, confirm=body.confirm)


@router.post("/failover-pause", response={202: OperationOut}, auth=operator, summary="Pause automatic failover")
def failover_pause(request: HttpRequest, body: PauseIn) -> Answer[dict[str, Any]]:
    sent = {"for_s": body.for_s, "reason": body.reason}
    return submitted(request, "failover-pause", sent, reason=body.reason)


def scheduler_out(state: State, rows: tuple[TakeoverRow, ...]) -> SchedulerOut:
    verdict, leader, lease = state.verdict, state.verdict.leader, state.lease
    reading_age_s = state.sight.age_s or 0.0
    return SchedulerOut(
        status=verdict.status,
        reason=verdict.reason,
        as_of=state.sight.as_of,
        age_s=state.sight.age_s,
        title=verdict.title,
        remedy=verdict.remedy,
        heartbeat_age_s=verdict.heartbeat_age_s,
        leader=LeaderOut(
            name=leader.host,
            host=leader.host,
            token=lease.token if lease.holder == leader.host else None,
            lease_expires_in_s=lease.expires_in_s if lease.holder == leader.host else None,
            since=verdict.leading_since,
        )
        if leader
        else None,
        candidates=[_candidate(one) for one in verdict.candidates],
        processes=[
            ProcessOut(
                kind=one.kind,
                host=one.host,
                status=one.status,
                reason=one.reason,
                heartbeat_age_s=None if one.late_s is None else one.late_s + reading_age_s,
            )
            for one in verdict.processes
        ],
        automatic_failover=lease.automatic and bool(lease.standbys),
        failover_paused_until=lease.held_until,
        not_acting=lease.not_acting,
        airflow_version=state.airflow_version,
        dags=state.dags,
        import_errors=state.import_errors,
        history=[
            TakeoverOut(
                at=row.at,
                kind=row.kind,
                from_=row.from_host,
                to=row.to_host,
                gap_s=row.gap_s,
                operation=row.operation or None,
            )
            for row in rows
        ],
    )


def _candidate(one: Candidate) -> CandidateOut:
    return CandidateOut(
        name=one.name,
        host=one.host,
        ready=one.ready,
        seen_age_s=one.seen_age_s,
        state=one.word.replace(" ", "_"),
        reason=one.reason,
        declared=one.declared,
    )

"""GET /api/v1/scheduler."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema
from pydantic import AliasChoices, Field

from console.lib.api import Remembered
from console.lib.status import Status
from console.scheduler.pages import State, TakeoverRow, scheduler_state, takeover_rows
from console.scheduler.rules import Candidate

router = Router(tags=["scheduler"])
HISTORY = 20


class LeaderOut(Schema):
    """The scheduler that leads. `token` and `lease_expires_in_s` are null until an agent holds a lease there."""

    name: str
    host: str
    token: int | None
    lease_expires_in_s: float | None
    since: datetime | None


class CandidateOut(Schema):
    """A host that does not lead. `ready` and `seen_age_s` are null while it can't be seen; `state`: running late lost
    absent unknown."""

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
    automatic_failover: bool
    airflow_version: str | None
    dags: int | None
    import_errors: int | None
    history: list[TakeoverOut]


@router.get("", response=SchedulerOut, by_alias=True, summary="Who schedules, who could take over, and who did")
def scheduler(request: HttpRequest) -> SchedulerOut:
    now = timezone.now()
    return scheduler_out(scheduler_state(now), takeover_rows(now)[:HISTORY])


def scheduler_out(state: State, rows: tuple[TakeoverRow, ...]) -> SchedulerOut:
    verdict, leader = state.verdict, state.verdict.leader
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
            name=leader.host, host=leader.host, token=None, lease_expires_in_s=None, since=verdict.leading_since
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
        automatic_failover=False,
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
        state=one.word,
        reason=one.reason,
        declared=one.declared,
    )

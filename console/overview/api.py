"""GET /api/v1/overview."""

from __future__ import annotations

from datetime import datetime

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema

from console.datastores.pages import DatastoresSummary
from console.fleets.figures import Fleet
from console.freshness.pages import FreshnessSummary
from console.incidents.api import IncidentBrief, unresolved
from console.lib.api import Remembered
from console.lib.status import Status
from console.overview.pages import State, Watched, overview_state
from console.overview.rules import Part
from console.scheduler.pages import SchedulerSummary

router = Router(tags=["overview"])


class FindingOut(Schema):
    """Something else that is not well."""

    section: str
    status: Status
    title: str
    reason: str
    remedy: str


class SchedulerPart(Remembered):
    heartbeat_age_s: float | None
    leader: str | None
    candidates: list[str]


class FleetPart(Remembered):
    """One queue. All figures are null while they can't be seen."""

    queue: str
    outstanding: int | None
    running: int | None
    slots: int | None
    in_service: int | None
    launching: int | None
    draining: int | None
    lost: int | None
    baseline: int | None
    desired: int | None
    max: int | None


class FreshnessPart(Remembered):
    """How many declared tables are how."""

    total: int
    fresh: int
    late: int
    unknown: int


class DatastorePart(Remembered):
    id: str


class SourceOut(Remembered):
    """One thing that is watched. `as_of` and `age_s` are of its last good reading, whatever came after it."""

    name: str
    title: str
    system: str
    limit_s: float
    failing: bool


class OverviewOut(Schema):
    """The platform. `headline` is one sentence: the worst thing and its remedy; `status` the worst of all.

    `as_of` is the oldest reading behind what can be seen now, null while nothing can.
    """

    status: Status
    headline: str
    reason: str
    as_of: datetime | None
    age_s: float | None
    also: list[FindingOut]
    scheduler: SchedulerPart
    fleets: list[FleetPart]
    freshness: FreshnessPart
    deploys: list[str]
    datastores: list[DatastorePart]
    incidents: list[IncidentBrief]
    sources: list[SourceOut]


@router.get("overview", response=OverviewOut, summary="Is the platform well, and what to do if not")
def overview(request: HttpRequest) -> OverviewOut:
    return overview_out(overview_state(timezone.now()))


def overview_out(state: State) -> OverviewOut:
    return OverviewOut(
        status=state.headline.status,
        headline=state.headline.sentence,
        reason=state.headline.text,
        as_of=state.as_of,
        age_s=max(0.0, (state.now - state.as_of).total_seconds()) if state.as_of else None,
        also=[_finding(part) for part in state.headline.also],
        scheduler=_scheduler(state.of.scheduler),
        fleets=[_fleet(fleet) for fleet in state.of.fleets.fleets],
        freshness=_freshness(state.of.freshness),
        deploys=[],
        datastores=_datastores(state.of.datastores),
        incidents=[IncidentBrief(**one) for one in unresolved()],
        sources=[_source(one) for one in state.sources],
    )


def _finding(part: Part) -> FindingOut:
    return FindingOut(section=part.section, status=part.status, title=part.title, reason=part.text, remedy=part.remedy)


def _scheduler(it: SchedulerSummary) -> SchedulerPart:
    return SchedulerPart(
        status=it.status,
        reason=it.reason,
        as_of=it.as_of,
        age_s=it.age_s,
        heartbeat_age_s=it.heartbeat_age_s,
        leader=it.leader or None,
        candidates=[one.name for one in it.candidates],
    )


def _fleet(it: Fleet) -> FleetPart:
    return FleetPart(
        status=it.status,
        reason=it.reason,
        as_of=it.as_of,
        age_s=it.age_s,
        queue=it.queue,
        outstanding=it.outstanding,
        running=it.running,
        slots=it.slots,
        in_service=it.in_service,
        launching=it.launching,
        draining=it.draining,
        lost=it.lost,
        baseline=it.baseline,
        desired=it.desired,
        max=it.maximum,
    )


def _freshness(it: FreshnessSummary) -> FreshnessPart:
    return FreshnessPart(
        status=it.status,
        reason=it.reason,
        as_of=it.as_of,
        age_s=it.age_s,
        total=it.total,
        fresh=it.fresh,
        late=it.late,
        unknown=it.unknown,
    )


def _datastores(it: DatastoresSummary) -> list[DatastorePart]:
    return [
        DatastorePart(id=row.id, status=row.verdict.status, reason=row.verdict.reason, as_of=it.as_of, age_s=it.age_s)
        for row in it.rows
    ]


def _source(it: Watched) -> SourceOut:
    sight = it.sight
    return SourceOut(
        status=Status.UNKNOWN if not sight.seen else Status.DEGRADED if sight.failing else Status.HEALTHY,
        reason=it.note,
        as_of=sight.as_of,
        age_s=sight.age_s,
        name=sight.name,
        title=sight.title,
        system=it.system,
        limit_s=sight.limit_s,
        failing=sight.failing,
    )

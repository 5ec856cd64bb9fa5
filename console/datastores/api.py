"""GET /api/v1/datastores and /api/v1/datastores/ID."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from console.datastores.pages import DatastoresSummary, Row, datastores_summary
from console.lib.api import Remembered, not_found

router = Router(tags=["datastores"])


class DatastoreOut(Remembered):
    """A database or cache of the platform. `state` is AWS' own word; `redundant`: would a standby take over?

    Figures are null while AWS can't be seen, and where AWS does not say.
    """

    id: str
    kind: str
    identifier: str
    remedy: str
    state: str | None
    multi_az: bool | None
    redundant: bool | None
    primary: str | None
    primary_zone: str | None
    standby_zone: str | None
    replicas: int | None
    endpoint: str | None


@router.get("", response=list[DatastoreOut], summary="RDS and ElastiCache as they are")
def datastores(request: HttpRequest) -> list[DatastoreOut]:
    summary = datastores_summary(timezone.now())
    return [datastore_out(row, summary) for row in summary.rows]


@router.get("/{id}", response=DatastoreOut, summary="One datastore")
def datastore(request: HttpRequest, id: str) -> DatastoreOut:
    summary = datastores_summary(timezone.now())
    row = next((row for row in summary.rows if row.id == id), None)
    if row is None:
        not_found("datastore", id, [row.id for row in summary.rows])
    return datastore_out(row, summary)


def datastore_out(row: Row, summary: DatastoresSummary) -> DatastoreOut:
    return DatastoreOut(
        status=row.verdict.status,
        reason=row.verdict.reason,
        remedy=row.verdict.remedy,
        as_of=summary.as_of,
        age_s=summary.age_s,
        id=row.id,
        kind=row.kind,
        identifier=row.identifier,
        state=row.state,
        multi_az=row.multi_az,
        redundant=row.redundant,
        primary=row.primary,
        primary_zone=row.primary_zone,
        standby_zone=row.standby_zone,
        replicas=row.replicas,
        endpoint=row.endpoint,
    )

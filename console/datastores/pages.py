"""The datastores' page and their card on the overview: frozen, by a bounded number of queries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.datastores.models import Datastore, every_datastore, newest_changes
from console.datastores.poll import URL
from console.datastores.rules import KINDS, Verdict, judge, redundant, statement
from console.lib.status import Status, counted, worst
from console.lib.words import count
from console.platform.declared import DatastoreDeclared, declaration
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import DATASTORES


@dataclass(frozen=True)
class Row:
    """One datastore. What AWS told is None while it can't be seen, or where AWS does not say."""

    id: str
    kind: str  # rds | elasticache
    title: str  # RDS postgres 18.1
    identifier: str
    verdict: Verdict
    state: str | None  # AWS' word
    multi_az: bool | None
    redundant: bool | None
    primary: str | None
    primary_zone: str | None
    standby_zone: str | None
    replicas: int | None
    endpoint: str | None


@dataclass(frozen=True)
class DatastoresSummary:
    """All datastores in a card."""

    status: Status
    reason: str  # a finding without its full stop
    remedy: str
    as_of: datetime | None
    age_s: float | None
    rows: tuple[Row, ...]
    sight: Sight
    every_s: float
    url: str = URL

    @property
    def pill(self) -> str:
        return counted(self.status, (row.verdict.status for row in self.rows))


@dataclass(frozen=True)
class ChangeRow:
    at: datetime
    datastore: str
    what: str
    was: str
    became: str


@dataclass(frozen=True)
class DatastoresPage:
    summary: DatastoresSummary
    heading: str
    text: str
    changes: tuple[ChangeRow, ...]


def datastores_summary(now: datetime) -> DatastoresSummary:
    """Two queries."""
    sight = Source.objects.sights(now, [DATASTORES])[DATASTORES.name]
    known = {row.id: row for row in every_datastore()}
    rows = tuple(_row(one, known.get(one.id), sight) for one in declaration().datastores)
    status = worst(row.verdict.status for row in rows)
    remedies = [row.verdict.remedy for row in rows if row.verdict.status is status]
    return DatastoresSummary(
        status=status,
        reason=statement([(row.id, row.verdict) for row in rows], sight),
        remedy=remedies[0] if remedies else "",
        as_of=sight.as_of,
        age_s=sight.age_s,
        rows=rows,
        sight=sight,
        every_s=DATASTORES.interval_s,
    )


def datastores_page(now: datetime) -> DatastoresPage:
    """The page `/datastores/`. Three queries."""
    summary = datastores_summary(now)
    if not summary.rows:
        text = (
            "Declare the platform's databases as datastores in platform.yaml: id, kind (rds, elasticache), identifier."
        )
    elif not summary.sight.seen:
        text = f"{summary.sight.reason[:1].upper()}{summary.sight.reason[1:]}. {summary.sight.remedy}".strip()
    else:
        text = summary.remedy or f"{count(len(summary.rows), 'datastore')}; AWS is asked every 10 s."
    changes = tuple(ChangeRow(row.at, row.datastore, row.what, row.was, row.became) for row in newest_changes())
    return DatastoresPage(summary, summary.reason, text, changes)


def _row(declared: DatastoreDeclared, known: Datastore | None, sight: Sight) -> Row:
    current = known if known and (known.kind, known.identifier) == (declared.kind, declared.identifier) else None
    reading = current.reading() if current and sight.seen else None
    engine = f" {current.engine}" if current and current.engine else ""
    return Row(
        id=declared.id,
        kind=declared.kind,
        title=f"{KINDS.get(declared.kind, declared.kind)}{engine}",
        identifier=declared.identifier,
        verdict=judge(current.facts() if current else None, sight),
        state=reading.status or None if reading else None,
        multi_az=reading.multi_az if reading else None,
        redundant=redundant(reading) if reading else None,
        primary=reading.primary if reading else None,
        primary_zone=reading.primary_zone if reading else None,
        standby_zone=reading.standby_zone if reading else None,
        replicas=reading.replicas if reading else None,
        endpoint=reading.endpoint if reading else None,
    )

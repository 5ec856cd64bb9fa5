"""Cutoffs: those of the calendars are written down ahead of time, each is settled by the poll that proves it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet

from console.freshness import telling
from console.freshness.cells import Cell, cell
from console.freshness.models import TableSnapshot
from console.freshness.outlook import Nine
from console.freshness.records import AssetNews, CutoffRow, Proof, TableEvent
from console.freshness.watermark import Basis
from console.lib.kept import kept
from console.lib.words import duration
from console.platform.declared import Declaration

AHEAD = timedelta(hours=26)
LOOK_AHEAD = timedelta(minutes=5)
"""Before this nothing is forecast: a watermark that keeps up has not reached tomorrow either, and the least error of
its speed is minutes by then."""
GIVEN_UP = timedelta(days=7)
KEPT = timedelta(days=60)
UNCERTAIN = {Nine.UNKNOWN.value, Nine.WRITER_DOWN.value, ""}


def plan(declared: Declaration, now: datetime) -> int:
    """Write down the calendars' next cutoffs; how many were new. Those that are not declared any more go."""
    wanted: dict[tuple[str, datetime], tuple[datetime, str]] = {}
    for table in declared.tables:
        for declared_as in table.cutoffs:
            for due in declared_as.between(now, now + AHEAD):
                _, asset = wanted.get((table.name, due.at), (None, ""))
                wanted[table.name, due.at] = (due.deadline, declared_as.asset or asset)
    ahead = CutoffRow.objects.filter(at__gte=now, at__lt=now + AHEAD)
    known = {(row.table, row.at): row for row in ahead.only("pk", "table", "at", "deadline", "origin", "asset")}
    calendar = CutoffRow.Origin.CALENDAR
    gone = [row.pk for key, row in known.items() if row.origin == calendar and key not in wanted]
    CutoffRow.objects.filter(pk__in=gone).delete()
    changed = []
    for (name, at), (deadline, asset) in wanted.items():
        row = known.get((name, at))
        if row is not None and row.origin != calendar:
            deadline = row.deadline  # somebody's own; only the asset is declared
        if row is None or (row.deadline, row.asset) != (deadline, asset):
            origin = row.origin if row else calendar
            changed.append(CutoffRow(table=name, at=at, deadline=deadline, origin=origin, asset=asset))
    CutoffRow.objects.bulk_create(
        changed,
        update_conflicts=True,
        unique_fields=["table", "at"],
        update_fields=["deadline", "asset"],
        batch_size=5000,
    )
    return len(changed)


def forget(now: datetime) -> None:
    """What happened long ago, and proofs that nobody will ask for again."""
    CutoffRow.objects.filter(at__lt=now - KEPT).delete()
    Proof.objects.filter(at__lt=now - KEPT).delete()
    TableEvent.objects.filter(at__lt=now - KEPT).delete()
    AssetNews.objects.filter(cutoff__lt=now - KEPT).delete()


def waiting(now: datetime) -> dict[str, list[CutoffRow]]:
    """The cutoffs that are not met, by table, oldest first. One query."""
    found: dict[str, list[CutoffRow]] = {}
    rows = CutoffRow.objects.filter(met_at=None, at__lte=now + LOOK_AHEAD, at__gt=now - GIVEN_UP)
    for row in rows.order_by("table", "at"):
        found.setdefault(row.table, []).append(row)
    return found


def settle(
    wanted: Mapping[str, Sequence[CutoffRow]], rows: Iterable[TableSnapshot], number: int, now: datetime
) -> list[TableEvent]:
    """Note which are met by now, with their proofs, and which are known not to be."""
    met, pending, proofs, events = [], [], [], []
    for row in rows:
        for cutoff in wanted.get(row.name, ()):
            if not row.followed or cutoff.at > now:
                continue
            if row.steady and row.row_at is not None and row.row_at >= cutoff.at:
                cutoff.met_at = now
                met.append(cutoff)
                proofs.append(proof_of(row, cutoff.at, Basis.ROW, now))
                events.append(_event(row, cutoff, number, now))
            elif row.nine not in UNCERTAIN:
                pending.append(cutoff.pk)
    if met:
        CutoffRow.objects.filter(pk__in=[cutoff.pk for cutoff in met]).update(met_at=now)
        Proof.objects.bulk_create(proofs, ignore_conflicts=True)
        telling.note(met, now)
    if pending:
        CutoffRow.objects.filter(pk__in=pending).update(pending_at=now)
    return events


class Standing(Protocol):
    """A table's row, or as much of it as a proof is made of."""

    @property
    def name(self) -> str: ...
    @property
    def task(self) -> str: ...
    @property
    def era(self) -> str: ...
    @property
    def epoch(self) -> int | None: ...
    @property
    def proof_seq(self) -> int | None: ...
    @property
    def row_at(self) -> datetime | None: ...
    @property
    def commit_at(self) -> datetime | None: ...
    @property
    def proved_at(self) -> datetime | None: ...


def proof_of(row: Standing, cutoff: datetime, basis: Basis, now: datetime) -> Proof:
    """That it is complete to the cutoff; the row is steady, and its watermark says so."""
    return Proof(**proof_values(row, cutoff, basis, now))


def proof_values(row: Standing, cutoff: datetime, basis: Basis, now: datetime) -> dict[str, Any]:
    """The same as values, for those who write a hundred: making models of them takes longer than saving them."""
    watermark = row.row_at if basis == Basis.ROW else row.commit_at
    assert watermark is not None
    assert row.proved_at is not None
    proved_at = row.proved_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "table": row.name,
        "era": row.era,
        "basis": basis.value,
        "cutoff": cutoff,
        "proof_id": f"{row.task}/{row.era}/{row.proof_seq}@{proved_at}",
        "watermark": watermark,
        "epoch": row.epoch or 1,
        "at": now,
    }


def _event(row: TableSnapshot, cutoff: CutoffRow, number: int, now: datetime) -> TableEvent:
    late_s = (now - cutoff.deadline).total_seconds()
    how = f"{duration(late_s)} late" if late_s > 0 else f"{duration(-late_s)} before its deadline"
    text = f"Complete to {cutoff.at:%d %b %H:%M} UTC, {how}."
    return TableEvent(table=row.name, at=now, generation=number, kind="met", text=text)


class Wait(NamedTuple):
    """What is shown of a cutoff; the fields are those of `CutoffRow`, of which hundreds take longer to make."""

    table: str
    at: datetime
    deadline: datetime
    origin: str
    dag_id: str
    asset: str
    met_at: datetime | None
    pending_at: datetime | None


# Each table's own come in the order of the index; all of them are not put into one.
_NEWEST = f"""
SELECT {", ".join(f'newest."{name}"' for name in Wait._fields)} FROM unnest(%s::text[]) AS wanted(name)
CROSS JOIN LATERAL (
    SELECT * FROM freshness_cutoffrow AS c WHERE c."table" = wanted.name AND c.at <= %s ORDER BY c.at DESC LIMIT %s
) AS newest"""  # noqa: S608 - our own names


def of_tables(names: Sequence[str], now: datetime, most: int = 14) -> dict[str, list[Wait]]:
    """The newest cutoffs of each table that have come or are next, oldest first. One query, whatever their number."""
    found: dict[str, list[Wait]] = {}
    if names:
        with connection.cursor() as cursor:
            cursor.execute(_NEWEST, [list(names), now + LOOK_AHEAD, most])
            for row in map(Wait._make, cursor.fetchall()):
                found.setdefault(row.table, []).append(row)
    for rows in found.values():
        rows.sort(key=attrgetter("at"))
    return found


def cells(rows: Sequence[Wait], nine: str, now: datetime) -> tuple[Cell, ...]:
    """What became of them, as it is shown."""
    risk = nine in {Nine.AT_RISK.value, Nine.BREACHED.value, Nine.STALLED.value, Nine.BROKEN.value}
    return tuple(cell(row.at, row.deadline, row.met_at, row.pending_at, now, at_risk=risk) for row in rows)


@dataclass(frozen=True)
class Newest:
    """The newest cutoff that has come, over all tables that have one then."""

    at: datetime
    deadline: datetime
    total: int
    met: int


def newest(now: datetime) -> Newest | None:
    """One query."""
    found = _newest.first(now, now - GIVEN_UP)
    return Newest(found["at"], found["latest"], found["total"], found["met"]) if found else None


@kept
def _newest(now: datetime, since: datetime) -> QuerySet[Any, Any]:
    return (
        CutoffRow.objects.filter(at__lte=now, at__gt=since)
        .order_by("-at")
        .values("at")
        .annotate(total=Count("pk"), met=Count("pk", filter=~Q(met_at=None)), latest=Max("deadline"))[:1]
    )

"""Tables as the pages and the API show them: the last verdict, or unknown when what it rests on can't be seen now."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import QuerySet

from console.freshness.judge import NEEDED, blind
from console.freshness.listed import Listed
from console.freshness.models import OriginSnapshot, TableSnapshot
from console.freshness.outlook import Nine
from console.freshness.rules import Word
from console.lib.kept import kept
from console.lib.status import Status
from console.platform.declared import declaration
from console.platform.models import Source
from console.platform.rules import Sight
from console.platform.sources import ORIGINS, REPLICATION, WAREHOUSE

URL = "/freshness/"
NO_WATERMARK = "No proven watermark: heartbeats are not written yet, and newest stamps prove nothing."


@dataclass(frozen=True)
class View:
    """What can be seen now: `blind` is why nothing can be said of any table ("": it can)."""

    now: datetime
    blind: str
    sights: Mapping[str, Sight]
    origins: Mapping[str, OriginSnapshot]

    @property
    def oldest(self) -> Sight:
        """The needed source that is nearest to its limit, or past it: the age that dates a list of tables."""
        return min((self.sights[spec.name] for spec in NEEDED), key=_left_s)

    @property
    def replication(self) -> Sight:
        return self.sights[REPLICATION.name]

    @property
    def warehouse(self) -> Sight:
        return self.sights[WAREHOUSE.name]

    def as_of(self, source: str) -> datetime | None:
        """When the oldest of the readings behind a table's figures was begun; None while one was never made."""
        origin = self.origins.get(source)
        moments = [self.replication.as_of, self.warehouse.as_of]
        if origin is not None and origin.as_of is not None:
            moments.append(origin.as_of)
        return min((at for at in moments if at is not None), default=None) if all(moments) else None


def _left_s(sight: Sight) -> float:
    return float("-inf") if sight.age_s is None else sight.limit_s - sight.age_s


def look(now: datetime) -> View:
    """Two queries."""
    sights = Source.objects.sights(now, [*NEEDED, ORIGINS])
    return View(now, blind(sights), sights, {origin.name: origin for origin in _origins()})


@kept
def _origins() -> QuerySet[OriginSnapshot]:
    return OriginSnapshot.objects.all()


@dataclass(frozen=True)
class TableRow:
    """One declared table. `lag_s` is how far behind it is at most; None: that can't be said."""

    name: str
    source: str
    task: str
    warehouse: str
    slo_s: float
    status: Status
    word: str
    reason: str
    lag_s: float | None
    since: datetime | None  # when it became so
    state: str | None  # as DMS calls it
    as_of: datetime | None
    age_s: float | None
    nine: str = ""  # one of the nine statuses; "" while no heartbeats are written
    watermark: datetime | None = None  # on rows; what the pages call "complete to"
    commit_watermark: datetime | None = None
    watermark_reason: str = ""  # why there is none, or why it stands still
    epoch: int | None = None
    generation: int = 0
    tags: str = ""
    holder: str = ""  # the source's open transaction that holds it back, as a sentence's part

    @property
    def url(self) -> str:
        return f"{URL}{self.name}/"

    @property
    def short(self) -> str:
        """The name without its source: what tells tables of one source apart."""
        return self.name.split(".", 1)[-1]


def table_row(table: TableSnapshot | Listed, view: View) -> TableRow:
    seen = not view.blind
    as_of = view.as_of(table.source)
    return TableRow(
        name=table.name,
        source=table.source,
        task=table.task,
        warehouse=table.warehouse,
        slo_s=table.slo_s,
        status=Status(table.status) if seen else Status.UNKNOWN,
        word=table.word if seen else Word.UNKNOWN,
        reason=table.reason if seen else view.blind,
        lag_s=table.lag_s if seen else None,
        since=table.since if seen else view.oldest.since,
        state=table.state if view.replication.seen else None,
        as_of=as_of,
        age_s=None if as_of is None else max(0.0, (view.now - as_of).total_seconds()),
        nine=(table.nine if seen else Nine.UNKNOWN.value) if table.followed else "",
        watermark=table.row_at if table.followed else None,
        commit_watermark=table.commit_at if table.followed else None,
        watermark_reason=table.held if table.followed else NO_WATERMARK,
        epoch=table.epoch,
        generation=table.generation,
        tags=table.tags,
        holder=_holder(table.limiting) if "HELD_BY_TXN" in table.tags else "",
    )


def _holder(limiting: str) -> str:
    found = json.loads(limiting) if limiting else {}
    return f"{found['user']}'s transaction (pid {found['pid']})" if found.get("kind") == "transaction" else ""


@dataclass(frozen=True)
class Tally:
    """Tables by status. While DMS or the warehouse can't be seen, all of them are unknown."""

    total: int
    fresh: int
    degraded: int
    failing: int
    unknown: int

    @property
    def late(self) -> int:
        return self.failing + self.degraded

    @property
    def status(self) -> Status:
        if self.failing:
            return Status.FAILING
        if self.degraded:
            return Status.DEGRADED
        return Status.UNKNOWN if self.unknown else Status.HEALTHY


def tally(tallied: Mapping[tuple[str, Status], int], view: View) -> Tally:
    """From how many there are of each task and status. Before the first poll they are counted as declared."""
    found: Counter[Status] = Counter()
    for (_, status), number in tallied.items():
        found[status] += number
    total = found.total() or len(declaration().tables)  # no row at all: no poll has begun yet
    if view.blind:
        return Tally(total, 0, 0, 0, total)
    return Tally(total, found[Status.HEALTHY], found[Status.DEGRADED], found[Status.FAILING], found[Status.UNKNOWN])

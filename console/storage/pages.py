"""The storages' page and their line on the overview: frozen, by a bounded number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from console.history import series
from console.lib import listing
from console.lib.listing import Listing, Pager, Tab
from console.lib.status import Status, counted, worst
from console.lib.words import count, duration, listed
from console.platform.declared import StorageDeclared, declaration
from console.platform.models import Source
from console.platform.rules import Sight
from console.storage.ledger import LISTED, Stage
from console.storage.models import Store, moment
from console.storage.poll import URL, held_series
from console.storage.rules import Verdict, judge, newest_age_s, statement
from console.storage.sources import INTERVAL_S, source_of

SPARK = timedelta(hours=24)
SHOWN = 50
STATES = {
    "unfetched": frozenset({Stage.MISSED, Stage.LATE}),
    "past": frozenset({Stage.MISSED, Stage.EXPIRED}),
    "waiting": frozenset({Stage.WAITING}),
    "fetched": frozenset({Stage.FETCHED}),
}
STAGES = {
    # how the vocabulary calls it, and the word
    Stage.MISSED: ("degraded", "nobody came"),
    Stage.LATE: ("degraded", "not fetched in time"),
    Stage.EXPIRED: ("none", "expired"),
    Stage.WAITING: ("waiting", "waits for its reader"),
    Stage.FETCHED: ("complete", "fetched"),
}


@dataclass(frozen=True)
class Row:
    """One storage. Its figures are None while it can't be seen."""

    id: str
    place: str
    local: bool
    verdict: Verdict
    sight: Sight
    complete: bool | None
    files: int | None
    bytes: int | None
    newest_key: str
    newest_at: datetime | None
    newest_age_s: float | None
    waiting: int | None
    fetched: int | None
    late: int | None
    missed: int | None
    expired: int | None
    past: int | None
    past_bytes: int | None
    left: int | None
    left_bytes: int | None

    @property
    def newest_ago(self) -> str:
        """In whole seconds: it is read at a glance."""
        return duration(float(int(self.newest_age_s or 0)))

    @property
    def every_s(self) -> float:
        return INTERVAL_S

    @property
    def handoffs(self) -> int | None:
        counts = (self.waiting, self.fetched, self.late, self.missed, self.expired)
        return sum(number for number in counts if number is not None) if self.files is not None else None

    @property
    def amounts(self) -> tuple[tuple[str, int, str], ...]:
        """Hand-offs by stage, for a bar of parts."""
        found = (
            ("healthy", self.fetched, "fetched"),
            ("running", self.waiting, "waiting for their reader"),
            ("paused", self.expired, "expired"),
            ("degraded", (self.late or 0) + (self.missed or 0), "never fetched"),
        )
        return tuple((status, number or 0, word) for status, number, word in found)

    @property
    def stages(self) -> str:
        """The same in words, those that there are."""
        return listed([f"{number:,} {word}" for _, number, word in self.amounts if number])


@dataclass(frozen=True)
class StorageSummary:
    """All storages in a line."""

    status: Status
    reason: str  # a finding without its full stop
    text: str
    remedy: str
    as_of: datetime | None
    rows: tuple[Row, ...]
    url: str = URL

    @property
    def pill(self) -> str:
        return counted(self.status, (row.verdict.status for row in self.rows))


@dataclass(frozen=True)
class ShareRow:
    """What a DAG's hand-offs take, or a folder beside them."""

    kind: str
    name: str
    bytes: int
    files: int
    handoffs: int
    missed: int
    newest_at: datetime | None


@dataclass(frozen=True)
class HandoffRow:
    stage: Stage
    status: str
    word: str
    dag_id: str
    run_id: str
    task: str
    name: str
    bytes: int
    handed_at: datetime | None
    expires_at: datetime | None
    read_at: datetime | None


@dataclass(frozen=True)
class StoreView:
    """One storage with its lists; these are empty while it can't be seen."""

    row: Row
    held: tuple[float | None, ...]
    shares: tuple[ShareRow, ...]
    handoffs: tuple[HandoffRow, ...]  # all that are listed
    shown: tuple[HandoffRow, ...]  # of these, as the page's address asks for it
    pager: Pager

    @property
    def largest(self) -> int:
        return max((share.bytes for share in self.shares), default=0)

    @property
    def unlisted(self) -> int:
        """Hand-offs that are counted and not listed."""
        return max(0, (self.row.handoffs or 0) - len(self.handoffs)) if len(self.handoffs) >= LISTED else 0


@dataclass(frozen=True)
class StoragePage:
    summary: StorageSummary
    heading: str
    text: str
    stores: tuple[StoreView, ...]
    listing: Listing
    tabs: tuple[Tab, ...]


def storage_summary(now: datetime) -> StorageSummary:
    """Two queries."""
    return _summary(now, Store.objects.figures())


def _summary(now: datetime, known: Mapping[str, Store]) -> StorageSummary:
    declared = declaration().storage
    sights = Source.objects.sights(now, [source_of(one.id) for one in declared])
    rows = tuple(_row(one, known.get(one.id), sights[source_of(one.id).name], now) for one in declared)
    status = worst(row.verdict.status for row in rows)
    first = next((row for row in rows if row.verdict.status is status), None)
    well = status is Status.HEALTHY or first is None
    return StorageSummary(
        status=status,
        reason=statement([(row.id, row.verdict) for row in rows]),
        text="" if well or first is None else first.verdict.reason,
        remedy="" if well or first is None else first.verdict.remedy,
        as_of=min((row.sight.as_of for row in rows if row.sight.as_of), default=None),
        rows=rows,
    )


def storage_page(now: datetime, query: Mapping[str, str] | None = None) -> StoragePage:
    """The page `/storage/` as its address asks for it. Three queries, however many files and storages."""
    asked = listing.read(query or {}, states=STATES, columns=(), default_sort="")
    known = Store.objects.whole()
    summary = _summary(now, known)
    names = [held_series(row.id) for row in summary.rows]
    held = series.sparklines(names, now - SPARK, now) if names else {}
    if not summary.rows:
        text = "Declare where tasks hand files to each other as storage in platform.yaml: id, and a bucket or a folder."
    else:
        said = f"{count(len(summary.rows), 'storage')}; each is looked through every {INTERVAL_S:.0f} s."
        text = " ".join(filter(None, (summary.text, summary.remedy))) or said
    stores = tuple(_view(row, known.get(row.id), held[held_series(row.id)], asked) for row in summary.rows)
    return StoragePage(summary, summary.reason, text, stores, asked, _tabs(asked, summary.rows))


def _tabs(asked: Listing, rows: Sequence[Row]) -> tuple[Tab, ...]:
    """The states to choose from; of what can't be seen nothing is counted."""
    seen = [row for row in rows if row.files is not None]

    def number(*names: str) -> int | None:
        return sum(getattr(row, name) or 0 for row in seen for name in names) if seen else None

    return listing.tabs(
        asked,
        [
            ("", "All", number("handoffs")),
            ("unfetched", "Never fetched", number("missed", "late")),
            ("past", "Past expiry", number("past")),
            ("waiting", "Waiting", number("waiting")),
            ("fetched", "Fetched", number("fetched")),
        ],
    )


def _matching(rows: Sequence[HandoffRow], asked: Listing) -> list[HandoffRow]:
    text = asked.q.casefold()
    wanted = STATES.get(asked.state, frozenset(Stage))
    return [
        row
        for row in rows
        if row.stage in wanted and text in f"{row.name} {row.dag_id} {row.task} {row.run_id}".casefold()
    ]


def _row(declared: StorageDeclared, known: Store | None, sight: Sight, now: datetime) -> Row:
    current = known if known and known.location == declared.place else None
    facts = current.facts(declared) if current else None
    seen = current if sight.seen else None
    return Row(
        id=declared.id,
        place=declared.place,
        local=bool(declared.folder),
        verdict=judge(facts, sight, now),
        sight=sight,
        complete=seen.complete if seen else None,
        files=seen.files if seen else None,
        bytes=seen.bytes if seen else None,
        newest_key=seen.newest_key if seen else "",
        newest_at=seen.newest_at if seen else None,
        newest_age_s=newest_age_s(facts, now) if seen and facts else None,
        waiting=seen.waiting if seen else None,
        fetched=seen.fetched if seen else None,
        late=seen.late if seen else None,
        missed=seen.missed if seen else None,
        expired=seen.expired if seen else None,
        past=seen.past if seen else None,
        past_bytes=seen.past_bytes if seen else None,
        left=seen.left if seen else None,
        left_bytes=seen.left_bytes if seen else None,
    )


def _view(row: Row, known: Store | None, held: Sequence[float | None], asked: Listing) -> StoreView:
    if known is None or row.files is None:
        return StoreView(row, tuple(held), (), (), (), listing.pager(asked, 0, SHOWN))
    handoffs = tuple(handoff_row(one) for one in known.listed)
    matching = _matching(handoffs, asked)
    pager = listing.pager(asked, len(matching), SHOWN)
    return StoreView(
        row=row,
        held=tuple(held),
        shares=tuple(share_row(share) for share in known.shares),
        handoffs=handoffs,
        shown=tuple(matching[pager.start : pager.start + SHOWN]),
        pager=pager,
    )


def share_row(share: Mapping[str, Any]) -> ShareRow:
    names = {"rest": "all others", "folder": share["name"] or "files beside all folders"}
    return ShareRow(
        kind=share["kind"],
        name=names.get(share["kind"], share["name"]),
        bytes=share["bytes"],
        files=share["files"],
        handoffs=share["handoffs"],
        missed=share["missed"],
        newest_at=moment(share["newest_at"]),
    )


def handoff_row(one: Mapping[str, Any]) -> HandoffRow:
    stage = Stage(one["stage"])
    status, word = STAGES[stage]
    mapped = f"[{one['map_index']}]" if one["map_index"] >= 0 else ""
    return HandoffRow(
        stage=stage,
        status=status,
        word=word,
        dag_id=one["dag_id"],
        run_id=one["run_id"],
        task=f"{one['task_id']}{mapped}",
        name=one["name"],
        bytes=one["size"],
        handed_at=moment(one["handed_at"]),
        expires_at=moment(one["expires_at"]),
        read_at=moment(one["read_at"]),
    )

"""What is wrong with the storages, for the incidents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from urllib.parse import quote

from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.words import count, duration, size
from console.platform.declared import StorageDeclared, declaration
from console.storage.ledger import Stage
from console.storage.models import Store
from console.storage.pages import HandoffRow, StoreView, storage_page
from console.storage.poll import held_series
from console.storage.rules import HOUSEKEEPING, quiet_s

DAGS = 20
"""So many DAGs have an incident each; the others share one."""


def findings(now: datetime) -> Report:
    """Four queries."""
    stores = storage_page(now).stores
    known = Store.objects.figures() if stores else {}
    found: list[Finding] = []
    unseen: set[str] = set()
    for store in stores:
        row = store.row
        if not row.sight.seen:
            unseen |= {f"storage.{kind}:{row.id}" for kind in ("quiet", "left")} | {f"storage.unread:{row.id}/"}
            if row.sight.failing:
                found.append(_away(store))
            elif row.sight.age_s is not None:  # nobody has looked: that is the console's own fault, told elsewhere
                unseen.add(f"storage.away:{row.id}")
            continue
        declared = declaration().storage_of(row.id)
        assert declared is not None
        found += [*_quiet(store, known, declared, now), *_left(store), *_unread(store)]
    return Report(tuple(found), frozenset(unseen))


def _url(store: StoreView) -> str:
    return f"/storage/#store-{quote(store.row.id, safe='')}"


def _away(store: StoreView) -> Finding:
    row = store.row
    return Finding(
        key=f"storage.away:{row.id}",
        detector="storage-away",
        severity=Severity.ERROR,
        title=f"{row.id} can't be reached",
        sentence=f"Files can't be seen there: {row.sight.reason}. Tasks that hand over or fetch may fail.",
        target=f"storage/{row.id}",
        url=_url(store),
        facts=(Fact("Place", row.place), Fact("Last look", _ago(row.sight.age_s), "unknown")),
        recommended=Recommended(row.sight.remedy or "Look at the storage itself.", _url(store), "Look at it"),
        causes=("console.blind:aws", "console.blind:all") if not row.local else (),
    )


def _quiet(store: StoreView, known: Mapping[str, Store], declared: StorageDeclared, now: datetime) -> Iterable[Finding]:
    row = store.row
    if row.id not in known:
        return
    silent_s = quiet_s(known[row.id].facts(declared), now)
    if silent_s is None or declared.quiet_after_s is None:
        return
    yield Finding(
        key=f"storage.quiet:{row.id}",
        detector="storage-quiet",
        severity=Severity.WARNING,
        title=f"{row.id} has had no new file for longer than declared",
        sentence=f"Nothing was written for {duration(silent_s)}; {duration(declared.quiet_after_s)} was declared.",
        target=f"storage/{row.id}",
        url=_url(store),
        facts=(
            Fact("Newest file", row.newest_key or "none was ever seen"),
            Fact("Written", _ago(row.newest_age_s), "degraded"),
        ),
        series=(held_series(row.id),),
        recommended=Recommended("Look whether the DAGs run that hand files over.", _url(store), "Look at it"),
        causes=(f"storage.away:{row.id}",),
        after_s=60.0,
    )


def _left(store: StoreView) -> Iterable[Finding]:
    row = store.row
    if not row.left:
        return
    yield Finding(
        key=f"storage.left:{row.id}",
        detector="handoffs-not-removed",
        severity=Severity.WARNING,
        title=f"{row.id} holds hand-offs long past their expiry",
        sentence=f"{count(row.left, 'hand-off')} ({size(row.left_bytes)}) should have been removed by now.",
        target=f"storage/{row.id}",
        url=_url(store),
        facts=(
            Fact("Long past their expiry", f"{row.left}, {size(row.left_bytes)}", "degraded"),
            Fact("Past their expiry", f"{row.past}, {size(row.past_bytes)}"),
        ),
        series=(held_series(row.id),),
        recommended=Recommended(
            HOUSEKEEPING, f"/storage/{quote(row.id, safe='')}/expire/", "Remove them", "expire", {"storage": row.id}
        ),
        after_s=120.0,
    )


def _unread(store: StoreView) -> Iterable[Finding]:
    """One for each DAG whose hand-offs nobody fetched, as far as they are listed."""
    by_dag: dict[str, list[HandoffRow]] = {}
    for each in store.handoffs:
        if each.stage in (Stage.MISSED, Stage.LATE):
            by_dag.setdefault(each.dag_id, []).append(each)
    for dag in sorted(by_dag)[:DAGS]:
        yield _unread_of(store, f"{store.row.id}/{dag}", dag, by_dag[dag])
    rest = [each for dag in sorted(by_dag)[DAGS:] for each in by_dag[dag]]
    if rest:
        yield _unread_of(store, f"{store.row.id}//", f"{len(by_dag) - DAGS} further DAGs", rest)


def _unread_of(store: StoreView, name: str, dag: str, those: list[HandoffRow]) -> Finding:
    missed = sum(each.stage is Stage.MISSED for each in those)
    expired = f"; {missed} of them expired, and no reader ever came" if missed else ""
    newest = those[0]
    return Finding(
        key=f"storage.unread:{name}",
        detector="handoff-not-fetched",
        severity=Severity.WARNING,
        title=f"Nobody fetched what {dag} handed over",
        sentence=f"{count(len(those), 'hand-off')} in {store.row.id} without a reader{expired}.",
        target=f"storage/{store.row.id}",
        url=_url(store),
        facts=tuple(
            Fact(f"{each.task}: {each.name}", f"{each.word}, {size(each.bytes)}, {each.run_id}", each.status)
            for each in those[:12]
        ),
        recommended=Recommended(
            f"Look at run {newest.run_id} of {newest.dag_id}: did the task that reads {newest.name} run?",
            _url(store),
            "Look at them",
        ),
        after_s=60.0,
    )


def _ago(age_s: float | None) -> str:
    return "never" if age_s is None else f"{duration(age_s)} ago"

"""What is wrong with the data, for the incidents: one finding per DMS task, its tables as the impact.

Beside it, per task: heartbeats that are not written (then nothing can be proven), and cutoffs that will be missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from console.freshness.cutoffs import LOOK_AHEAD
from console.freshness.findings_promises import of_burns, of_news, untold
from console.freshness.models import TableSnapshot
from console.freshness.outlook import RUNWAY_S, Nine, eta
from console.freshness.pages import lag_series
from console.freshness.records import Burning, CutoffRow
from console.freshness.rows import URL, TableRow, look, table_row
from console.freshness.rules import Word
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity, joined
from console.lib.status import Status
from console.lib.words import count, duration

NAMED = 200
"""So many tables are named as impact."""
SHOWN = 5
MILD_S = 600.0
"""What is degraded only must last so long before anybody is told."""
BROKEN = frozenset({Word.BROKEN.value, Word.INTERRUPTED.value, "stalled"})
CALM = frozenset({Word.LOADING.value, "catching up"})
"""Degraded, and on its way by itself: nobody is told."""
STANDING = frozenset({Nine.BROKEN, Nine.STALLED, Nine.WRITER_DOWN})
MISSED = timedelta(hours=24)
"""A cutoff that was missed is an open matter for so long, or until it is met."""
_ORDER = {Status.FAILING: 0, Status.DEGRADED: 1}


def findings(now: datetime) -> Report:
    """Seven queries, however many tables."""
    view = look(now)
    if view.blind:
        return Report((), frozenset({"freshness."}))
    rows = [table_row(row, view) for row in TableSnapshot.objects.exclude(status=Status.HEALTHY)]
    return joined(
        [
            of_tables(rows),
            of_writers(rows),
            of_cutoffs(*_cutoffs(now), now),
            of_burns(Burning.objects.all(), now),
            of_news(untold(now)),
        ]
    )


def _cutoffs(now: datetime) -> tuple[list[CutoffRow], dict[str, TableSnapshot]]:
    """Those that are not met, whose deadline is near enough for a repair or has passed; and their tables."""
    near = CutoffRow.objects.filter(met_at=None, at__lte=now + LOOK_AHEAD)
    found = list(near.filter(deadline__lte=now + timedelta(seconds=RUNWAY_S), deadline__gt=now - MISSED))
    names = {cutoff.table for cutoff in found}
    return found, {row.name: row for row in TableSnapshot.objects.filter(name__in=names)} if names else {}


def of_tables(rows: Iterable[TableRow]) -> Report:
    """A finding per task; of a task whose tables are unknown and none is late, nothing can be said."""
    by_task: dict[str, list[TableRow]] = {}
    unknown: set[str] = set()
    for row in rows:
        if row.status in _ORDER and row.word not in CALM:
            by_task.setdefault(row.task, []).append(row)
        elif row.status not in _ORDER:
            unknown.add(row.task)
    found = tuple(_finding(task, tables) for task, tables in sorted(by_task.items()))
    return Report(found, frozenset(_key(task) for task in unknown - set(by_task)))


def _key(task: str) -> str:
    return f"freshness.task:{task}"


def _finding(task: str, rows: list[TableRow]) -> Finding:
    rows = sorted(rows, key=lambda row: (_ORDER[row.status], -(row.lag_s or 0.0), row.name))
    first = rows[0]
    broken = [row for row in rows if row.word in BROKEN]
    failing = first.status is Status.FAILING
    tables = count(len(rows), "table")
    title = f"{task} does not replicate: {tables}" if broken else f"{task}: {tables} late"
    return Finding(
        key=_key(task),
        detector="replication-broken" if broken else "table-late",
        severity=Severity.ERROR if failing else Severity.WARNING,
        title=title,
        sentence=f"{first.name}: {first.reason}",
        target=f"freshness/{task}",
        url=first.url if len(rows) == 1 else URL,
        facts=tuple(_facts(rows)),
        impact=tuple(row.name for row in rows[:NAMED]),
        series=tuple(lag_series(row.name) for row in rows[:3]),
        recommended=_recommended(task, first, bool(broken)),
        causes=("console.blind:warehouse",),
        after_s=0.0 if failing else MILD_S,
    )


def _facts(rows: list[TableRow]) -> Iterable[Fact]:
    words: Mapping[str, int] = {}
    for row in rows:
        words = {**words, row.word: words.get(row.word, 0) + 1}
    yield Fact("Tables", ", ".join(f"{number} {word}" for word, number in words.items()))
    for row in rows[:SHOWN]:
        lag = f"{duration(row.lag_s)} behind, its SLO is {duration(row.slo_s)}" if row.lag_s is not None else row.reason
        yield Fact(row.name, lag, row.status.value)


def _recommended(task: str, first: TableRow, broken: bool) -> Recommended:
    if broken and first.nine and any(f"{task} is {word}" in first.reason for word in ("stopped", "failed")):
        text = f"Read why {task} stopped, then resume it where it stopped."
        return Recommended(text, f"{URL}tasks/{task}/resume/", f"Resume {task}", "dms-resume", {"task": task})
    if broken and first.nine and any(word in first.reason for word in ("DMS suspended it", "Table error", "cancelled")):
        text = f"Find out why {first.name} is in error, then load it anew."
        return Recommended(text, f"{first.url}reload/", "Reload the table", "table-reload", {"table": first.name})
    if first.holder:
        text = (
            f"Ask the owner of {first.source} to end {first.holder}: what it wrote must arrive before this is complete."
        )
        return Recommended(text, first.url, "Look at the table")
    if broken:
        text = f"Look at the DMS task {task}: resume it where it stopped, or reload the table that is in error."
    else:
        text = f"Look at the DMS task {task} and what it waits for: the source, the network, or the warehouse."
    return Recommended(text, first.url, "Look at the table")


# --- heartbeats ------------------------------------------------------------------------------------------------------


def of_writers(rows: Iterable[TableRow]) -> Report:
    """Sources at which no heartbeat is written: their tables are not late, nothing of them can be proven."""
    by_source: dict[str, list[TableRow]] = {}
    for row in rows:
        if row.nine == Nine.WRITER_DOWN:
            by_source.setdefault(row.source, []).append(row)
    return Report(tuple(_writer(source, tables) for source, tables in sorted(by_source.items())))


def _writer(source: str, rows: list[TableRow]) -> Finding:
    rows = sorted(rows, key=lambda row: row.name)
    return Finding(
        key=f"freshness.writer:{source}",
        detector="heartbeat-writer-down",
        severity=Severity.ERROR,
        title=f"Heartbeats are not written at {source}",
        sentence=rows[0].reason,
        target=f"freshness/{source}",
        url=URL,
        facts=(Fact("Tables", f"{len(rows)} can't be proven complete", "unknown"),),
        impact=tuple(row.name for row in rows[:NAMED]),
        recommended=Recommended(
            f"Look why the console can't write its heartbeat at {source}.", URL, "Look at freshness"
        ),
        causes=("console.blind:source",),
        after_s=30.0,
    )


# --- cutoffs ---------------------------------------------------------------------------------------------------------


def of_cutoffs(waiting: Iterable[CutoffRow], tables: Mapping[str, TableSnapshot], now: datetime) -> Report:
    """Cutoffs that will be missed, with no more time left than a repair takes, or that were; a finding per task."""
    by_task: dict[str, list[tuple[CutoffRow, TableSnapshot, str]]] = {}
    unknown: set[str] = set()
    for cutoff in waiting:
        row = tables.get(cutoff.table)
        if row is None or not row.followed:
            continue
        why = _missing(cutoff, row, now)
        if why is None:
            unknown.add(row.task)
        elif why:
            by_task.setdefault(row.task, []).append((cutoff, row, why))
    found = tuple(_at_risk(task, cutoffs, now) for task, cutoffs in sorted(by_task.items()))
    return Report(found, frozenset(f"freshness.cutoff:{task}" for task in unknown - set(by_task)))


def _missing(cutoff: CutoffRow, row: TableSnapshot, now: datetime) -> str | None:
    """Why the cutoff will not be met, as a clause; "" when it will; None when that can't be said."""
    by = f"complete to {cutoff.at:%d %b %H:%M} by {cutoff.deadline:%H:%M} UTC"
    if row.nine == Nine.UNKNOWN:
        return None
    if cutoff.deadline < now:
        return f"was not {by}, and is not yet"
    if row.nine in STANDING:
        return f"will not be {by}: {row.reason.rstrip('.')}"
    if row.row_at is None:
        return None
    arrives = eta(row.row_at, cutoff.at, row.speed, now)
    if arrives is not None and arrives <= cutoff.deadline:
        return ""
    when = f"at about {arrives:%H:%M} UTC" if arrives is not None else "never"
    return f"will not be {by}: at this speed {when}"


def _at_risk(task: str, found: list[tuple[CutoffRow, TableSnapshot, str]], now: datetime) -> Finding:
    found = sorted(found, key=lambda one: (one[0].deadline, one[0].table))
    cutoff, row, why = found[0]
    missed = [one for one in found if one[0].deadline < now]
    names = list(dict.fromkeys(one[0].table for one in found))
    tables = count(len(names), "table")
    word = "missed" if missed else "at risk"
    dags = sorted({one[0].dag_id for one in found if one[0].dag_id})
    return Finding(
        key=f"freshness.cutoff:{task}",
        detector="cutoff-at-risk",
        severity=Severity.CRITICAL if missed else Severity.ERROR,
        title=f"{task}: the cutoff of {cutoff.at:%H:%M} UTC is {word} for {tables}",
        sentence=f"{row.name} {why}.",
        target=f"freshness/{task}",
        url=f"{URL}{row.name}/",
        facts=(
            Fact("Deadline", f"{cutoff.deadline:%d %b %H:%M} UTC", "failing" if missed else "degraded"),
            *(Fact(one[0].table, one[2], "failing" if one[0].deadline < now else "degraded") for one in found[:SHOWN]),
        ),
        impact=(*names[:NAMED], *(f"DAG {dag}" for dag in dags[:20])),
        series=tuple(lag_series(name) for name in names[:3]),
        recommended=Recommended(
            f"Look at what holds {row.name} up; tell those who wait for {cutoff.at:%H:%M} UTC.",
            f"{URL}{row.name}/",
            "Look at the table",
        ),
        causes=(_key(task), f"freshness.writer:{row.source}"),
    )

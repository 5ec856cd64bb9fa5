"""What is wrong with the data, for the incidents: one finding per DMS task, its tables as the impact."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from console.freshness.models import TableSnapshot
from console.freshness.pages import lag_series
from console.freshness.rows import URL, TableRow, look, table_row
from console.freshness.rules import Word
from console.incidents.findings import Fact, Finding, Recommended, Report, Severity
from console.lib.status import Status
from console.lib.words import count, duration

NAMED = 200
"""So many tables are named as impact."""
SHOWN = 5
MILD_S = 600.0
"""What is degraded only must last so long before anybody is told."""
BROKEN = frozenset({Word.BROKEN, Word.INTERRUPTED})
_ORDER = {Status.FAILING: 0, Status.DEGRADED: 1}


def findings(now: datetime) -> Report:
    """Three queries, however many tables."""
    view = look(now)
    if view.blind:
        return Report((), frozenset({"freshness."}))
    rows = [table_row(row, view) for row in TableSnapshot.objects.exclude(status=Status.HEALTHY)]
    return of_tables(rows)


def of_tables(rows: Iterable[TableRow]) -> Report:
    """A finding per task; of a task whose tables are unknown and none is late, nothing can be said."""
    by_task: dict[str, list[TableRow]] = {}
    unknown: set[str] = set()
    for row in rows:
        if row.status in _ORDER and row.word != Word.LOADING:
            by_task.setdefault(row.task, []).append(row)
        else:
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
    if broken:
        text = f"Look at the DMS task {task}: resume it where it stopped, or reload the table that is in error."
    else:
        text = f"Look at the DMS task {task} and what it waits for: the source, the network, or the warehouse."
    return Recommended(text, first.url, "Look at the table")

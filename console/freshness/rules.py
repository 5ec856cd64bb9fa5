"""How far behind its source a warehouse table is, as far as that can be said without a proven watermark. Pure.

Two things are looked at. DMS' own latency (the age of the oldest change that its task has not applied), and evidence:
the newest stamp at either side. Neither proves that a table is complete, and nothing here says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from console.lib.status import Status
from console.lib.words import duration

LATENCY_LIMIT_S = 180.0
"""CloudWatch's points come each minute, a minute or two late; one whose minute ended longer ago says nothing of now."""
PERIOD_S = 60.0

STOPPED = {"stopped", "failed", "failed-move", "deleting"}
RUNNING = "running"
BROKEN_STATES = {"table error", "table cancelled", "table does not exist"}
LOADING_STATES = {"before load", "full load", "table is being reloaded"}


class Word(StrEnum):
    """The verdicts, worst first as they are tried."""

    UNKNOWN = "unknown"
    BROKEN = "broken"
    LOADING = "loading"
    BREACHED = "breached"
    INTERRUPTED = "interrupted"
    LAGGING = "lagging"
    FRESH = "fresh"


STATUS = {
    Word.UNKNOWN: Status.UNKNOWN,
    Word.BROKEN: Status.FAILING,
    Word.LOADING: Status.DEGRADED,
    Word.BREACHED: Status.FAILING,
    Word.INTERRUPTED: Status.DEGRADED,
    Word.LAGGING: Status.DEGRADED,
    Word.FRESH: Status.HEALTHY,
}


@dataclass(frozen=True)
class TaskFacts:
    """A DMS task. Latencies are CloudWatch's newest points, taken at `measured_at`."""

    identifier: str
    status: str | None  # None: DMS has no such task
    stop_reason: str = ""
    failure: str = ""
    source_latency_s: float | None = None
    target_latency_s: float | None = None
    measured_at: datetime | None = None
    statistics_error: str = ""  # why its table statistics could not be read; "" when they could


@dataclass(frozen=True)
class Side:
    """The newest stamp of a table at its source or in the warehouse."""

    seen_at: datetime | None = None  # when that table was read (the console's clock); None: never, or too long ago
    blind: str = ""  # why it was not, as a sentence's second half
    missing: bool = False
    newest_at: datetime | None = None  # None with `seen_at`: the table is empty


@dataclass(frozen=True)
class TableFacts:
    """One declared table and everything that was read of it."""

    name: str
    source: str
    warehouse: str
    slo_s: float
    task: TaskFacts
    state: str | None  # DMS' table state; None: its statistics don't have this table
    origin: Side
    arrived: Side
    caught_up_at: datetime | None  # see `CaughtUp`
    clock_ahead_s: float = 0.0  # the source's clock less the console's


@dataclass(frozen=True)
class Verdict:
    """`lag_s`: how far behind it is at most, None when nothing can be said. `reason` is one sentence."""

    word: Word
    reason: str
    lag_s: float | None

    @property
    def status(self) -> Status:
        return STATUS[self.word]


# --- Lag -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CaughtUp:
    """Whether the source is ahead (None: never compared), and up to when the warehouse was last seen to have all of it.

    `at` is on the source's clock: the moment of a source reading whose newest stamp was in the warehouse. It is kept
    only while the table is behind (otherwise it is the newest reading's own moment); None: never seen caught up.
    """

    behind: bool | None
    at: datetime | None


def caught_up(
    before: CaughtUp,
    origin_newest_at: datetime | None,
    arrived_newest_at: datetime | None,
    last_level_at: datetime | None,
) -> CaughtUp:
    """Compare both sides after either was read.

    `last_level_at`: the source's moment at which a table that was level until now was last seen so.
    """
    if origin_newest_at is None or (arrived_newest_at is not None and arrived_newest_at >= origin_newest_at):
        return CaughtUp(False, None)
    if before.behind:
        return before
    return CaughtUp(True, None if before.behind is None else last_level_at)


def latency_s(task: TaskFacts, now: datetime) -> float | None:
    """DMS' latency up to the target (it includes the reading's), or None when its newest point is too old."""
    if task.target_latency_s is None or task.measured_at is None:
        return None
    age_s = (now - task.measured_at).total_seconds() - PERIOD_S
    return task.target_latency_s if age_s <= LATENCY_LIMIT_S else None


def evidence_s(table: TableFacts) -> float | None:
    """How long the oldest row that is still missing can have been missing, judged by the newest stamps.

    Everything up to the warehouse's newest stamp, or up to when it was last level, is taken to have arrived. The plain
    difference of the newest stamps would stand still when the source does, and jump by hours when one row is written
    to a quiet table. 0 when the source is not ahead; None when that can't be said.
    """
    if table.origin.seen_at is None or table.arrived.seen_at is None or table.origin.missing or table.arrived.missing:
        return None
    source, warehouse = table.origin.newest_at, table.arrived.newest_at
    if source is None or (warehouse is not None and warehouse >= source):
        return 0.0
    reached = max((at for at in (warehouse, table.caught_up_at) if at is not None), default=None)
    if reached is None:
        return None
    read_at = table.arrived.seen_at + timedelta(seconds=table.clock_ahead_s)
    return max(0.0, (read_at - reached).total_seconds())


# --- Verdict -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Case:
    table: TableFacts
    now: datetime
    blind: str
    latency_s: float | None
    evidence_s: float | None

    @property
    def lag_s(self) -> float | None:
        return max((lag for lag in (self.latency_s, self.evidence_s) if lag is not None), default=None)

    def says(self, word: Word, reason: str) -> Verdict:
        if word == Word.UNKNOWN:
            return Verdict(word, reason, None)
        if word in (Word.BROKEN, Word.LOADING, Word.INTERRUPTED):
            # DMS' latency is its task's: it says nothing of a table that is left out, nor of a task that stands still.
            return Verdict(word, reason, self.evidence_s or None)
        return Verdict(word, reason, self.lag_s)


def _unseen(case: _Case) -> Verdict | None:
    return case.says(Word.UNKNOWN, case.blind) if case.blind else None


def _task_broken(case: _Case) -> Verdict | None:
    task = case.table.task
    if task.status is None:
        return case.says(Word.BROKEN, f"AWS DMS has no task called {task.identifier}.")
    if task.status.lower() not in STOPPED:
        return None
    why = task.failure or task.stop_reason
    reason = f"The DMS task {task.identifier} is {task.status}{f' ({why})' if why else ''}: nothing is replicated."
    return case.says(Word.BROKEN, reason)


def _table_broken(case: _Case) -> Verdict | None:
    table, task = case.table, case.table.task
    if table.arrived.seen_at is not None and table.arrived.missing:
        return case.says(Word.BROKEN, f"{table.warehouse} is not in the warehouse.")
    if table.origin.seen_at is not None and table.origin.missing:
        return case.says(Word.BROKEN, f"The source {table.source} has no such table.")
    if table.state is None:
        if task.statistics_error or task.status != RUNNING:
            return None
        return case.says(Word.BROKEN, f"The DMS task {task.identifier} does not replicate it.")
    if table.state.lower() in BROKEN_STATES:
        return case.says(Word.BROKEN, f"DMS' task {task.identifier} says of it: {table.state}.")
    return None


def _loading(case: _Case) -> Verdict | None:
    if case.table.state is None or case.table.state.lower() not in LOADING_STATES:
        return None
    return case.says(Word.LOADING, f"DMS' state is “{case.table.state}”: what is in the warehouse is in part or old.")


def _nothing_arrived(case: _Case) -> Verdict | None:
    table = case.table
    both_seen = table.origin.seen_at is not None and table.arrived.seen_at is not None
    if not both_seen or table.origin.newest_at is None or table.arrived.newest_at is not None:
        return None
    if case.evidence_s is not None:  # it was level once, when the source was empty too: then its lag is known
        return None
    return case.says(Word.BROKEN, f"The source has rows, {table.warehouse} has none.")


def _breached(case: _Case) -> Verdict | None:
    lag_s, slo_s = case.lag_s, case.table.slo_s
    if lag_s is None or lag_s <= slo_s:
        return None
    return case.says(Word.BREACHED, f"{duration(lag_s)} behind, the SLO is {duration(slo_s)}: {_basis(case)}.")


def _interrupted(case: _Case) -> Verdict | None:
    task = case.table.task
    if task.status == RUNNING:
        return None
    return case.says(Word.INTERRUPTED, f"The DMS task {task.identifier} is {task.status}: nothing is replicated now.")


def _unmeasured(case: _Case) -> Verdict | None:
    task, origin = case.table.task, case.table.origin
    if task.statistics_error:
        return case.says(
            Word.UNKNOWN, f"DMS' statistics of task {task.identifier} can't be read: {task.statistics_error}."
        )
    if case.latency_s is None:
        when = f"since {task.measured_at:%H:%M} UTC" if task.measured_at else "at all"
        reason = f"CloudWatch has no latency of task {task.identifier} {when}: how far behind it is can't be said."
        return case.says(Word.UNKNOWN, reason)
    if origin.seen_at is None:
        reason = f"The source {case.table.source} can't be read, so what is missing can't be seen: {origin.blind}."
        return case.says(Word.UNKNOWN, reason)
    if case.table.arrived.seen_at is None:
        reason = f"{case.table.warehouse} can't be read in the warehouse: {case.table.arrived.blind}."
        return case.says(Word.UNKNOWN, reason)
    return None


def _lagging(case: _Case) -> Verdict | None:
    lag_s, slo_s = case.lag_s, case.table.slo_s
    if lag_s is None or lag_s <= slo_s / 2:
        return None
    reason = f"{duration(lag_s)} behind, more than half of its SLO of {duration(slo_s)}: {_basis(case)}."
    return case.says(Word.LAGGING, reason)


def _fresh(case: _Case) -> Verdict:
    level = "; the source's newest row has arrived" if case.evidence_s == 0 else ""
    reason = f"At most {duration(case.lag_s)} behind, the SLO is {duration(case.table.slo_s)}{level}."
    return case.says(Word.FRESH, reason)


def _basis(case: _Case) -> str:
    if case.evidence_s is not None and case.evidence_s == case.lag_s:
        return "the source has rows that have not arrived"
    return "the oldest change that DMS has not applied is as old"


RULES: tuple[Callable[[_Case], Verdict | None], ...] = (
    _unseen,
    _task_broken,
    _table_broken,
    _loading,
    _nothing_arrived,
    _breached,
    _interrupted,
    _unmeasured,
    _lagging,
    _fresh,
)
"""The first that matches."""


def verdict(table: TableFacts, blind: str, now: datetime) -> Verdict:
    """What is concluded from a table's readings; `blind` says why DMS or the warehouse can't be seen ("": they can)."""
    case = _Case(table, now, blind, latency_s(table.task, now), evidence_s(table))
    for rule in RULES:
        found = rule(case)
        if found is not None:
            return found
    raise AssertionError("the last rule always matches")


def blindness(replication: str, warehouse: str) -> str:
    """One sentence for what every table depends on; "" when both can be seen. Each is why it can't be, or ""."""
    if replication and warehouse:
        return f"Neither DMS nor the warehouse can be seen: {replication}; {warehouse}."
    if replication:
        return f"The DMS tasks can't be seen: {replication}."
    if warehouse:
        return f"The warehouse can't be seen: {warehouse}."
    return ""

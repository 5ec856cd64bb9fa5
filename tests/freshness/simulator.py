"""A source, DMS and a warehouse that misbehave as the assumptions of `console.freshness.watermark` allow.

Times are seconds since the beginning; the source's clock may step. What a poll could see and what the warehouse then
held is in `Moment`; what the source ever committed is in `World.rows`, so that a claim can be held against the truth.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from console.freshness.watermark import Beat, Condition, Mark

ZERO = datetime(2026, 11, 22, tzinfo=UTC)
END_S = 320.0
QUIET_S = 240.0  # no transaction begins after this, so that all are over at the end
BEAT_S = 10.0
JITTER_S = 1.0
MARK_S = 0.3
TABLES = {"a": (0,), "b": (1,), "c": (0, 1)}
"""Which tasks replicate each table; the rows of `c` are shared between both by their ids."""


@dataclass(frozen=True)
class Scenario:
    """What happens besides writing, batching and polling."""

    seed: int
    overlap: int = 0
    crash: bool = False
    reload: bool = False
    suspend: bool = False
    failover: bool = False
    two_phase: bool = False
    clock_step: bool = False
    missed: bool = False
    idle: bool = False


@dataclass(frozen=True)
class Row:
    id: int
    table: str
    stamp_at: datetime
    committed_at: datetime  # on the source's clock


@dataclass(frozen=True)
class Transaction:
    begin_s: float
    commit_s: float
    prepare_s: float | None
    xid_s: float  # when it first wrote
    rows: tuple[Row, ...]
    lost: bool  # committed, but forgotten by the failover
    aborted_s: float  # open (or prepared, and forgotten) when the source failed over; else infinite


@dataclass(frozen=True)
class Entry:
    """One commit in the source's log. `lost`: a failover forgot it, after DMS may have read it."""

    commit_s: float
    lost: bool
    rows: tuple[Row, ...] = ()
    beat: Beat | None = None


@dataclass(frozen=True)
class Moment:
    """A poll: what it saw (by task), what the warehouse held at that moment (row ids by table)."""

    at_s: float
    beats: tuple[Beat | None, ...]
    runs: tuple[str, ...]
    source: Beat | None
    mark: Mark | None  # the transaction id that the writer took a moment before that beat
    conditions: dict[str, Condition]
    held: dict[str, frozenset[int]]


@dataclass
class Incident:
    """What befalls one table or all."""

    failover_s: float | None = None
    tail_s: float = 0.0
    table: str = ""
    suspend_s: float | None = None
    reload_s: float | None = None
    reload_end_s: float | None = None
    snapshot_s: float = 0.0
    skew_s: float = 0.0


@dataclass
class World:
    scenario: Scenario
    rows: tuple[Row, ...] = ()
    moments: list[Moment] = field(default_factory=list)
    attest_s: float | None = None


def simulate(scenario: Scenario) -> World:
    return _Simulation(scenario).run()


class _Simulation:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.random = random.Random(scenario.seed)
        self.step_s = self.random.uniform(60, 200)
        self.step = self.random.choice([-1.0, -0.5, 5.0]) if scenario.clock_step else 0.0
        self.incident = self._incident()

    def run(self) -> World:
        world = World(self.scenario)
        log = self._log()
        world.rows = tuple(row for entry in log if not entry.lost for row in entry.rows)
        changes = [self._task(number, log) for number in range(2)]
        if self.incident.failover_s is not None:
            world.attest_s = self.incident.failover_s + self.random.uniform(15, 50)
        world.moments = list(self._polls(log, changes))
        return world

    # --- The source ---

    def clock(self, at_s: float) -> datetime:
        return ZERO + timedelta(seconds=at_s + (self.step if at_s >= self.step_s else 0.0))

    def _incident(self) -> Incident:
        found, pick = Incident(), self.random
        if self.scenario.failover:
            found.failover_s, found.tail_s = pick.uniform(60, 200), pick.uniform(0, 15)
        found.table = pick.choice(list(TABLES))
        found.skew_s = pick.uniform(-2, 2)
        if self.scenario.suspend:
            found.suspend_s = pick.uniform(30, 150)
        if self.scenario.reload:
            found.reload_s = (found.suspend_s or 30) + pick.uniform(5, 60)
            found.reload_end_s = found.reload_s + pick.uniform(2, 80)
            found.snapshot_s = pick.uniform(found.reload_s, found.reload_end_s)
        return found

    def _transactions(self) -> list[Transaction]:
        pick, found = self.random, []
        last_s = 20.0 if self.scenario.idle else QUIET_S
        ids = iter(range(10**6))
        for _ in range(70):
            begin_s = pick.uniform(0, last_s)
            long = pick.random() < 0.15
            lasts_s = pick.uniform(10, 70) if long else pick.expovariate(0.7) + 0.02
            commit_s = begin_s + lasts_s
            xid_s = begin_s + lasts_s * (0.9 * pick.random())
            prepare_s = None
            if self.scenario.two_phase and (long or pick.random() < 0.1):
                prepare_s = pick.uniform(xid_s, commit_s)
                if pick.random() < 0.3:  # between a beat's two looks, at sessions and at prepared transactions
                    prepare_s = (prepare_s // BEAT_S) * BEAT_S + 0.002
                    prepare_s = prepare_s if xid_s < prepare_s < commit_s else (xid_s + commit_s) / 2
            rows = []
            for _ in range(pick.randint(1, 3)):
                written_s = begin_s if pick.random() < 0.7 else pick.uniform(begin_s, commit_s)
                late_s = pick.uniform(0, JITTER_S) if pick.random() < 0.3 else 0.0
                stamp_at = self.clock(written_s) - timedelta(seconds=late_s)
                rows.append(Row(next(ids), pick.choice(list(TABLES)), stamp_at, self.clock(commit_s)))
            fate = self._fate(begin_s, commit_s, prepare_s)
            found.append(Transaction(begin_s, commit_s, prepare_s, xid_s, tuple(rows), *fate))
        return found

    def _fate(self, begin_s: float, commit_s: float, prepare_s: float | None) -> tuple[bool, float]:
        """What the failover does to a transaction: whether its commit is forgotten, and when it is aborted."""
        failover_s = self.incident.failover_s
        if failover_s is None or begin_s > failover_s:
            return False, math.inf
        kept_s = failover_s - self.incident.tail_s
        if commit_s <= failover_s:
            return commit_s > kept_s, math.inf
        survives = prepare_s is not None and prepare_s <= kept_s
        return False, math.inf if survives else failover_s

    def _log(self) -> list[Entry]:
        """Every commit, in order; the heartbeat's writer begins a new epoch after a failover."""
        failover_s, tail_s = self.incident.failover_s or math.inf, self.incident.tail_s
        transactions = self._transactions()
        entries = [
            Entry(each.commit_s, each.lost, rows=each.rows) for each in transactions if each.commit_s < each.aborted_s
        ]
        epoch, seq, kept_seq, at_s = 1, 0, 0, 1.0
        while at_s < END_S:
            lost = failover_s - tail_s < at_s + 0.01 <= failover_s
            if at_s > failover_s and epoch == 1:
                epoch, seq = 2, kept_seq
            seq += 1
            if not lost:
                kept_seq = seq
            if not at_s <= failover_s < at_s + 0.01:
                entries.append(Entry(at_s + 0.01, lost, beat=self._beat(epoch, seq, at_s, transactions)))
            at_s = (at_s // BEAT_S + 1) * BEAT_S
        return sorted(entries, key=lambda entry: entry.commit_s)

    def _beat(self, epoch: int, seq: int, at_s: float, transactions: list[Transaction]) -> Beat:
        later_s = at_s + 0.004
        alive = [each for each in transactions if at_s < each.aborted_s]
        sessions = [each for each in alive if each.begin_s <= at_s < (each.prepare_s or each.commit_s)]
        prepared = [each for each in alive if each.prepare_s and each.prepare_s <= later_s < each.commit_s]
        running = [each.xid_s for each in alive if each.xid_s <= at_s < each.commit_s]
        return Beat(
            epoch=epoch,
            seq=seq,
            beat_at=self.clock(at_s),
            row_safe_before=min([self.clock(each.begin_s) for each in sessions] + [self.clock(at_s)]),
            prepared_count=len(prepared),
            own_xid=_xid(at_s),
            xmin=min([_xid(each) for each in running] + [_xid(at_s)]),
        )

    # --- A DMS task ---

    def _task(self, task: int, log: list[Entry]) -> _Changes:
        """Batch after batch, with its crashes; what it changed in the warehouse, and when."""
        pick, found = self.random, _Changes()
        stops = [self.incident.failover_s] if self.incident.failover_s is not None else []
        if self.scenario.crash:
            stops += [pick.uniform(30, 250) for _ in range(pick.randint(1, 3))]
        position, begin_s = 0, 2.0
        for run, stop_s in enumerate([*sorted(stops), END_S], start=1):
            position = self._run(task, log, found, position, begin_s, stop_s)
            begin_s = stop_s + pick.uniform(0.5, 15)
            if stop_s < END_S:
                found.runs.append((stop_s, f"run {run}"))
        return found

    def _run(self, task: int, log: list[Entry], found: _Changes, position: int, now_s: float, stop_s: float) -> int:
        """Batches until it stops; where the next run begins: at the first batch that was not over, or before it."""
        pick = self.random
        failed_over = self.incident.failover_s is not None and now_s > self.incident.failover_s
        starts, ends = [position], [now_s]
        while now_s < stop_s:
            due = 0
            while position + due < len(log) and log[position + due].commit_s <= now_s:
                due += 1
            if not due:
                now_s += pick.uniform(0.5, 3)
                continue
            cut = due if pick.random() < 0.7 else pick.randint(1, due)
            batch = [entry for entry in log[position : position + cut] if not (failed_over and entry.lost)]
            end_s = now_s + (pick.uniform(10, 30) if pick.random() < 0.25 else pick.uniform(0.5, 9))
            self._apply(task, batch, found, now_s, end_s, stop_s)
            position += cut
            starts.append(position)
            ends.append(end_s)
            # With overlap: beside the one before it, not beside the one before that.
            beside_s = max(ends[-2], now_s + pick.uniform(0.1, 4))
            now_s = beside_s if self.scenario.overlap else end_s + pick.uniform(0, 6)
        unfinished = next((index for index, end_s in enumerate(ends[1:]) if end_s > stop_s), len(ends) - 1)
        return starts[max(0, unfinished - pick.randint(0, 2))]

    def _apply(
        self, task: int, entries: list[Entry], found: _Changes, begin_s: float, end_s: float, stop_s: float
    ) -> None:
        """One batch: each table at a moment of its own; nothing after the task stopped."""
        pick, incident = self.random, self.incident
        beats = [entry.beat for entry in entries if entry.beat]
        if beats:
            found.beat(pick.uniform(begin_s, end_s), beats[-1], stop_s)
        for table, tasks in TABLES.items():
            if task not in tasks:
                continue
            rows = {
                row.id
                for entry in entries
                for row in entry.rows
                if row.table == table and tasks[row.id % len(tasks)] == task
            }
            at_s = pick.uniform(begin_s, end_s)
            if table != incident.table:
                found.rows(at_s, table, rows, stop_s)
                continue
            reload_s, reload_end_s = incident.reload_s, incident.reload_end_s
            if reload_end_s is not None and begin_s >= reload_end_s and found.cached:
                if found.rows(at_s, table, rows | found.cached, stop_s):
                    found.cached = set()
            elif (
                incident.suspend_s is not None and at_s >= incident.suspend_s and (reload_s is None or at_s < reload_s)
            ):
                pass  # suspended: its changes are lost
            elif reload_s is not None and reload_end_s is not None and reload_s <= at_s < reload_end_s:
                if at_s <= stop_s:
                    found.cached |= rows
            else:
                found.rows(at_s, table, rows, stop_s)

    # --- What is seen ---

    def _polls(self, log: list[Entry], changes: list[_Changes]) -> Iterator[Moment]:
        pick, incident = self.random, self.incident
        events = sorted(
            ((at_s, number, what) for number, each in enumerate(changes) for at_s, what in each.events),
            key=lambda event: event[0],
        )
        held: dict[str, set[int]] = {table: set() for table in TABLES}
        beats: list[Beat | None] = [None, None]
        reloaded = loaded = False
        at_s, index = 3.0, 0
        while at_s < END_S:
            while index < len(events) and events[index][0] <= at_s:
                event_s, task, what = events[index]
                if not reloaded and incident.reload_s is not None and event_s >= incident.reload_s:
                    held[incident.table], reloaded = set(), True
                if not loaded and incident.reload_end_s is not None and event_s >= incident.reload_end_s:
                    held[incident.table] |= self._snapshot(log)
                    loaded = True
                if what[0] == "beat":
                    beats[task] = what[2]
                else:
                    held[what[1]] |= what[2]
                index += 1
            if not reloaded and incident.reload_s is not None and at_s >= incident.reload_s:
                held[incident.table], reloaded = set(), True
            if not loaded and incident.reload_end_s is not None and at_s >= incident.reload_end_s:
                held[incident.table] |= self._snapshot(log)
                loaded = True
            if not (self.scenario.missed and pick.random() < 0.4):
                yield Moment(
                    at_s=at_s,
                    beats=tuple(beats),
                    runs=tuple(each.run_at(at_s) for each in changes),
                    source=self._source_beat(log, at_s),
                    mark=self._source_mark(log, at_s),
                    conditions={table: self._condition(table, at_s) for table in TABLES},
                    held={table: frozenset(rows) for table, rows in held.items()},
                )
            at_s += pick.uniform(2, 6)

    def _snapshot(self, log: list[Entry]) -> set[int]:
        """What the full load copied."""
        return {
            row.id
            for entry in log
            if entry.commit_s <= self.incident.snapshot_s
            for row in entry.rows
            if row.table == self.incident.table
        }

    def _source_beat(self, log: list[Entry], at_s: float) -> Beat | None:
        after = self.incident.failover_s is not None and at_s > self.incident.failover_s
        kept = (entry for entry in reversed(log) if not (after and entry.lost))
        return next((entry.beat for entry in kept if entry.beat and entry.commit_s <= at_s), None)

    def _source_mark(self, log: list[Entry], at_s: float) -> Mark | None:
        after = self.incident.failover_s is not None and at_s > self.incident.failover_s
        kept = (entry for entry in reversed(log) if not (after and entry.lost))
        found = next((entry for entry in kept if entry.beat and entry.commit_s <= at_s), None)
        if found is None:
            return None
        before_s = found.commit_s - 0.01 - MARK_S
        return Mark(_xid(before_s), self.clock(before_s))

    def _condition(self, table: str, at_s: float) -> Condition:
        incident = self.incident
        if table != incident.table:
            return Condition("Table completed")
        suspended_at = ended_at = None
        if incident.suspend_s is not None and at_s >= incident.suspend_s:
            suspended_at = ZERO + timedelta(seconds=incident.suspend_s + incident.skew_s)
        if incident.reload_s is not None and incident.reload_end_s is not None and at_s >= incident.reload_s:
            if at_s < incident.reload_end_s:
                return Condition("Table is being reloaded", None, suspended_at)
            ended_at = ZERO + timedelta(seconds=incident.reload_end_s + incident.skew_s)
        return Condition("Table completed", ended_at, suspended_at)


class _Changes:
    """What one task changed in the warehouse, and in which run it was when."""

    def __init__(self) -> None:
        self.events: list[tuple[float, tuple[str, str, object]]] = []
        self.runs: list[tuple[float, str]] = [(0.0, "run 0")]
        self.cached: set[int] = set()

    def beat(self, at_s: float, beat: Beat, stop_s: float) -> None:
        if at_s <= stop_s:
            self.events.append((at_s, ("beat", "", beat)))

    def rows(self, at_s: float, table: str, rows: set[int], stop_s: float) -> bool:
        if at_s <= stop_s:
            self.events.append((at_s, ("rows", table, rows)))
        return at_s <= stop_s

    def run_at(self, at_s: float) -> str:
        return [name for since_s, name in self.runs if since_s <= at_s][-1]


def _xid(at_s: float) -> int:
    """Transaction ids in the order in which they were given out."""
    return int(at_s * 1_000_000) + 1

"""The question thousands of sensors ask, answered from one indexed row per table; what was proven is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

from console.freshness.answers import Answer, Standing, Verdict, answer, estimate
from console.freshness.cutoffs import proof_values
from console.freshness.models import TaskSnapshot
from console.freshness.outlook import Nine
from console.freshness.rules import latency_s
from console.freshness.watermark import Basis, hold_back
from console.lib.words import duration
from console.platform.declared import declaration
from console.platform.rules import SourceState, sight
from console.platform.sources import ARRIVALS, REPLICATION

STALE_S = ARRIVALS.limit_s


class Row(NamedTuple):
    """What is remembered of a table, as far as the answer needs it: making models of them takes longer than reading."""

    name: str
    task: str
    also: str
    followed: bool
    nine: str
    tags: str
    reason: str
    commit_at: datetime | None
    row_at: datetime | None
    steady: bool
    held: str
    limiting: str
    era: str
    epoch: int | None
    proof_seq: int | None
    speed: float | None
    proved_at: datetime | None


class Untracked(Exception):
    """Tables that nobody declared."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


@dataclass(frozen=True)
class Question:
    key: str
    table: str
    cutoff: datetime


@dataclass(frozen=True)
class Told:
    """One answer with everything that explains it."""

    question: Question
    answer: Answer
    watermark: datetime | None
    lag_s: float | None
    limiting: Mapping[str, Any] | None
    epoch: int | None
    proof_id: str | None
    reasons: tuple[str, ...] = field(default=())


def _look(now: datetime) -> tuple[int, str]:
    """The newest generation; and why nothing new can be said of any table now, "" when DMS and the heartbeats were
    read of late. One query, before the tables are read: what is told is never older than its generation."""
    found = _fetched(_LOOK, [[REPLICATION.name, ARRIVALS.name]])
    states = {name: SourceState(*state) for _, name, *state in found if name is not None}
    sights = [sight(spec, states.get(spec.name, SourceState()), now) for spec in (REPLICATION, ARRIVALS)]
    unseen = next((one for one in sights if one.age_s is None or one.age_s > STALE_S), None)
    blind = f"{unseen.title} can't be seen: {unseen.reason or 'not read of late'}" if unseen else ""
    return int(found[0][0]), blind


def ask(
    questions: Sequence[Question], basis: Basis, now: datetime, *, estimates: bool = False, keep: bool = True
) -> tuple[int, tuple[Told, ...]]:
    """The newest generation, and each answer in order. Two queries, three when something is proven for the first time.

    `keep` False: nothing is written down. Raises Untracked.
    """
    number, blind = _look(now)
    tables = [question.table for question in questions]
    found = _fetched(_ROWS, [tables, [question.cutoff for question in questions], basis.value])
    untracked = sorted({table for table, (name, *_) in zip(tables, found, strict=True) if name is None})
    if untracked:
        raise Untracked(untracked)
    guesses = _estimates() if estimates else {}
    told: list[Told] = []
    fresh: dict[tuple[str, datetime], dict[str, Any]] = {}
    shared = _Shared(blind, now)
    for question, values in zip(questions, found, strict=True):
        row, proof_id = Row._make(values[:-1]), values[-1]
        watermark = row.row_at if basis == Basis.ROW else row.commit_at
        guess = guesses.get(row.task) if not row.also else None
        answered = shared.answer(row, watermark, guess, question.cutoff, proof_id is not None)
        if answered.verdict == Verdict.COMPLETE and answered.estimated:
            proof_id = f"estimated:{row.task}"
        elif answered.verdict == Verdict.COMPLETE and proof_id is None:
            proof = fresh.setdefault((row.name, question.cutoff), proof_values(row, question.cutoff, basis, now))
            proof_id = str(proof["proof_id"])
        told.append(
            Told(
                question=question,
                answer=answered,
                watermark=watermark,
                lag_s=None if watermark is None or blind else round(max(0.0, (now - watermark).total_seconds()), 1),
                limiting=_limiting(row.limiting),
                epoch=row.epoch,
                proof_id=proof_id,
                reasons=shared.reasons(answered, row),
            )
        )
    if fresh and keep:
        _keep(list(fresh.values()), basis, now)
    return number, tuple(told)


class _Shared:
    """Most of a hundred tables stand alike, and are asked about the same moment: worked out once for all of those."""

    def __init__(self, blind: str, now: datetime) -> None:
        self._blind, self._now = blind, now
        self._answers: dict[tuple[Any, ...], Answer] = {}
        self._reasons: dict[tuple[Any, ...], tuple[str, ...]] = {}

    def answer(
        self, row: Row, watermark: datetime | None, guess: datetime | None, cutoff: datetime, proven: bool
    ) -> Answer:
        key = (row.nine, watermark, row.steady, row.followed, row.speed, guess, cutoff, proven)
        if key not in self._answers:
            standing = Standing(
                nine=Nine(row.nine) if row.nine else Nine.UNKNOWN,
                watermark=watermark,
                steady=row.steady,
                followed=row.followed,
                speed=row.speed,
                blind=self._blind,
                estimate=guess,
            )
            self._answers[key] = answer(standing, cutoff, self._now, proven=proven)
        return self._answers[key]

    def reasons(self, found: Answer, row: Row) -> tuple[str, ...]:
        key = (found.verdict, found.estimated, row.task, row.also, row.tags, row.followed, row.reason, row.held)
        if key not in self._reasons:
            self._reasons[key] = _reasons(found, row, self._blind)
        return self._reasons[key]


# Written out: with a hundred names Django takes longer to build these than PostgreSQL to answer.
_LOOK = (
    "SELECT g.number, s.name, s.as_of, s.attempted_at, s.failing_since, s.error, s.remedy"
    " FROM (SELECT coalesce(max(number), 0) AS number FROM freshness_published) AS g"
    " LEFT JOIN platform_source AS s ON s.name = ANY(%s)"
)
# A proof counts in the table's present era, and while it is not revoked: read in one snapshot with the table.
_ROWS = (
    f"SELECT {', '.join(f't.{name}' for name in Row._fields)}, p.proof_id"  # noqa: S608 - the model's own names
    " FROM unnest(%s::text[], %s::timestamptz[]) WITH ORDINALITY AS asked(name, cutoff, place)"
    " LEFT JOIN freshness_tablesnapshot AS t ON t.name = asked.name"
    ' LEFT JOIN freshness_proof AS p ON p."table" = t.name AND p.cutoff = asked.cutoff AND p.basis = %s'
    " AND p.era = t.era AND p.revoked_at IS NULL"
    " ORDER BY asked.place"
)
_KEEP = (
    'INSERT INTO freshness_proof ("table", era, basis, cutoff, proof_id, watermark, epoch, at)'
    " SELECT kept.name, kept.era, %s, kept.cutoff, kept.proof_id, kept.watermark, kept.epoch, %s"
    " FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[], %s::int[])"
    " AS kept(name, era, cutoff, proof_id, watermark, epoch) ON CONFLICT DO NOTHING"
)


def _keep(proofs: Sequence[Mapping[str, Any]], basis: Basis, now: datetime) -> None:
    columns = ("table", "era", "cutoff", "proof_id", "watermark", "epoch")
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [basis.value, now, *([proof[column] for proof in proofs] for column in columns)])


def _fetched(query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())


def _estimates() -> dict[str, datetime]:
    """By DMS' latency, of the tasks that run; only for those who ask for it. One query."""
    found = {}
    for task in TaskSnapshot.objects.all():
        seconds = latency_s(task.facts(), task.as_of)
        guess = estimate(task.measured_at, seconds) if task.status == "running" else None
        if guess is not None:
            found[task.name] = guess
    return found


@lru_cache(maxsize=1000)
def _limiting(text: str) -> Mapping[str, Any] | None:
    """Many tables wait for the same."""
    return json.loads(text) if text else None


def _reasons(found: Answer, row: Row, blind: str) -> tuple[str, ...]:
    overlap = max(
        (task.overlap for task in declaration().tasks if task.name == row.task or task.name in row.also.split()),
        default=0,
    )
    reasons = [f"hold_back={hold_back(overlap)}"]
    if overlap:
        reasons.append("unverified: batches overlap")
    if found.estimated:
        reasons.append("estimated from DMS' latency: no proof")
    if row.tags and not blind:
        reasons += row.tags.split()
    if found.verdict != Verdict.COMPLETE:
        missing = "" if row.followed else "No heartbeats are written for it: nothing can be proven."
        reasons.append(f"{blind}." if blind else missing or row.reason)
        if row.held and not blind:
            reasons.append(f"held: {row.held}")
    return tuple(reasons)


def sentence(told: Told, now: datetime) -> str:
    """The answer in words, for the page."""
    cutoff = f"{told.question.cutoff:%d %b %Y %H:%M} UTC"
    match told.answer.verdict:
        case Verdict.COMPLETE if told.answer.estimated:
            return f"Probably: by DMS' own latency {told.question.table} is complete to {cutoff}. That is no proof."
        case Verdict.COMPLETE:
            return f"Yes: {told.question.table} is proven complete to {cutoff}."
        case Verdict.BLOCKED:
            return f"No, and not before somebody acts: {told.reasons[-1]}"
        case Verdict.UNKNOWN:
            return f"That can't be said now. {told.reasons[-1]}"
    reached = f"it is complete to {told.watermark:%d %b %H:%M:%S} UTC" if told.watermark else "nothing is proven of it"
    expected = told.answer.eta
    when = (
        f" Expected yes at {expected:%H:%M:%S} UTC, in {duration((expected - now).total_seconds())}."
        if expected
        else ""
    )
    return f"Not yet: {reached}.{when}"

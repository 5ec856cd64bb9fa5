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
from console.freshness.models import TaskSnapshot, generation
from console.freshness.outlook import Nine
from console.freshness.rules import latency_s
from console.freshness.watermark import Basis, hold_back
from console.lib.words import duration
from console.platform.declared import declaration
from console.platform.models import Source
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


def blindness(now: datetime) -> str:
    """Why nothing new can be said of any table now; "" when DMS and the heartbeats were read of late. One query."""
    sights = Source.objects.sights(now, [REPLICATION, ARRIVALS])
    unseen = next((sight for sight in sights.values() if sight.age_s is None or sight.age_s > STALE_S), None)
    return f"{unseen.title} can't be seen: {unseen.reason or 'not read of late'}" if unseen else ""


def ask(
    questions: Sequence[Question], basis: Basis, now: datetime, *, estimates: bool = False, keep: bool = True
) -> tuple[int, tuple[Told, ...]]:
    """The newest generation, and each answer in order. Four queries, five when something is proven for the first time.

    `keep` False: nothing is written down. Raises Untracked.
    """
    number = generation()
    blind = blindness(now)
    names = {question.table for question in questions}
    rows = {row.name: row for row in map(Row._make, _fetched(_ROWS, [list(names)]))}
    untracked = sorted(names - set(rows))
    if untracked:
        raise Untracked(untracked)
    kept = _kept(questions, rows, basis)
    guesses = _estimates() if estimates else {}
    told, fresh = [], []
    for question in questions:
        row = rows[question.table]
        watermark = row.row_at if basis == Basis.ROW else row.commit_at
        standing = Standing(
            nine=Nine(row.nine) if row.nine else Nine.UNKNOWN,
            watermark=watermark,
            steady=row.steady,
            followed=row.followed,
            speed=row.speed,
            blind=blind,
            estimate=guesses.get(row.task) if not row.also else None,
        )
        proof_id = kept.get((row.name, question.cutoff))
        found = answer(standing, question.cutoff, now, proven=proof_id is not None)
        if found.verdict == Verdict.COMPLETE and found.estimated:
            proof_id = f"estimated:{row.task}"
        elif found.verdict == Verdict.COMPLETE and proof_id is None:
            proof = proof_values(row, question.cutoff, basis, now)
            proof_id = str(proof["proof_id"])
            kept[row.name, question.cutoff] = proof_id
            fresh.append(proof)
        told.append(_told(question, found, row, watermark, blind, proof_id, now))
    if fresh and keep:
        _keep(fresh)
    return number, tuple(told)


def _kept(questions: Sequence[Question], rows: Mapping[str, Row], basis: Basis) -> dict[tuple[str, datetime], str]:
    """What was proven before in the tables' present eras, and not revoked. One query."""
    cutoffs = list({question.cutoff for question in questions})
    return {
        (table, cutoff): proof_id
        for table, cutoff, era, proof_id in _fetched(_KEPT, [list(rows), cutoffs, basis.value])
        if rows[table].era == era
    }


# Written out: with a hundred names Django takes longer to build these than PostgreSQL to answer.
_ROWS = f"SELECT {', '.join(Row._fields)} FROM freshness_tablesnapshot WHERE name = ANY(%s)"  # noqa: S608
_KEPT = (
    'SELECT "table", cutoff, era, proof_id FROM freshness_proof'
    ' WHERE "table" = ANY(%s) AND cutoff = ANY(%s::timestamptz[]) AND basis = %s AND revoked_at IS NULL'
)


_KEEP = (
    'INSERT INTO freshness_proof ("table", era, basis, cutoff, proof_id, watermark, epoch, at)'
    " SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::timestamptz[],"
    " %s::int[], %s::timestamptz[]) ON CONFLICT DO NOTHING"
)


def _keep(proofs: Sequence[Mapping[str, Any]]) -> None:
    columns = ("table", "era", "basis", "cutoff", "proof_id", "watermark", "epoch", "at")
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [[proof[column] for proof in proofs] for column in columns])


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


def _told(
    question: Question,
    found: Answer,
    row: Row,
    watermark: datetime | None,
    blind: str,
    proof_id: str | None,
    now: datetime,
) -> Told:
    return Told(
        question=question,
        answer=found,
        watermark=watermark,
        lag_s=None if watermark is None or blind else round(max(0.0, (now - watermark).total_seconds()), 1),
        limiting=_limiting(row.limiting),
        epoch=row.epoch,
        proof_id=proof_id,
        reasons=_reasons(found, row, blind),
    )


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

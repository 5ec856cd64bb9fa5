"""Up to when a warehouse table is proven complete. Pure.

The console updates one heartbeat row at the source every few seconds. DMS carries it to the warehouse in commit order
with everything else, so a beat that is seen there proves what was committed before it, under these assumptions:

1. A task reads its source's changes in commit order and applies them in batches; all changes of a batch have been
   applied when a later batch but `overlap` begins (0: one batch at a time).
2. Inside a batch tables are applied in any order, each by its net change: a batch shows one beat, and may show it
   before the rows of other tables that were committed earlier.
3. After a crash the task begins a new run, from an earlier point and with other batches. A poll knows which run it saw.
4. The source's clock never goes back by more than a table's `allowed_lateness`, and no row is stamped further back than
   that before its transaction began.

By 2 the newest beat proves nothing: what counts is the one before it (`hold_back`), of the same run. Two bases:
**commit**: every transaction committed before W has been applied; **row**: every row stamped before W has, those of
transactions that are still open included. Neither is a snapshot: later changes may be there as well.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

ALLOWED_LATENESS_S = 2.0
"""How far back a row's stamp may lie before its transaction began: an application's clock, the start's own race."""
CLOCK_SKEW_S = 5.0
"""DMS dates the end of a full load by its own clock, beats are dated by the source's."""
MARKS = 512
"""Beats remembered for the cross-check by transaction ids; when none is old enough the row watermark stands still."""

BARRIER = "changes made during its load may still follow"

BROKEN_STATES = {"table error", "table cancelled", "table does not exist"}
LOADING_STATES = {"before load", "full load", "table is being reloaded"}


class Basis(StrEnum):
    COMMIT = "commit"
    ROW = "row"


# --- A task's heartbeats -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beat:
    """The heartbeat row as it was written at the source; times are on the source's clock.

    `row_safe_before` is the earliest begin of the other transactions that were open, or of its own; prepared ones are
    counted after the open ones were looked at, so that one which is prepared in between is seen twice and not never.
    None in either: the writer may not see other sessions, so nothing is known of open transactions. `own_xid` and
    `xmin` are its transaction's id and the oldest one then running; None where the engine has none (MySQL).
    """

    epoch: int
    seq: int
    beat_at: datetime
    row_safe_before: datetime | None
    prepared_count: int | None
    own_xid: int | None = None
    xmin: int | None = None


@dataclass(frozen=True)
class Mark:
    """When a transaction id had been given out: all lower ones were, too."""

    own_xid: int
    beat_at: datetime


@dataclass(frozen=True)
class TaskTrack:
    """What one task's heartbeats in the warehouse have proven so far; within an epoch watermarks only grow.

    `seen` are the newest distinct beats of this run, oldest first. The one that stood there when the run was first seen
    (`left`) is not among them: an earlier run may have written it, in a batch that it did not finish. `unsettled` says
    why nothing is proven until an operator attests to the source's state or reloads.
    """

    epoch: int = 1  # the first of a source; a later one counts only once somebody attests to it
    run: str | None = None
    left: int | None = None  # that beat's number, until it changes
    seen: tuple[Beat, ...] = ()
    waiting: tuple[Beat, ...] = ()  # all that this run has shown and that are not proven yet
    marks: tuple[Mark, ...] = ()
    newest_at: datetime | None = None  # of all beats of this epoch, in whatever run they were seen
    newest_seq: int = 0
    source_seq: int | None = None  # the newest seen at the source itself
    proof: Beat | None = None
    commit_at: datetime | None = None
    row_at: datetime | None = None
    unsettled: str = ""


def hold_back(overlap: int) -> int:
    """How many beats before the newest one is proven, where up to `overlap` batches are applied beside another."""
    return 1 + overlap


def see_source(track: TaskTrack, beat: Beat) -> TaskTrack:
    """Take notice of the row at the source itself: one that went back was restored, or its newest part was lost."""
    if track.unsettled:
        return track
    if beat.epoch != track.epoch:
        return _unsettled(track, f"the source began epoch {beat.epoch} (was {track.epoch})")
    if track.source_seq is not None and beat.seq < track.source_seq:
        return _unsettled(track, f"the source's heartbeat went back from {track.source_seq} to {beat.seq}")
    return replace(track, source_seq=beat.seq)


def see(track: TaskTrack, beat: Beat | None, run: str, *, overlap: int = 0) -> TaskTrack:
    """Take notice of the row in the warehouse, read while the task was in `run` (the same before and after reading).

    Seeing less never proves more: a poll that is missed only leaves a beat out.
    """
    if beat is None or track.unsettled:
        return track
    if beat.epoch < track.epoch:  # after an attestation the log before it may be applied again: it proves nothing
        return replace(track, run=run, left=None, seen=(), waiting=())
    if beat.epoch != track.epoch:
        return _unsettled(track, f"the warehouse shows epoch {beat.epoch} of the source (was {track.epoch})")
    back_s = 0.0 if track.newest_at is None else _s(track.newest_at, beat.beat_at)
    if beat.seq > track.newest_seq and back_s > ALLOWED_LATENESS_S:
        return _unsettled(track, f"the source's clock went back by {back_s:.0f} s")
    track = replace(
        track,
        marks=_marked(track.marks, beat.own_xid, beat.beat_at),
        newest_at=_later(track.newest_at, beat.beat_at),
        newest_seq=max(track.newest_seq, beat.seq),
    )
    if run != track.run:
        return replace(track, run=run, left=beat.seq, seen=(), waiting=())
    if beat.seq == (track.seen[-1].seq if track.seen else track.left):
        return track
    if track.seen and beat.seq < track.seen[-1].seq:
        if overlap:  # of two batches that overlap the older one may end last
            return track if beat in track.waiting else _proven(_with(track, beat), track.proof)
        # A restart that DMS did not tell of: what was seen of this pass says nothing about the next.
        track = replace(track, seen=(), waiting=())
    keep = hold_back(overlap) + 1
    track = replace(_with(track, beat), left=None, seen=(*track.seen, beat)[-keep:])
    return _proven(track, track.seen[-keep] if len(track.seen) == keep else None)


def mark(track: TaskTrack, own_xid: int | None, at: datetime | None) -> TaskTrack:
    """Take notice of a transaction id that the writer was given at `at`, a moment before its beat.

    On a busy source some transaction that is older than the beat's own always runs, and the cross-check would fall back
    to the beat before; with this it falls back by that moment only.
    """
    if own_xid is None or at is None or track.unsettled:
        return track
    return replace(track, marks=_marked(track.marks, own_xid, at))


def attest(epoch: int, source_seq: int | None = None) -> TaskTrack:
    """Begin anew in `epoch`, on an operator's word that the source's state is what the warehouse shall follow."""
    return TaskTrack(epoch=epoch, source_seq=source_seq)


def _unsettled(track: TaskTrack, why: str) -> TaskTrack:
    return replace(track, seen=(), waiting=(), unsettled=why)


def _with(track: TaskTrack, beat: Beat) -> TaskTrack:
    return replace(track, waiting=(*track.waiting, beat))


def _marked(marks: tuple[Mark, ...], own_xid: int | None, at: datetime) -> tuple[Mark, ...]:
    """With this one, in the order of their ids: of overlapping batches the older one's beat may be seen last."""
    if own_xid is None:
        return marks
    place = bisect_left(marks, own_xid, key=lambda mark: mark.own_xid)
    if place < len(marks) and marks[place].own_xid == own_xid:
        return marks
    return (*marks[:place], Mark(own_xid, at), *marks[place:])[-MARKS:]


def _proven(track: TaskTrack, proof: Beat | None) -> TaskTrack:
    """All of this run's beats up to `proof` are proven; the best of them counts for the rows."""
    if proof is None:
        return track
    floors = [_row_floor(beat, track.marks) for beat in track.waiting if beat.seq <= proof.seq]
    row_at = track.row_at
    for floor in floors:
        row_at = _later(row_at, floor)
    return replace(
        track,
        proof=proof,
        waiting=tuple(beat for beat in track.waiting if beat.seq > proof.seq),
        commit_at=_later(track.commit_at, proof.beat_at),
        row_at=row_at,
    )


def _row_floor(beat: Beat, marks: Sequence[Mark]) -> datetime | None:
    """Before when every row had been committed at this beat; None: it can't be said, and the watermark stands still."""
    if beat.row_safe_before is None or beat.prepared_count is None:
        return None
    if beat.prepared_count > 0:  # prepared transactions are in nobody's list of sessions
        return None
    if beat.xmin is None:
        return beat.row_safe_before
    # A cross-check that needs no list of sessions: transactions older than xmin were over.
    older = bisect_right(marks, beat.xmin, key=lambda mark: mark.own_xid)
    return min(beat.row_safe_before, marks[older - 1].beat_at) if older else None


# --- A table in a task ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """A table in one task, as DMS told it no earlier than the beat was read. `suspended_at`: from its control table."""

    state: str
    load_ended_at: datetime | None = None
    suspended_at: datetime | None = None


@dataclass(frozen=True)
class Leg:
    """One table's way through one task. Watermarks are None until proven, and stand still while `held` says why."""

    epoch: int | None = None
    commit_at: datetime | None = None
    row_at: datetime | None = None
    load_ended_at: datetime | None = None
    loading: bool = False
    loads: int = 0  # what was proven before a load is revoked by it
    broken: str = ""  # until the next load
    held: str = "nothing has been proven yet"

    @property
    def steady(self) -> bool:
        return not self.held

    @property
    def era(self) -> str:
        """What is proven holds for one epoch of the source, between two loads."""
        return f"{self.epoch or 1}.{self.loads}"


def advance(leg: Leg, task: TaskTrack, condition: Condition | None) -> Leg:
    """The table's watermark after a poll. It grows only in the steady state; None as condition: it was not seen."""
    if condition is None:
        return replace(leg, held="DMS does not tell the table's state")
    if condition.state.lower() in LOADING_STATES:
        return replace(_unload(leg), loading=True, held=f"DMS' state is “{condition.state}”")
    ended_at = condition.load_ended_at
    if ended_at is not None and ended_at != leg.load_ended_at:
        leg = replace(_unload(leg), load_ended_at=ended_at, loading=False, broken="")
    if leg.loading:
        return replace(leg, held="DMS does not tell when its load ended")
    broken = _broken(condition)
    if broken or leg.broken:
        return replace(leg, broken=broken or leg.broken, held=broken or leg.broken)
    if task.unsettled:
        return replace(leg, held=task.unsettled)
    if leg.epoch != task.epoch:
        leg = replace(leg, epoch=task.epoch, commit_at=None, row_at=None)
    if task.proof is None:
        return replace(leg, held="no heartbeat has come through yet")
    if leg.load_ended_at is not None and _s(task.proof.beat_at, leg.load_ended_at) <= CLOCK_SKEW_S:
        return replace(leg, held=BARRIER)
    return replace(
        leg,
        commit_at=_later(leg.commit_at, task.commit_at),
        row_at=_later(leg.row_at, task.row_at),
        held="",
    )


def _unload(leg: Leg) -> Leg:
    """The table is loaded anew: nothing is proven of what comes."""
    if leg.loading:
        return leg
    begun = leg.commit_at is not None or leg.row_at is not None or leg.load_ended_at is not None
    return replace(leg, commit_at=None, row_at=None, loads=leg.loads + begun)


def _broken(condition: Condition) -> str:
    if condition.state.lower() in BROKEN_STATES:
        return f"DMS' state is “{condition.state}”"
    if condition.suspended_at is not None and (
        condition.load_ended_at is None or condition.suspended_at >= condition.load_ended_at
    ):
        return f"DMS suspended it at {condition.suspended_at:%Y-%m-%d %H:%M:%S} UTC"
    return ""


# --- A table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Watermark:
    """Up to when a table is proven complete (`at`, None: undefined), and what limits it."""

    basis: Basis
    at: datetime | None
    steady: bool  # every task of it is: only then may it be called complete
    task: str  # the task that limits it
    held: str  # why it does not grow, as a sentence's second half; "" when it does


def watermark(
    legs: Sequence[tuple[str, Leg]], basis: Basis, *, allowed_lateness_s: float = ALLOWED_LATENESS_S
) -> Watermark:
    """A table's watermark over all tasks that write to it: the least of them, undefined when one of them is."""
    if not legs:
        return Watermark(basis, None, False, "", "no task replicates it")
    found = [(_at(leg, basis, allowed_lateness_s), task) for task, leg in legs]
    proven = [(at, task) for at, task in found if at is not None]
    least = min(proven) if len(proven) == len(found) else None
    held = next(((task, leg.held) for task, leg in legs if leg.held), None)
    if held is not None:
        return Watermark(basis, least[0] if least else None, False, *held)
    if least is None:
        blind = next(task for at, task in found if at is None)
        return Watermark(basis, None, False, blind, "its heartbeats don't tell which transactions are open")
    return Watermark(basis, least[0], True, least[1], "")


def complete(found: Watermark, cutoff: datetime) -> bool:
    """Whether everything before the cutoff is proven to be there: only in the steady state."""
    return found.steady and found.at is not None and found.at >= cutoff


def _at(leg: Leg, basis: Basis, allowed_lateness_s: float) -> datetime | None:
    at = leg.commit_at if basis == Basis.COMMIT else leg.row_at
    return None if at is None else at - timedelta(seconds=allowed_lateness_s)


def _later(before: datetime | None, found: datetime | None) -> datetime | None:
    if before is None or found is None:
        return before or found
    return max(before, found)


def _s(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds()

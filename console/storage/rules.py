"""How is a storage of files: seen, written to, its hand-offs fetched and removed in time. Pure.

Invariant: what could not be seen is unknown, and so is what lies beyond the bound of one look: counts are "at least".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from console.lib.status import Status, worst
from console.lib.words import count, duration, listed, size
from console.platform.rules import Sight

HOUSEKEEPING = "Look whether the DAG that calls handoff.sweep() runs, or remove them here."


@dataclass(frozen=True)
class Facts:
    """What the verdict on one storage rests on, by its last look."""

    id: str
    place: str
    files: int
    bytes: int
    complete: bool
    newest_at: datetime | None  # the newest file that was ever seen there
    watched_since: datetime
    handoffs: int
    late: int
    missed: int
    left: int
    left_bytes: int
    quiet_after_s: float | None


@dataclass(frozen=True)
class Verdict:
    """`says` completes the storage's name to a finding, `reason` is a sentence, `remedy` what to do ("": nothing)."""

    status: Status
    says: str
    reason: str
    remedy: str = ""


def newest_age_s(facts: Facts, now: datetime) -> float | None:
    """Seconds since the newest file was written; None where none was ever seen."""
    return None if facts.newest_at is None else max(0.0, (now - facts.newest_at).total_seconds())


def quiet_s(facts: Facts, now: datetime) -> float | None:
    """For how long nothing has been written, where that is longer than declared; else None."""
    if facts.quiet_after_s is None:
        return None
    silent_s = (now - (facts.newest_at or facts.watched_since)).total_seconds()
    return silent_s if silent_s > facts.quiet_after_s else None


def _quiet(facts: Facts, now: datetime) -> Verdict | None:
    silent_s = quiet_s(facts, now)
    if silent_s is None or facts.quiet_after_s is None:
        return None
    return Verdict(
        Status.DEGRADED,
        f"has had no new file for {duration(silent_s)}",
        f"Nothing was written for {duration(silent_s)}; {duration(facts.quiet_after_s)} is what was declared.",
        "Look whether the DAGs run that hand files over, and whether their workers may write there.",
    )


def _missed(facts: Facts, now: datetime) -> Verdict | None:
    if not facts.missed:
        return None
    what = count(facts.missed, "hand-off")
    return Verdict(
        Status.DEGRADED,
        f"holds {what} that nobody fetched",
        f"{what} expired and no reader ever came.",
        "Look at the tasks that should have read them: did they fail, or were they never started?",
    )


def _late(facts: Facts, now: datetime) -> Verdict | None:
    if not facts.late:
        return None
    what = count(facts.late, "hand-off")
    return Verdict(
        Status.DEGRADED,
        f"holds {what} that nobody has fetched in time",
        f"For {what} no reader has come within the time that was declared.",
        "Look at the tasks that should read them.",
    )


def _left(facts: Facts, now: datetime) -> Verdict | None:
    if not facts.left:
        return None
    what = count(facts.left, "hand-off")
    return Verdict(
        Status.DEGRADED,
        f"holds {what} long past their expiry",
        f"{what} ({size(facts.left_bytes)}) should have been removed by now.",
        HOUSEKEEPING,
    )


def _partly(facts: Facts, now: datetime) -> Verdict | None:
    if facts.complete:
        return None
    return Verdict(
        Status.UNKNOWN,
        "holds more files than one look reads",
        f"The first {facts.files:,} files were read; what lies behind them is not judged.",
        "Declare the prefix that Airflow's connection uses, or remove what is not needed.",
    )


RULES: tuple[Callable[[Facts, datetime], Verdict | None], ...] = (_quiet, _missed, _late, _left, _partly)


def judge(facts: Facts | None, sight: Sight, now: datetime) -> Verdict:
    """The verdict on one storage: unknown while it can't be seen, else the first rule that applies.

    `facts` are None where what is remembered is of another place than the declared one.
    """
    if not sight.seen:
        return Verdict(Status.UNKNOWN, "can't be seen", f"It can't be seen: {sight.reason}.", sight.remedy)
    if facts is None:
        return Verdict(Status.UNKNOWN, "is not read yet", "It has been declared since the last look.")
    said = next((verdict for rule in RULES if (verdict := rule(facts, now))), None)
    if said:
        return said
    text = f"Reachable; {count(facts.handoffs, 'hand-off')} in it." if facts.files else "Reachable; no file is in it."
    return Verdict(Status.HEALTHY, "is well", text)


def statement(verdicts: Sequence[tuple[str, Verdict]]) -> str:
    """All of them as a finding: `files holds 2 hand-offs that nobody fetched`."""
    if not verdicts:
        return "No storage is declared"
    bad = worst(verdict.status for _, verdict in verdicts)
    if bad is Status.HEALTHY:
        return f"{count(len(verdicts), 'file storage')} reachable"
    hit = [(name, verdict) for name, verdict in verdicts if verdict.status is bad]
    if len(hit) == 1:
        return f"{hit[0][0]} {hit[0][1].says}"
    return f"{listed([name for name, _ in hit])} are {bad}"

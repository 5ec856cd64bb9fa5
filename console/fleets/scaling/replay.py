"""What other settings would have made of what was recorded. Pure.

Tasks are put together from the counts of each step: a rise of queued + running is so many arrivals, a fall so many
ends; the first that came started first and ended first. What came and went within one step is not in it, and schedules
of the past are not known: so scheduled peaks play no part in a replay.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from console.fleets.scaling.policy import Policy
from console.fleets.scaling.simulate import Job, Load, Ours, Outcome, Strategy, plain, simulate, static

NAME = "task"
PAST = 30


@dataclass(frozen=True)
class Recorded:
    """Queued and running tasks at each step of `step_s`; None where nobody could see it."""

    start: datetime
    step_s: float
    queued: tuple[float | None, ...]
    running: tuple[float | None, ...]

    @property
    def seen(self) -> int:
        return sum(1 for q, r in zip(self.queued, self.running, strict=True) if q is not None and r is not None)


@dataclass(frozen=True)
class Replayed:
    name: str
    policy: Policy | None
    outcome: Outcome


def load_of(recorded: Recorded) -> Load:
    """The tasks behind the counts; a gap is bridged by what was seen before it."""
    arrivals: list[float] = []
    starts: list[float] = []
    ends: list[float] = []
    queued = running = 0
    for index, (q, r) in enumerate(zip(recorded.queued, recorded.running, strict=True)):
        if q is None or r is None:
            continue
        at_s, now_queued, now_running = index * recorded.step_s, round(q), round(r)
        change = now_queued + now_running - queued - running
        ended = max(0, -change)
        arrivals += [at_s] * max(0, change)
        ends += [at_s] * ended
        started = max(0, now_running - running + ended)
        starts += [at_s] * min(started, len(arrivals) - len(starts))
        queued, running = now_queued, now_running
    length_s = len(recorded.queued) * recorded.step_s
    jobs = []
    for index, at_s in enumerate(arrivals):
        start_s = starts[index] if index < len(starts) else at_s
        end_s = ends[index] if index < len(ends) else length_s
        jobs.append(Job(at_s, max(recorded.step_s / 2, end_s - start_s), NAME))
    dice = Random(len(jobs))
    took = [job.takes_s for job in jobs]
    past = tuple(dice.sample(took, min(PAST, len(took))))
    return Load(tuple(jobs), length_s, {NAME: past})


def replay(
    recorded: Recorded, policies: Sequence[tuple[str, Policy]], *, boot_s: float, interval_s: float
) -> list[Replayed]:
    """Each policy over the record, then the plain formula between the first one's bounds, and a fleet of the peak."""
    load = load_of(recorded)

    def one(strategy: Strategy, first: int, slots: int) -> Outcome:
        return simulate(
            load,
            strategy,
            slots=slots,
            boot_s=boot_s,
            first=first,
            start=recorded.start,
            interval_s=interval_s,
        )

    found = []
    for name, policy in policies:
        policy = replace(policy, scheduled_peaks=False)
        found.append(Replayed(name, policy, one(Ours(policy), policy.baseline_at(recorded.start), policy.slots)))
    usual = policies[0][1]
    first = usual.baseline_at(recorded.start)
    found.append(Replayed("Plain formula, same bounds", usual, one(plain(usual), first, usual.slots)))
    most = max([each.outcome.most for each in found[: len(policies)]] or [usual.maximum])
    found.append(Replayed(f"Always {most} workers", None, one(static(most), most, usual.slots)))
    return found

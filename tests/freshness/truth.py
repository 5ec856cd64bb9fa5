"""The test of truth, whatever the source: what the console calls complete is held against what was ever committed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.utils import timezone

from console.freshness import beating, proving
from console.freshness.answers import Verdict
from console.freshness.asking import Question, ask
from console.freshness.models import TableSnapshot
from console.freshness.poll import save_replication, sync
from console.freshness.watermark import Basis
from console.platform.declared import TableDeclared, TaskDeclared
from console.platform.heartbeats import Arrivals
from console.platform.models import remember_success
from console.platform.ports import PulsePort, ReplicationPort
from console.platform.sources import REPLICATION
from tests.freshness import made

BEAT_S = 0.4


@dataclass
class Claim:
    """The console called the table complete to a cutoff while the warehouse held these rows."""

    basis: Basis
    cutoff: datetime
    held: frozenset[int]

    def lacks(self, rows: Mapping[int, datetime], committed_at: Mapping[int, datetime]) -> list[int]:
        """Rows that it covers and that the warehouse did not hold. `rows`: all that were committed, with their stamps;
        `committed_at`: when their writer knew it."""
        covered = rows if self.basis == Basis.ROW else committed_at
        return [number for number, at in covered.items() if at < self.cutoff and number not in self.held]


class Console:
    """The console's part, with its own adapters; beats and polls as often as it is told."""

    def __init__(
        self, task: TaskDeclared, table: TableDeclared, pulse: PulsePort, arrivals: Arrivals, dms: ReplicationPort
    ) -> None:
        self.task, self.table, self.pulse, self.arrivals, self.dms = task, table, pulse, arrivals, dms
        self.declared = replace(made.declared([table]), tasks=(task,))
        sync(self.declared)

    def beat(self) -> None:
        now = timezone.now()
        beating.save(beating.write(beating.orders([self.task]), lambda name: self.pulse), now)

    def poll(self) -> None:
        now = timezone.now()
        found = proving.look(self.dms, lambda: self.arrivals, self.declared, {}, now)
        assert found.error is None, found.error
        rows = save_replication(found.results, now)
        proving.save(found, rows, now)
        remember_success(REPLICATION.name, now, 0.1)

    def complete(self, cutoff: datetime, basis: Basis) -> bool:
        _, (told,) = ask([Question("q", self.table.name, cutoff)], basis, timezone.now())
        return told.answer.verdict == Verdict.COMPLETE

    def newest_beat(self) -> Iterable[datetime]:
        """The moment of the newest heartbeat in the warehouse."""
        asked = (self.task.source, self.task.name, self.task.beats_arrive, "public", ())
        return [beat.beat_at for beat in self.arrivals.arrivals([asked]).beats]


def watch(
    console: Console,
    held: Callable[[], dict[int, datetime]],
    pick: random.Random,
    ends_s: float,
    meanwhile: Callable[[], None],
) -> tuple[list[Claim], list[Claim]]:
    """All that the console calls complete until then, and what naive rules would: the newest beat in the warehouse, the
    newest stamp there. `held`: the warehouse's rows with their stamps."""
    claims, controls = [], []
    while time.monotonic() < ends_s:
        console.beat()
        time.sleep(pick.uniform(0, BEAT_S))
        console.poll()
        row = TableSnapshot.objects.get(name=console.table.name)
        for basis, at in ((Basis.ROW, row.row_at), (Basis.COMMIT, row.commit_at)):
            recent = timezone.now() - timedelta(seconds=pick.uniform(0, 8))
            for cutoff in (at, recent):
                if cutoff is None:
                    continue
                there = held()  # before the question: it may not be what arrives meanwhile that makes it true
                if console.complete(cutoff, basis):
                    claims.append(Claim(basis, cutoff, frozenset(there)))
        there = held()
        naive = [*console.newest_beat(), *([max(there.values())] if there else [])]
        controls.extend(Claim(Basis.ROW, cutoff, frozenset(there)) for cutoff in naive)
        meanwhile()
    return claims, controls


def until_complete(console: Console, deadline_s: float) -> float:
    """With nothing in the way: how long after a cutoff it is proven, with beats and polls every `BEAT_S`."""
    for _ in range(12):  # what was held back is over, the pause is caught up with
        console.beat()
        time.sleep(BEAT_S)
        console.poll()
    cutoff = timezone.now()
    while time.monotonic() < deadline_s:
        console.beat()
        time.sleep(BEAT_S)
        console.poll()
        if console.complete(cutoff, Basis.ROW):
            return (timezone.now() - cutoff).total_seconds()
    raise AssertionError("it was never called complete, though nothing was in the way")


def hold(
    claims: list[Claim],
    controls: list[Claim],
    rows: Mapping[int, datetime],
    committed_at: Mapping[int, datetime],
    lasts_s: float,
    took_s: float,
) -> None:
    """No claim may be false, there must have been enough of them, and the naive rules must have been found out."""
    lacking = [claim.lacks(rows, committed_at) for claim in claims]
    wrong = [(claim.basis, claim.cutoff, lacks) for claim, lacks in zip(claims, lacking, strict=True) if lacks]
    false = sum(1 for control in controls if control.lacks(rows, committed_at))
    print(
        f"\n{len(rows)} rows, {len(claims)} claims of completeness ({Counter(str(claim.basis) for claim in claims)}), "
        f"{len(wrong)} false; "
        f"naive rules: {false} of {len(controls)} false; complete {took_s:.2f} s after a cutoff when all is well"
    )
    assert not wrong
    assert {claim.basis for claim in claims} == set(Basis)
    assert len(claims) > lasts_s / 2
    assert false > 0, "the naive rules were not found out: this world is too kind to show anything"

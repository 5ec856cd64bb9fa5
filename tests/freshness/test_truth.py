"""What the console calls complete, held against what the source ever committed: real servers, a real replication.

Writers stamp and commit rows, some in long transactions, some prepared; the replication is paused, resumed and killed
at random. `TRUTH_S=600` does so for ten minutes.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from django.utils import timezone

from console.freshness import beating, proving
from console.freshness.answers import Verdict
from console.freshness.asking import Question, ask
from console.freshness.models import TableSnapshot
from console.freshness.poll import save_replication, sync
from console.freshness.watermark import Basis
from console.platform.database import Database
from console.platform.declared import TableDeclared, TaskDeclared
from console.platform.dms import _table
from console.platform.heartbeats import Arrivals, Pulse
from console.platform.models import remember_success
from console.platform.readings import ReplicationTaskReading, TableStatistics
from console.platform.sources import REPLICATION
from console.sandbox.home import write_private
from tests.freshness import made
from tests.sandbox.pair import Pair, running

LASTS_S = float(os.environ.get("TRUTH_S", "25"))
TASK = TaskDeclared("shop-cdc", "shop", "shop-cdc")
STAMPED = TableDeclared("shop.public.stamped", TASK.name, "public.stamped", "stamped_at", 300, (), 0.1)
BEAT_S = 0.4

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(LASTS_S * 2 + 240)]


@dataclass
class Claim:
    """The console called the table complete to a cutoff while the warehouse held these rows."""

    basis: Basis
    cutoff: datetime
    held: frozenset[int]


@dataclass
class Writers:
    """What writes to the source, and when it learnt that its commits were done."""

    pair: Pair
    stop: threading.Event = field(default_factory=threading.Event)
    calm: threading.Event = field(default_factory=threading.Event)  # no long transactions any more
    committed_at: dict[int, datetime] = field(default_factory=dict)
    errors: list[BaseException] = field(default_factory=list)

    def start(self) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._guarded, args=(work,)) for work in (self._short, self._long, self._two)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _guarded(self, work: Any) -> None:
        connection = psycopg2.connect(self.pair.site.database_url("shop", "shop"))
        try:
            pick = random.Random(work.__name__)
            while not self.stop.is_set():
                work(connection, pick)
        except BaseException as error:
            self.errors.append(error)
        finally:
            connection.close()

    def _insert(self, cursor: Any) -> list[int]:
        cursor.execute("INSERT INTO stamped DEFAULT VALUES RETURNING id")  # stamped with the transaction's begin
        return [int(cursor.fetchone()[0])]

    def _done(self, ids: Sequence[int]) -> None:
        at = datetime.now(UTC)
        self.committed_at.update(dict.fromkeys(ids, at))

    def _short(self, connection: Any, pick: random.Random) -> None:
        with connection, connection.cursor() as cursor:
            ids = self._insert(cursor)
        self._done(ids)
        time.sleep(pick.uniform(0.02, 0.08))

    def _long(self, connection: Any, pick: random.Random) -> None:
        if self.calm.wait(pick.uniform(0.1, 1.0)):
            self.stop.wait(0.2)
            return
        with connection.cursor() as cursor:
            ids = self._insert(cursor)
            self.stop.wait(pick.uniform(0.5, 3))
            ids += self._insert(cursor)
        if pick.random() < 0.2:
            connection.rollback()
            return
        connection.commit()
        self._done(ids)

    def _two(self, connection: Any, pick: random.Random) -> None:
        """A transaction that is prepared, and committed later; in between no session has it."""
        if self.calm.wait(pick.uniform(0.5, 1.5)):
            self.stop.wait(0.2)
            return
        name = f"held-{pick.random()}"
        with connection.cursor() as cursor:
            ids = self._insert(cursor)
            cursor.execute("PREPARE TRANSACTION %s", [name])
            connection.commit()
        self.stop.wait(pick.uniform(0.3, 2))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("COMMIT PREPARED %s", [name])
        connection.autocommit = False
        self._done(ids)


class Dms:
    """DMS as the replication process tells it."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def _reading(self) -> ReplicationTaskReading:
        return replace(made.task(timezone.now(), status=self.pair.aws.status), identifier=TASK.identifier)

    def runs(self, identifiers: Sequence[str]) -> dict[str, str]:
        run = self._reading().run
        return {TASK.identifier: run} if run else {}

    def tasks(self, identifiers: Sequence[str], *, now: datetime) -> tuple[ReplicationTaskReading, ...]:
        return (self._reading(),)

    def table_statistics(self, arn: str) -> tuple[TableStatistics, ...]:
        rows = []
        for told in list(self.pair.aws.tables.values()):
            row = dict(told)
            for name in ("FullLoadStartTime", "FullLoadEndTime", "LastUpdateTime"):
                if name in row:
                    row[name] = datetime.fromtimestamp(row[name], UTC)
            rows.append(_table(arn, row))
        return tuple(rows)


class Console:
    """The console's part, with its own adapters; beats and polls as often as it is told."""

    def __init__(self, pair: Pair) -> None:
        site = pair.site
        source = Database("the source shop", site.database_url("shop", "shop"), "SOURCE_URL")
        self.pulse = Pulse(source, ahead_s=0.05)
        warehouse = site.database_url("loader", "warehouse", warehouse=True)
        self.arrivals = Arrivals(Database("the warehouse", warehouse, "WAREHOUSE_URL"))
        self.dms = Dms(pair)
        self.declared = replace(made.declared([STAMPED]), tasks=(TASK,))
        sync(self.declared)

    def beat(self) -> None:
        now = timezone.now()
        beating.save(beating.write(beating.orders([TASK]), lambda name: self.pulse), now)

    def poll(self) -> None:
        now = timezone.now()
        found = proving.look(self.dms, lambda: self.arrivals, self.declared, {}, now)
        assert found.error is None, found.error
        rows = save_replication(found.results, now)
        proving.save(found, rows, now)
        remember_success(REPLICATION.name, now, 0.1)


@contextmanager
def replicating(pair: Pair) -> Iterator[None]:
    """The replication process, at a quicker pace."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.15):
            with suppress(psycopg2.Error):
                pair.replication.tables_at = float("-inf")
                pair.replication.tick()

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with running() as both:
        both.sql("CREATE TABLE stamped (id bigserial PRIMARY KEY, stamped_at timestamptz NOT NULL DEFAULT now())")
        both.sql("ALTER TABLE stamped OWNER TO shop")
        both.until(both.caught_up)
        yield both


def pause(pair: Pair, on: bool) -> None:
    write_private(pair.faults, '{"replication-pause": ["shop-cdc"]}' if on else "{}")


def kill_the_apply_worker(pair: Pair) -> None:
    pair.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE pid IS NOT NULL", warehouse=True)


def naive(console: Console, held: dict[int, datetime]) -> list[datetime]:
    """What naive rules would call complete: the newest beat in the warehouse, the newest stamp there."""
    found = console.arrivals.arrivals([(TASK.source, TASK.name, TASK.beats_arrive, "public", ())])
    return [*(beat.beat_at for beat in found.beats[:1]), *([max(held.values())] if held else [])]


def test_nothing_that_was_called_complete_lacked_a_row_then_or_later(pair: Pair) -> None:
    console, writers, pick = Console(pair), Writers(pair), random.Random(7)
    reader = psycopg2.connect(pair.site.database_url("loader", "warehouse", warehouse=True))
    reader.autocommit = True
    claims: list[Claim] = []
    controls: list[Claim] = []
    threads = writers.start()

    def held() -> dict[int, datetime]:
        with reader.cursor() as cursor:
            cursor.execute("SELECT id, stamped_at FROM stamped")
            return dict(cursor.fetchall())

    def step() -> None:
        console.beat()
        time.sleep(pick.uniform(0, BEAT_S))
        console.poll()
        row = TableSnapshot.objects.get(name=STAMPED.name)
        for basis, at in ((Basis.ROW, row.row_at), (Basis.COMMIT, row.commit_at)):
            recent = timezone.now() - timedelta(seconds=pick.uniform(0, 8))
            for cutoff in (at, recent):
                if cutoff is None:
                    continue
                there = held()  # before the question: it may not be what arrives meanwhile that makes it true
                _, (told,) = ask([Question("q", STAMPED.name, cutoff)], basis, timezone.now())
                if told.answer.verdict == Verdict.COMPLETE:
                    claims.append(Claim(basis, cutoff, frozenset(there)))
        there = held()
        controls.extend(Claim(Basis.ROW, cutoff, frozenset(there)) for cutoff in naive(console, there))

    try:
        with replicating(pair):
            ends_s, toggle_s, paused = time.monotonic() + LASTS_S, time.monotonic() + 8, False
            while time.monotonic() < ends_s:
                step()
                if time.monotonic() > toggle_s:
                    paused = not paused
                    pause(pair, paused)
                    toggle_s = time.monotonic() + pick.uniform(1, 4)
                if pick.random() < 0.03:
                    kill_the_apply_worker(pair)
            pause(pair, False)
            writers.calm.set()
            took_s = _until_complete(console, ends_s + 40)
            writers.stop.set()
            for thread in threads:
                thread.join()
    finally:
        writers.stop.set()
        reader.close()
    assert not writers.errors
    rows = {row[0]: row[1] for row in pair.sql("SELECT id, stamped_at FROM stamped")}
    lacking = [_lacks(claim, rows, writers.committed_at) for claim in claims]
    wrong = [(claim.basis, claim.cutoff, lacks) for claim, lacks in zip(claims, lacking, strict=True) if lacks]
    false = sum(1 for control in controls if _lacks(control, rows, writers.committed_at))
    print(
        f"\n{len(rows)} rows, {len(claims)} claims of completeness, {len(wrong)} false; "
        f"naive rules: {false} of {len(controls)} false; complete {took_s:.2f} s after a cutoff when all is well"
    )
    assert not wrong
    assert {claim.basis for claim in claims} == set(Basis)
    assert len(claims) > LASTS_S / 2
    assert false > 0, "the naive rules were not found out: this world is too kind to show anything"


def _until_complete(console: Console, deadline_s: float) -> float:
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
        _, (told,) = ask([Question("q", STAMPED.name, cutoff)], Basis.ROW, timezone.now())
        if told.answer.verdict == Verdict.COMPLETE:
            return (timezone.now() - cutoff).total_seconds()
    raise AssertionError("it was never called complete, though nothing was in the way")


def _lacks(claim: Claim, rows: dict[int, datetime], committed_at: dict[int, datetime]) -> list[int]:
    """Rows that the claim covers and that the warehouse did not hold."""
    if claim.basis == Basis.ROW:
        covered = [number for number, stamped_at in rows.items() if stamped_at < claim.cutoff]
    else:
        covered = [number for number, at in committed_at.items() if at < claim.cutoff]
    return [number for number in covered if number not in claim.held]

"""The watermark against a source, DMS and a warehouse that misbehave; and naive rules, which must be found out.

A claim is false when the warehouse, at the moment of the poll, lacks a row that the source ever commits and that the
watermark covers. `SEEDS=20000` runs that many worlds.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from console.freshness.watermark import (
    ALLOWED_LATENESS_S,
    Basis,
    Beat,
    Leg,
    TaskTrack,
    Watermark,
    advance,
    attest,
    mark,
    see,
    see_source,
    watermark,
)
from tests.freshness.simulator import TABLES, Moment, Scenario, World, simulate

SEEDS = int(os.environ.get("SEEDS", "150"))

scenarios = st.builds(
    Scenario,
    seed=st.integers(0, 2**32 - 1),
    overlap=st.sampled_from([0, 0, 1]),
    crash=st.booleans(),
    reload=st.booleans(),
    suspend=st.booleans(),
    failover=st.booleans(),
    two_phase=st.booleans(),
    clock_step=st.booleans(),
    missed=st.booleans(),
    idle=st.booleans(),
)
pytestmark = pytest.mark.timeout(max(120.0, SEEDS * 1.0))
thorough = settings(max_examples=SEEDS, deadline=None, suppress_health_check=list(HealthCheck))


class Follower:
    """What the console would keep: a track per task, a leg per table and task."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tasks = [TaskTrack(), TaskTrack()]
        self.legs = {(table, task): Leg() for table, tasks in TABLES.items() for task in tasks}

    def poll(self, moment: Moment) -> None:
        attested = self.world.attest_s is not None and moment.at_s >= self.world.attest_s
        for task, track in enumerate(self.tasks):
            if moment.source is not None:
                track = see_source(track, moment.source)
            if moment.mark is not None:
                track = mark(track, moment.mark.own_xid, moment.mark.beat_at)
            if track.unsettled and attested:
                track = attest(2)
            self.tasks[task] = see(track, moment.beats[task], moment.runs[task], overlap=self.world.scenario.overlap)
        for (table, task), leg in self.legs.items():
            self.legs[table, task] = advance(leg, self.tasks[task], moment.conditions[table])

    def watermark(self, table: str, basis: Basis) -> Watermark:
        return watermark([(str(task), self.legs[table, task]) for task in TABLES[table]], basis)


def missing(world: World, moment: Moment, table: str, basis: Basis, before: datetime) -> list[int]:
    """Rows that a claim of completeness up to `before` covers, and that the warehouse does not have."""
    return [
        row.id
        for row in world.rows
        if row.table == table
        and (row.stamp_at if basis == Basis.ROW else row.committed_at) < before
        and row.id not in moment.held[table]
    ]


def followed(world: World) -> Iterator[tuple[Moment, Follower]]:
    follower = Follower(world)
    for moment in world.moments:
        follower.poll(moment)
        yield moment, follower


@thorough
@given(scenarios)
def test_what_is_called_complete_lacks_no_row_then_or_later(scenario: Scenario) -> None:
    world = simulate(scenario)
    for moment, follower in followed(world):
        for table in TABLES:
            for basis in Basis:
                found = follower.watermark(table, basis)
                if found.steady and found.at is not None:
                    lacks = missing(world, moment, table, basis, found.at)
                    assert not lacks, f"{table} {basis} {found} at {moment.at_s}: {lacks}"


@thorough
@given(scenarios)
def test_a_watermark_only_grows_within_an_epoch_and_between_loads_and_only_when_steady(scenario: Scenario) -> None:
    before: dict[tuple[str, int], Leg] = {}
    for _, follower in followed(simulate(scenario)):
        for key, leg in follower.legs.items():
            last = before.get(key)
            if last is not None and (last.epoch, last.loads) == (leg.epoch, leg.loads) and not leg.loading:
                for was, now in ((last.commit_at, leg.commit_at), (last.row_at, leg.row_at)):
                    assert was is None or (now is not None and now >= was)
                    assert leg.steady or was == now or leg.loading
            before[key] = leg


REPLAYED = Scenario(seed=739, crash=True, failover=True, two_phase=True, clock_step=True)
"""After the failover was attested to, a task applies what was written before it once more."""


@thorough
@example(REPLAYED, 0.3)
@given(scenarios, st.sampled_from([0.1, 0.3, 0.6, 0.9]))
def test_seeing_less_never_proves_more(scenario: Scenario, share: float) -> None:
    world = simulate(scenario)
    pick = random.Random(scenario.seed)
    every, some = Follower(world), Follower(world)
    proven: dict[object, datetime] = {}  # the furthest that following every poll has called complete
    for moment in world.moments:
        keep = pick.random() < share
        every.poll(moment)
        if keep:
            some.poll(moment)
        for table, tasks in TABLES.items():
            now = tuple((every.legs[table, task].epoch, every.legs[table, task].loads) for task in tasks)
            for basis in Basis:
                more = every.watermark(table, basis)
                if more.steady and more.at is not None:
                    proven[table, basis, now] = more.at
                less = some.watermark(table, basis)
                if keep and less.steady and less.at is not None:
                    assert less.at <= proven[table, basis, now]


def test_an_idle_source_still_progresses() -> None:
    world = simulate(Scenario(seed=7, idle=True))
    last = world.moments[-1]
    for moment, follower in followed(world):
        if moment is last:
            for table in TABLES:
                found = follower.watermark(table, Basis.ROW)
                assert found.at is not None
                assert found.at > last.source.beat_at - timedelta(seconds=60)  # type: ignore[union-attr]


def test_most_of_what_arrives_is_proven_so_that_caution_is_not_blindness() -> None:
    lags = []
    for seed in range(20):
        world = simulate(Scenario(seed=seed))
        for moment, follower in followed(world):
            found = follower.watermark("a", Basis.COMMIT)
            if moment.at_s > 150 and moment.source is not None:
                assert found.at is not None
                lags.append((moment.source.beat_at - found.at).total_seconds())
    assert sorted(lags)[len(lags) // 2] < 45


# --- Naive rules, as negative controls -----------------------------------------------------------------------------

Rule = Callable[[list[Beat]], datetime | None]


def newest_beat(beats: list[Beat]) -> datetime | None:
    return beats[-1].beat_at if beats else None


def newest_row_safe(beats: list[Beat]) -> datetime | None:
    return beats[-1].row_safe_before if beats else None


def previous_beat(beats: list[Beat]) -> datetime | None:
    return beats[-2].beat_at if len(beats) > 1 else None


def previous_row_safe(beats: list[Beat]) -> datetime | None:
    return beats[-2].row_safe_before if len(beats) > 1 else None


def two_back_row_safe(beats: list[Beat]) -> datetime | None:
    return beats[-3].row_safe_before if len(beats) > 2 else None


def wrong(rule: Rule, basis: Basis, seeds: int, **what: object) -> int:
    """In how many worlds a rule that looks only at the distinct beats says complete, and a row comes later."""
    return sum(_is_wrong(rule, basis, simulate(Scenario(seed=seed, **what))) for seed in range(seeds))  # type: ignore[arg-type]


def _is_wrong(rule: Rule, basis: Basis, world: World) -> bool:
    seen: tuple[list[Beat], list[Beat]] = ([], [])
    for moment in world.moments:
        for task, beat in enumerate(moment.beats):
            if beat is not None and (not seen[task] or beat.seq > seen[task][-1].seq):
                seen[task].append(beat)
        for table, tasks in TABLES.items():
            found = [rule(seen[task]) for task in tasks]
            proven = [at for at in found if at is not None]
            if len(proven) == len(found):
                before = min(proven) - timedelta(seconds=ALLOWED_LATENESS_S)
                if missing(world, moment, table, basis, before):
                    return True
    return False


@pytest.mark.parametrize(
    ("rule", "basis", "what"),
    [
        (newest_beat, Basis.COMMIT, {}),
        (newest_beat, Basis.ROW, {}),
        (previous_beat, Basis.ROW, {}),
        (newest_row_safe, Basis.ROW, {}),
        (previous_beat, Basis.COMMIT, {"overlap": 1}),
        (previous_row_safe, Basis.ROW, {"overlap": 1}),
        (previous_row_safe, Basis.ROW, {"two_phase": True}),
        (previous_row_safe, Basis.ROW, {"crash": True}),
        (previous_row_safe, Basis.ROW, {"reload": True}),
        (previous_row_safe, Basis.ROW, {"suspend": True}),
    ],
)
def test_a_naive_rule_is_found_out(rule: Rule, basis: Basis, what: dict[str, object]) -> None:
    assert wrong(rule, basis, 60, **what) > 0


@pytest.mark.parametrize(
    ("rule", "basis", "overlap"),
    [
        (previous_beat, Basis.COMMIT, 0),
        (previous_row_safe, Basis.ROW, 0),
        (two_back_row_safe, Basis.ROW, 1),
    ],
)
def test_held_back_rules_hold_where_nothing_breaks(rule: Rule, basis: Basis, overlap: int) -> None:
    assert wrong(rule, basis, 60, overlap=overlap) == 0

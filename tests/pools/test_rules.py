"""What a pool's figures mean."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from console.lib.status import Status
from console.pools.rules import (
    UNLIMITED,
    PoolFacts,
    revision,
    starves,
    starving_since,
    statement,
    tally,
    verdict,
)

POOL = PoolFacts(
    name="warehouse_merge",
    slots=32,
    include_deferred=False,
    running=20,
    queued=2,
    scheduled=0,
    deferred=0,
    occupied=22,
    open=10,
    starving_since=None,
)
FULL = replace(POOL, running=30, occupied=32, open=0)


@pytest.mark.parametrize(
    ("pool", "status", "word"),
    [
        (POOL, Status.HEALTHY, "open"),
        (replace(POOL, scheduled=3), Status.HEALTHY, "open"),
        (FULL, Status.HEALTHY, "full"),
        (replace(FULL, scheduled=11), Status.DEGRADED, "starving"),
        (replace(FULL, occupied=40, open=-8), Status.HEALTHY, "over"),
        (replace(FULL, occupied=40, open=-8, scheduled=1), Status.DEGRADED, "starving"),
        (replace(POOL, slots=0, occupied=0, open=0, running=0, queued=0), Status.HEALTHY, "closed"),
        (replace(POOL, slots=0, occupied=0, open=0, scheduled=1), Status.DEGRADED, "closed"),
        (replace(POOL, slots=UNLIMITED, open=-1, scheduled=99), Status.HEALTHY, "unlimited"),
    ],
)
def test_the_verdict_follows_open_slots_and_who_waits(
    pool: PoolFacts, status: Status, word: str, now: datetime
) -> None:
    found = verdict(pool, now)
    assert (found.status, found.word) == (status, word)
    assert found.reason.endswith(".")


def test_a_starving_pool_says_how_many_wait_and_since_when(now: datetime) -> None:
    pool = replace(FULL, scheduled=11, starving_since=now - timedelta(minutes=11))
    assert verdict(pool, now).reason == (
        "All 32\N{NO-BREAK SPACE}slots are taken and tasks for 11\N{NO-BREAK SPACE}slots wait, "
        "for at least 11\N{NO-BREAK SPACE}min."
    )


def test_a_pool_that_was_made_smaller_says_how_many_must_end_first(now: datetime) -> None:
    pool = replace(FULL, occupied=40, open=-8, scheduled=1)
    assert "nothing starts until 9 of them end" in verdict(pool, now).reason


def test_a_queued_task_has_its_slot_and_does_not_starve() -> None:
    assert not starves(slots=4, scheduled=0, open_slots=0)


def test_deferred_tasks_starve_others_only_where_airflow_counts_them() -> None:
    """Airflow has already taken them off `open` where `include_deferred` says so."""
    assert starves(slots=4, scheduled=1, open_slots=0)
    assert not starves(slots=4, scheduled=1, open_slots=4)


def test_an_unbroken_row_of_readings_keeps_the_beginning(now: datetime) -> None:
    began = now - timedelta(minutes=4)
    assert starving_since(began, now - timedelta(seconds=5), True, now, 20) == began


def test_a_gap_in_which_nobody_looked_begins_the_row_anew(now: datetime) -> None:
    began = now - timedelta(minutes=4)
    assert starving_since(began, now - timedelta(seconds=21), True, now, 20) == now


def test_a_pool_that_no_longer_starves_forgets_since_when(now: datetime) -> None:
    assert starving_since(now, now, False, now, 20) is None


def test_the_revision_follows_the_settings_and_nothing_else() -> None:
    assert revision(4, "a", False) == revision(4, "a", False)
    assert (
        len({revision(*settings) for settings in [(4, "a", False), (5, "a", False), (4, "b", False), (4, "a", True)]})
        == 4
    )


def test_the_heading_names_the_pool_that_most_wait_for() -> None:
    starving = replace(FULL, scheduled=2)
    worse = replace(starving, name="partner_apis", scheduled=7)
    assert statement(tally((POOL,))) == "The only pool has room"
    assert statement(tally((FULL,))) == "1\N{NO-BREAK SPACE}pool is full, nothing waits"
    assert statement(tally((POOL, starving))) == "warehouse_merge is full and starves its tasks"
    assert statement(tally((starving, worse))) == (
        "partner_apis and 1\N{NO-BREAK SPACE}other pool are full and starve their tasks"
    )
    assert tally((starving, worse, FULL)).waiting == 9

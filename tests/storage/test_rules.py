"""The verdict on a storage."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from console.lib.status import Status
from console.platform.rules import Sight, SourceState, sight
from console.storage.rules import Facts, judge, newest_age_s, statement
from console.storage.sources import LIMIT_S, source_of


@pytest.fixture
def facts(now: datetime) -> Facts:
    return Facts(
        id="files", place="s3://tests-files/team", files=3, bytes=1340, complete=True,
        newest_at=now - timedelta(minutes=5), watched_since=now - timedelta(days=9), handoffs=1, late=0, missed=0,
        left=0, left_bytes=0, quiet_after_s=3600,
    )  # fmt: skip


@pytest.fixture
def seen(now: datetime) -> Sight:
    return sight(source_of("files"), SourceState(as_of=now), now)


@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        ({}, Status.HEALTHY, "is well"),
        ({"files": 0, "handoffs": 0}, Status.HEALTHY, "is well"),
        ({"missed": 2}, Status.DEGRADED, "holds 2 hand-offs that nobody fetched"),
        ({"late": 1}, Status.DEGRADED, "holds 1 hand-off that nobody has fetched in time"),
        ({"left": 3, "left_bytes": 5_000_000}, Status.DEGRADED, "holds 3 hand-offs long past their expiry"),
        ({"complete": False}, Status.UNKNOWN, "holds more files than one look reads"),
        ({"complete": False, "missed": 1}, Status.DEGRADED, "holds 1 hand-off that nobody fetched"),
        ({"quiet_after_s": 120, "missed": 1}, Status.DEGRADED, "has had no new file for 5 min"),
        ({"quiet_after_s": None, "newest_at": None}, Status.HEALTHY, "is well"),
        ({"newest_at": None}, Status.DEGRADED, "has had no new file for 9 d"),
    ],
)
def test_the_verdict(facts: Facts, seen: Sight, now: datetime, more: dict[str, Any], status: Status, says: str) -> None:
    found = judge(replace(facts, **more), seen, now)
    assert (found.status, found.says.replace("\N{NO-BREAK SPACE}", " ")) == (status, says)
    assert found.reason.endswith(".")


def test_what_cannot_be_seen_is_unknown(facts: Facts, now: datetime) -> None:
    blind = sight(source_of("files"), SourceState(as_of=now, error="it refuses"), now + timedelta(seconds=LIMIT_S + 1))
    assert judge(replace(facts, missed=3), blind, now).status is Status.UNKNOWN
    assert "it refuses" in judge(facts, blind, now).reason


def test_another_place_than_the_one_that_was_read_is_unknown(seen: Sight, now: datetime) -> None:
    assert judge(None, seen, now).status is Status.UNKNOWN


def test_a_clock_that_is_behind_gives_no_negative_age(facts: Facts, now: datetime) -> None:
    assert newest_age_s(replace(facts, newest_at=now + timedelta(seconds=2)), now) == 0
    assert newest_age_s(replace(facts, newest_at=None), now) is None


def test_the_statement_names_the_worst(facts: Facts, seen: Sight, now: datetime) -> None:
    well, bad = judge(facts, seen, now), judge(replace(facts, missed=1), seen, now)
    assert statement([]) == "No storage is declared"
    assert statement([("a", well), ("b", bad)]).startswith("b holds")
    assert statement([("a", bad), ("b", bad)]) == "a and b are degraded"
    assert "2" in statement([("a", well), ("b", well)])

"""What of the storages becomes an incident."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from pytest_django import DjangoAssertNumQueries

from console.incidents.findings import Finding
from console.platform.models import remember_failure
from console.storage.findings import DAGS, findings
from console.storage.sources import source_of
from tests.storage.made import HOUR, handed, polled, well

pytestmark = pytest.mark.django_db


def found(now: datetime) -> dict[str, Finding]:
    return {one.key: one for one in findings(now).findings}


def test_well_is_nothing(now: datetime) -> None:
    well(now)
    assert found(now) == {}
    assert findings(now).unseen == frozenset()


def test_never_read_is_no_finding_and_hides_the_rest(now: datetime) -> None:
    assert found(now) == {}
    assert findings(now).hides("storage.unread:files/load")


def test_a_storage_that_can_t_be_reached(now: datetime) -> None:
    well(now - timedelta(minutes=5))
    remember_failure(source_of("files").name, now, 1, error="S3 can't be reached", code="refused", remedy="Look.")
    one = found(now)["storage.away:files"]
    assert (one.detector, one.target) == ("storage-away", "storage/files")
    assert "S3 can't be reached" in one.sentence
    assert findings(now).hides("storage.left:files")


def test_one_failed_look_is_not_yet_away(now: datetime) -> None:
    well(now - timedelta(seconds=40))
    remember_failure(source_of("files").name, now, 1, error="S3 can't be reached", code="refused", remedy="Look.")
    assert found(now) == {}


def test_that_nobody_has_looked_closes_no_incident(now: datetime) -> None:
    well(now - timedelta(minutes=5))
    assert found(now) == {}
    assert findings(now).hides("storage.away:files")


def test_what_nobody_fetched_is_told_by_dag(now: datetime) -> None:
    at = now - 3 * HOUR
    polled(
        now,
        handed("load", at, kept=HOUR),
        handed("load", at, run="2", kept=HOUR),
        handed("report", at),
        handed("archive", at, kept=HOUR),
        handed("well", at, read_at=now),
    )
    told = found(now)
    assert set(told) == {"storage.unread:files/load", "storage.unread:files/report"}
    one = told["storage.unread:files/load"]
    assert (one.detector, len(one.facts)) == ("handoff-not-fetched", 2)
    assert "2 of them expired, and no reader ever came" in one.sentence
    assert "expired" not in told["storage.unread:files/report"].sentence


def test_many_dags_share_one(now: datetime) -> None:
    polled(now, *(handed(f"dag{number:02}", now - 3 * HOUR, kept=HOUR) for number in range(DAGS + 3)))
    told = found(now)
    assert len(told) == DAGS + 1
    assert "3 further DAGs" in told["storage.unread:files//"].title


def test_what_should_have_been_removed(now: datetime) -> None:
    at = now - timedelta(days=4)
    polled(now, handed("load", at, kept=HOUR, size=7_000_000, read_at=at), handed("new", now))
    one = found(now)["storage.left:files"]
    assert one.detector == "handoffs-not-removed"
    assert "7\N{NO-BREAK SPACE}MB" in one.sentence


def test_silence(now: datetime) -> None:
    at = now - 7 * HOUR
    polled(now, handed("load", at, kept=9 * HOUR, read_at=at))
    assert found(now)["storage.quiet:files"].detector == "storage-quiet"


def test_it_takes_four_queries(now: datetime, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    polled(now, *(handed(f"dag{number}", now - 3 * HOUR, kept=HOUR) for number in range(50)))
    with django_assert_num_queries(4):
        findings(now)

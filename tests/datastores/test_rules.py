"""The verdict on RDS and ElastiCache."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from console.datastores.rules import Change, Facts, What, changes, judge, statement
from console.lib.status import Status
from console.platform.readings import DatastoreReading
from console.platform.rules import Sight, SourceState, sight
from console.platform.sources import DATASTORES
from tests.datastores.made import CACHE, RDS


@pytest.fixture
def seen(now: datetime) -> Sight:
    return sight(DATASTORES, SourceState(as_of=now), now)


def facts(reading: DatastoreReading) -> Facts:
    return Facts(reading.id, reading.kind, reading.identifier, reading)


@pytest.mark.parametrize(
    ("reading", "more", "status", "says"),
    [
        (RDS, {}, Status.HEALTHY, "is available"),
        (RDS, {"standby_zone": None}, Status.HEALTHY, "is available"),
        (RDS, {"status": "backing-up"}, Status.HEALTHY, "is available"),
        (RDS, {"status": "modifying"}, Status.DEGRADED, "is modifying"),
        (RDS, {"status": "rebooting"}, Status.FAILING, "is rebooting"),
        (RDS, {"status": "storage-full"}, Status.FAILING, "is storage-full"),
        (RDS, {"status": "a-word-of-tomorrow"}, Status.FAILING, "is a-word-of-tomorrow"),
        (RDS, {"status": ""}, Status.UNKNOWN, "may be down"),
        (RDS, {"multi_az": False}, Status.DEGRADED, "has no standby in another zone"),
        (RDS, {"multi_az": False, "replicas": 2}, Status.DEGRADED, "has no standby in another zone"),
        (RDS, {"multi_az": None}, Status.UNKNOWN, "may have no standby"),
        (RDS, {"multi_az": False, "status": "rebooting"}, Status.FAILING, "is rebooting"),
        (RDS, {"engine": "aurora-postgresql 17", "multi_az": False, "replicas": 1}, Status.HEALTHY, "is available"),
        (RDS, {"engine": "aurora-postgresql 17", "multi_az": False}, Status.DEGRADED, "has no standby in another zone"),
        (CACHE, {}, Status.HEALTHY, "is available"),
        (CACHE, {"status": "snapshotting"}, Status.HEALTHY, "is available"),
        (CACHE, {"status": "create-failed"}, Status.FAILING, "is create-failed"),
        (CACHE, {"replicas": 0}, Status.DEGRADED, "has no replica"),
        (CACHE, {"multi_az": False}, Status.DEGRADED, "does not fail over to another zone by itself"),
        (CACHE, {"multi_az": None}, Status.UNKNOWN, "may have no standby"),
        (CACHE, {"replicas": None}, Status.UNKNOWN, "may have no standby"),
    ],
)
def test_the_verdict(reading: DatastoreReading, more: dict[str, Any], status: Status, says: str, seen: Sight) -> None:
    found = judge(facts(replace(reading, **more)), seen)
    assert (found.status, found.says) == (status, says)
    assert found.reason.endswith(".")


def test_one_that_aws_does_not_know_is_failing(seen: Sight) -> None:
    found = judge(Facts("queue", "elasticache", "airflow-queue", None), seen)
    assert (found.status, found.says) == (Status.FAILING, "does not exist")
    assert "airflow-queue" in found.reason
    assert "platform.yaml" in found.remedy


def test_one_that_was_declared_a_moment_ago_is_unknown(seen: Sight) -> None:
    assert judge(None, seen).status == Status.UNKNOWN


def test_what_cannot_be_seen_is_unknown(now: datetime) -> None:
    blind = sight(DATASTORES, SourceState(as_of=now, error="it refuses"), now + timedelta(minutes=1))
    found = judge(facts(RDS), blind)
    assert (found.status, found.reason) == (Status.UNKNOWN, "RDS and ElastiCache can't be seen: it refuses.")


def test_a_failover_is_another_primary_or_another_zone() -> None:
    zone = replace(RDS, primary_zone="eu-north-1b", standby_zone="eu-north-1a")
    node = replace(CACHE, primary="airflow-queue-002")
    assert changes(RDS, zone) == (
        Change(What.ROLE, "airflow-metadata in eu-north-1a", "airflow-metadata in eu-north-1b"),
    )
    assert [one.what for one in changes(CACHE, node)] == [What.ROLE]


def test_a_role_that_is_not_told_is_no_failover() -> None:
    assert changes(CACHE, replace(CACHE, primary=None, primary_zone=None)) == ()
    assert changes(replace(CACHE, primary=None), CACHE) == ()


def test_another_state_is_a_change() -> None:
    assert changes(RDS, replace(RDS, status="rebooting")) == (Change(What.STATE, "available", "rebooting"),)
    assert changes(None, RDS) == changes(RDS, None) == changes(RDS, RDS) == ()


def test_the_statement_names_the_worst(seen: Sight) -> None:
    well, alone = judge(facts(RDS), seen), judge(facts(replace(CACHE, replicas=0)), seen)
    gone = judge(Facts("x", "rds", "x", None), seen)
    assert statement([("metadata-db", well), ("queue", alone)], seen) == "queue has no replica"
    assert statement([("a", gone), ("queue", alone), ("b", gone)], seen) == "a and b are failing"
    assert statement([("a", well), ("b", well)], seen) == "2\N{NO-BREAK SPACE}datastores available, each with a standby"
    assert statement([], seen) == "No datastore is declared"

"""Airflow 2 has only v1 of the API: health and pools are read from it, by basic authentication."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from console.platform.airflow import Airflow
from console.platform.ports import PlatformError
from tests.platform.conftest import declared_airflow
from tests.platform.fake_airflow import FakeAirflow


@pytest.fixture
def old() -> Iterator[FakeAirflow]:
    server = FakeAirflow(version="2.11.0")
    yield server
    server.close()


def test_health_and_version_are_read_and_nothing_is_said_of_jobs(old: FakeAirflow) -> None:
    reading = Airflow(declared_airflow(old.url)).scheduler()
    assert reading.version == "2.11.0"
    assert reading.jobs == ()
    assert reading.dags is None
    assert next(each for each in reading.components if each.kind == "scheduler").status == "healthy"


def test_pools_are_read(old: FakeAirflow) -> None:
    assert [each.name for each in Airflow(declared_airflow(old.url)).pools()] == ["default_pool"]


def test_a_wrong_password_is_told(old: FakeAirflow) -> None:
    with pytest.raises(PlatformError) as raised:
        Airflow(declared_airflow(old.url, password="wrong")).pools()
    assert raised.value.code == "unauthorised"


def test_tasks_are_unsupported(old: FakeAirflow) -> None:
    with pytest.raises(PlatformError) as raised:
        Airflow(declared_airflow(old.url)).tasks(["default"], limit=10)
    assert raised.value.code == "unsupported"
    assert raised.value.permanent


def test_which_api_there_is_is_found_out_once(old: FakeAirflow) -> None:
    airflow = Airflow(declared_airflow(old.url))
    airflow.pools()
    airflow.scheduler()
    assert old.calls["/api/v2/version"] == old.calls["/api/v1/version"] == 1

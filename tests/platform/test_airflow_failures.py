"""Each way in which Airflow's API can fail is one PlatformError with a code and a remedy, in bounded time."""

from __future__ import annotations

import time

import pytest

from console.platform.airflow import Airflow
from console.platform.ports import PlatformError
from tests.platform import fake_airflow as faults
from tests.platform.conftest import declared_airflow
from tests.platform.fake_airflow import SECRET, FakeAirflow
from tests.services import free_port


def failure(airflow: Airflow) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        airflow.pools()
    assert raised.value.remedy
    assert SECRET not in str(raised.value)
    return raised.value


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        (faults.status(403), "forbidden", "does not let this user read /api/v2/pools"),
        (faults.status(404), "not_found", "there is no /api/v2/pools"),
        (faults.status(422), "rejected", "answered 422"),
        (faults.status(429), "throttled", "refuses more requests"),
        (faults.status(500), "unavailable", "answered 500"),
        (faults.status(503), "unavailable", "answered 503"),
        (faults.html, "malformed", "a web page"),
        (faults.body(b'{"pools": ['), "malformed", "not JSON"),
        (faults.body(b"[]"), "malformed", "no list of pools"),
        (faults.body(b'{"pools": [{"name": "x"}], "total_entries": 1}'), "malformed", "a pool without slots"),
        (faults.body(b'{"pools": []}'), "malformed", "no total_entries"),
        (faults.truncated, "unavailable", "broke"),
        (faults.hang_up, "unavailable", "broke"),
        (faults.hang, "timeout", "did not answer in time"),
        (faults.trickle, "timeout", "took longer than 2 s"),
        (faults.redirect, "rejected", "redirects /api/v2/pools to https://sso.example.com/login"),
    ],
)
def test_an_answer_that_can_not_be_used(fake: FakeAirflow, airflow: Airflow, fault, code: str, says: str) -> None:
    airflow.scheduler()  # signed in, version known
    fake.fail("/api/v2/pools", fault)
    began_s = time.monotonic()
    error = failure(airflow)
    assert error.code == code
    assert says in error.message
    assert time.monotonic() - began_s < 3


def test_nothing_listens_there() -> None:
    error = failure(Airflow(declared_airflow(f"http://127.0.0.1:{free_port()}"), poll_s=1))
    assert error.code == "refused"
    assert "AIRFLOW_URL" in error.remedy


def test_a_server_that_accepts_and_never_answers(silent: int) -> None:
    began_s = time.monotonic()
    assert failure(Airflow(declared_airflow(f"http://127.0.0.1:{silent}"), poll_s=1)).code == "timeout"
    assert time.monotonic() - began_s < 2


def test_a_host_that_does_not_exist() -> None:
    assert failure(Airflow(declared_airflow("http://airflow.invalid"), poll_s=2)).code in {"refused", "timeout"}


def test_https_where_only_http_is_spoken(fake: FakeAirflow) -> None:
    error = failure(Airflow(declared_airflow(fake.url.replace("http:", "https:")), poll_s=1))
    assert error.code in {"refused", "malformed"}


def test_something_else_than_airflow(fake: FakeAirflow) -> None:
    error = failure(Airflow(declared_airflow(f"{fake.url}/wrong/prefix")))
    assert error.code == "not_found"
    assert "no Airflow API" in error.message
    assert "AIRFLOW_URL" in error.remedy


@pytest.mark.parametrize("fault", [faults.status(502), faults.status(503), faults.status(504), faults.hang_up])
def test_a_blip_is_retried(fake: FakeAirflow, airflow: Airflow, fault) -> None:
    fake.fail("/api/v2/pools", fault, times=2)
    assert airflow.pools()
    assert fake.calls["/api/v2/pools"] == 3


def test_an_error_of_its_own_is_not_retried(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/api/v2/pools", faults.status(500), times=1)
    failure(airflow)
    assert airflow.pools()


def test_it_mends_without_a_restart(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/", faults.status(503))
    failure(airflow)
    fake.faults.clear()
    assert airflow.pools()


def test_pages_stop_when_time_runs_out_and_say_that_they_are_not_all(fake: FakeAirflow) -> None:
    airflow = Airflow(declared_airflow(fake.url), poll_s=3)
    fake.instances = [faults.instance(n) for n in range(1000)]

    def slow(handler) -> bool:
        time.sleep(0.2)
        return False

    fake.fail("/api/v2/dags/~", slow)
    reading = airflow.tasks(["default"], limit=1000)
    assert reading.total_running == 1000
    assert 0 < len(reading.instances) < 1000
    assert not reading.complete


def test_what_this_user_may_not_count_is_left_out(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/api/v2/importErrors", faults.status(403))
    reading = airflow.scheduler()
    assert reading.import_errors is None
    assert reading.dags == 7

"""The token of Airflow's API: one sign-in, used by all, renewed when it is time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from console.platform.airflow import Airflow
from console.platform.ports import PlatformError
from tests.platform.conftest import declared_airflow
from tests.platform.fake_airflow import FakeAirflow, html, status


def test_one_sign_in_serves_every_poll_and_thread(fake: FakeAirflow, airflow: Airflow) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: airflow.pools(), range(16)))
    assert fake.calls["/auth/token"] == 1


def test_a_token_is_renewed_before_it_expires(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.token_lives_s = 30  # less than the margin
    airflow.pools()
    airflow.pools()
    assert fake.calls["/auth/token"] == 2


def test_a_token_that_airflow_no_longer_knows_is_renewed_once(fake: FakeAirflow, airflow: Airflow) -> None:
    airflow.pools()
    fake.tokens.clear()
    assert airflow.pools()
    assert fake.calls["/auth/token"] == 2


def test_a_user_without_rights_is_not_signed_in_again_and_again(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/api/v2/pools", status(401))
    with pytest.raises(PlatformError) as raised:
        airflow.pools()
    assert raised.value.code == "unauthorised"
    assert fake.calls["/auth/token"] == 2


def test_a_wrong_password_names_the_variables_and_is_tried_again_only_after_a_while(fake: FakeAirflow) -> None:
    airflow = Airflow(declared_airflow(fake.url, password="wrong-secret"))
    for _ in range(5):
        with pytest.raises(PlatformError) as raised:
            airflow.pools()
    assert raised.value.code == "unauthorised"
    assert raised.value.permanent
    assert "AIRFLOW_USERNAME" in raised.value.remedy
    assert "AIRFLOW_PASSWORD" in raised.value.remedy
    assert "wrong-secret" not in repr(raised.value) + str(raised.value)
    assert fake.calls["/auth/token"] == 1


def test_a_fixed_token_is_sent_as_it_is_and_blamed_when_refused(fake: FakeAirflow) -> None:
    fake.tokens.add("fixed")
    assert Airflow(declared_airflow(fake.url, "", "", token="fixed")).pools()
    with pytest.raises(PlatformError) as raised:
        Airflow(declared_airflow(fake.url, "", "", token="stale")).pools()
    assert raised.value.code == "unauthorised"
    assert "AIRFLOW_TOKEN" in raised.value.remedy
    assert fake.calls["/auth/token"] == 0


def test_a_sign_in_page_instead_of_a_token_is_malformed(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/auth/token", html)
    with pytest.raises(PlatformError, match="a web page") as raised:
        airflow.pools()
    assert raised.value.code == "malformed"


def test_sign_in_counts_against_the_time_of_the_poll(fake: FakeAirflow, silent: int) -> None:
    airflow = Airflow(declared_airflow(f"http://127.0.0.1:{silent}"), poll_s=0.5)
    began_s = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        airflow.pools()
    assert raised.value.code == "timeout"
    assert time.monotonic() - began_s < 1.5

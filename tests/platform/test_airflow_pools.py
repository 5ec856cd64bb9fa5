"""Changes of pools: each can be repeated, none is sent twice by itself, and what Airflow says against it is told."""

from __future__ import annotations

import pytest

from console.platform.airflow import Airflow
from console.platform.ports import PlatformError
from tests.platform import fake_airflow as faults
from tests.platform.fake_airflow import FakeAirflow


def slots(airflow: Airflow) -> dict[str, int]:
    return {pool.name: pool.slots for pool in airflow.pools()}


def test_a_pool_is_made_changed_and_removed(airflow: Airflow) -> None:
    for number in (4, 6, 6):
        airflow.put_pool("my pool/ä", number, "for tests", True)
        assert slots(airflow)["my pool/ä"] == number
    pool = next(each for each in airflow.pools() if each.name == "my pool/ä")
    assert (pool.description, pool.include_deferred) == ("for tests", True)
    airflow.delete_pool("my pool/ä")
    airflow.delete_pool("my pool/ä")
    assert slots(airflow) == {"default_pool": 128}


def test_what_airflow_says_against_it_is_told(airflow: Airflow) -> None:
    with pytest.raises(PlatformError, match="Default Pool can't be deleted") as raised:
        airflow.delete_pool("default_pool")
    assert raised.value.code == "rejected"


@pytest.mark.parametrize("fault", [faults.status(503), faults.hang_up, faults.hang])
def test_a_change_whose_answer_is_lost_is_not_sent_again(fake: FakeAirflow, airflow: Airflow, fault) -> None:
    airflow.pools()
    fake.fail("/api/v2/pools/batch", fault)
    with pytest.raises(PlatformError) as raised:
        airflow.put_pool("batch", 4, "", False)
    assert raised.value.code in {"unavailable", "timeout"}
    assert fake.calls["/api/v2/pools/batch"] == 1


def test_a_user_that_may_not_change_pools_is_told(fake: FakeAirflow, airflow: Airflow) -> None:
    fake.fail("/api/v2/pools/batch", faults.status(403))
    with pytest.raises(PlatformError) as raised:
        airflow.put_pool("batch", 4, "", False)
    assert raised.value.code == "forbidden"

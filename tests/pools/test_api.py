"""GET /api/v1/pools."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.platform.models import remember_success
from console.platform.sources import POOLS
from console.pools.poll import save_pools
from tests.api.asking import bearer, token_for
from tests.pools.made import DEFAULT, FREE, MERGE, seen

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(headers=bearer(token_for(Role.VIEWER)))


def test_a_pool_is_told_as_airflow_told_it(client: Client) -> None:
    at = timezone.now()
    seen(at, MERGE)
    (pool,) = client.get("/api/v1/pools").json()
    revision, reason, age_s = pool.pop("revision"), pool.pop("reason"), pool.pop("age_s")
    assert pool == {
        "name": "warehouse_merge",
        "slots": 32,
        "running": 28,
        "queued": 2,
        "deferred": 2,
        "waiting": 11,
        "open": 0,
        "occupied": 32,
        "description": "Merges into the warehouse",
        "include_deferred": True,
        "declared": None,
        "drift": None,
        "status": "degraded",
        "as_of": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    assert len(revision) == 16
    assert "tasks for 11" in reason
    assert 0 <= age_s < 60


def test_a_pool_without_a_limit_has_minus_one_slots_as_in_airflow(client: Client) -> None:
    seen(timezone.now(), FREE)
    pool = client.get("/api/v1/pools/free").json()
    assert (pool["slots"], pool["open"], pool["status"]) == (-1, -1, "healthy")


def test_past_the_limit_the_figures_are_null_and_the_status_says_unknown(client: Client) -> None:
    at = timezone.now() - timedelta(seconds=POOLS.limit_s + 5)
    save_pools([DEFAULT], at)
    remember_success(POOLS.name, at, 0.1)
    (pool,) = client.get("/api/v1/pools").json()
    assert pool["status"] == "unknown"
    assert {pool[name] for name in ("slots", "running", "queued", "deferred", "open", "waiting", "occupied")} == {None}
    assert pool["age_s"] > POOLS.limit_s
    assert pool["name"] == "default_pool"


def test_a_pool_nobody_knows_names_the_nearest(client: Client) -> None:
    seen(timezone.now(), DEFAULT, MERGE)
    answer = client.get("/api/v1/pools/warehouse_merg")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "No pool is called warehouse_merg. Did you mean warehouse_merge?"


def test_without_a_token_nothing_is_told() -> None:
    assert Client().get("/api/v1/pools").status_code == 401

"""GET /api/v1/freshness and below."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from tests.api.asking import bearer, token_for
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return Client(headers=bearer(token_for(Role.VIEWER)))


def test_each_declared_table_with_its_lag_and_without_a_watermark(client: Client) -> None:
    made.level(timezone.now(), latency_s=3.0)
    answer = client.get("/api/v1/freshness")
    assert answer.headers["X-Total-Count"] == "2"
    customers, orders = answer.json()
    assert customers["table"] == CUSTOMERS.name
    assert (
        orders.items()
        >= {
            "table": ORDERS.name,
            "source": "shop",
            "task": "shop-cdc",
            "warehouse": "public.orders",
            "watermark": None,
            "lag_s": 3.0,
            "slo_s": 300.0,
            "status": "healthy",
            "verdict": "fresh",
            "cutoffs": [],
            "state": "Table completed",
        }.items()
    )
    assert "heartbeats are not written yet" in orders["watermark_reason"]
    assert orders["reason"].startswith("At most 3")
    assert 0 <= orders["age_s"] < 60


def test_tables_are_narrowed_and_paged(client: Client) -> None:
    made.level(timezone.now(), [made.table(f"t{number:02}") for number in range(30)])
    assert [row["table"] for row in client.get("/api/v1/freshness?q=t2&limit=2&offset=1").json()] == [
        "shop.public.t21",
        "shop.public.t22",
    ]
    assert client.get("/api/v1/freshness?status=failing").json() == []
    assert len(client.get("/api/v1/freshness?status=healthy").json()) == 30
    assert client.get("/api/v1/freshness?limit=0").status_code == 422
    assert client.get("/api/v1/freshness?status=green").status_code == 422


def test_before_the_first_poll_declared_tables_are_unknown(client: Client) -> None:
    rows = client.get("/api/v1/freshness").json()
    assert [(row["table"], row["status"], row["lag_s"], row["as_of"]) for row in rows] == [
        (CUSTOMERS.name, "unknown", None, None),
        (ORDERS.name, "unknown", None, None),
    ]


def test_one_table(client: Client) -> None:
    made.level(timezone.now())
    assert client.get(f"/api/v1/freshness/tables/{ORDERS.name}").json()["status"] == "healthy"


def test_a_table_nobody_declared_names_the_nearest(client: Client) -> None:
    answer = client.get("/api/v1/freshness/tables/shop.public.order")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == f"No table is called shop.public.order. Did you mean {ORDERS.name}?"


def test_its_lag_over_time(client: Client) -> None:
    at = timezone.now()
    made.level(at - timedelta(seconds=60))
    made.level(at)
    made.dms(at, made.task(at, latency_s=9.0))
    history = client.get(f"/api/v1/freshness/tables/{ORDERS.name}/history?range=1h").json()
    assert (history["table"], history["slo_s"], history["step_s"]) == (ORDERS.name, 300.0, 15)
    seen = [point["lag_s"] for point in history["points"] if point["lag_s"] is not None]
    assert seen[-1] == 9.0
    assert history["points"][0]["lag_s"] is None
    assert client.get(f"/api/v1/freshness/tables/{ORDERS.name}/history?range=99y").status_code == 422


def test_past_the_limit_the_lag_is_null(client: Client) -> None:
    made.level(timezone.now() - timedelta(minutes=2))
    row = client.get(f"/api/v1/freshness/tables/{ORDERS.name}").json()
    assert (row["status"], row["lag_s"], row["verdict"]) == ("unknown", None, "unknown")
    assert row["age_s"] >= 120

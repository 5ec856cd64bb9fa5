"""The pages /freshness/ and /freshness/TABLE/."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from tests.freshness import made
from tests.freshness.made import CUSTOMERS, ORDERS

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(User.objects.create_user(username="vera", password="correct-horse-battery"))
    return client


def shown(client: Client, address: str = "/freshness/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_is_not_signed_in_sees_nothing(client: Client) -> None:
    for address in ("/freshness/", f"/freshness/{ORDERS.name}/", f"/freshness/{ORDERS.name}/lag.json"):
        assert client.get(address).status_code == 302


def test_each_table_is_a_row_that_leads_to_its_page(viewer: Client) -> None:
    made.level(timezone.now())
    html = shown(viewer)
    for table in (ORDERS, CUSTOMERS):
        assert f'href="/freshness/{table.name}/"' in html
    assert "evidence, not proof" in html


def test_a_long_list_is_paged(viewer: Client) -> None:
    made.level(timezone.now(), [made.table(f"t{number:05}") for number in range(120)])
    html = shown(viewer, "/freshness/?sort=name&page=2")
    assert 'id="table-shop.public.t00050"' in html
    assert 'id="table-shop.public.t00049"' not in html
    assert "51–100 of 120 tables" in html
    assert 'rel="next" href="?sort=name&amp;page=3"' in html


def test_a_tables_page_labels_its_stamps_as_evidence(viewer: Client) -> None:
    made.level(timezone.now())
    html = shown(viewer, f"/freshness/{ORDERS.name}/")
    assert "evidence, not proof" in html
    assert "Lineage of" in html
    assert f'data-src="/freshness/{ORDERS.name}/lag.json?range=6h"' in html


def test_the_chart_is_answered_as_json(viewer: Client) -> None:
    made.level(timezone.now())
    answer = viewer.get(f"/freshness/{ORDERS.name}/lag.json?range=nonsense")
    assert answer.json()["series"][0]["label"] == "lag"


def test_a_table_nobody_declared_is_not_there(viewer: Client) -> None:
    for address in ("/freshness/shop.public.nothing/", "/freshness/shop.public.nothing/lag.json"):
        assert viewer.get(address).status_code == 404


def test_past_the_limit_no_lag_is_left(viewer: Client) -> None:
    made.level(timezone.now() - timedelta(minutes=2))
    html = shown(viewer)
    assert "is-stale-now" in html
    assert "Freshness of 2\N{NO-BREAK SPACE}tables is unknown" in html


def test_before_the_first_poll_it_waits_for_a_reading(viewer: Client) -> None:
    assert "Waiting for the first reading" in shown(viewer)
    assert "unknown" in shown(viewer, f"/freshness/{ORDERS.name}/")

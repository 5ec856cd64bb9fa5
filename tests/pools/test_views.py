"""The page /pools/."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.platform.sources import POOLS
from tests.pools.made import DEFAULT, FREE, MERGE, seen

pytestmark = pytest.mark.django_db


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(User.objects.create_user(username="vera", password="correct-horse-battery"))
    return client


def shown(client: Client, address: str = "/pools/") -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_is_not_signed_in_sees_nothing(client: Client) -> None:
    assert client.get("/pools/").status_code == 302


def test_the_finding_is_the_heading_and_each_pool_a_row(viewer: Client) -> None:
    seen(timezone.now(), DEFAULT, MERGE, FREE)
    html = shown(viewer)
    assert "warehouse_merge is full and starves its tasks" in html
    for name in ("default_pool", "warehouse_merge", "free"):
        assert f'id="pool-{name}"' in html
    assert "28 running, 2 queued, 2 deferred, 0 open of 32" in html
    assert "no limit" in html


def test_links_keep_what_was_chosen(viewer: Client) -> None:
    seen(timezone.now(), DEFAULT, MERGE)
    html = shown(viewer, "/pools/?q=merge&state=starving&sort=name")
    assert 'id="pool-default_pool"' not in html
    assert 'href="?q=merge&amp;state=starving&amp;sort=-running"' in html
    assert 'name="state" value="starving"' in html


def test_a_description_is_text_and_never_markup(viewer: Client) -> None:
    seen(timezone.now(), replace(DEFAULT, description="<script>alert(1)</script>"))
    assert "<script>alert" not in shown(viewer)


def test_before_anything_was_read_it_says_so(viewer: Client) -> None:
    html = shown(viewer)
    assert "Airflow&#39;s pools have not been read yet" in html
    assert "Airflow&#39;s pools can&#39;t be seen" in html


def test_past_the_limit_no_figure_is_left(viewer: Client) -> None:
    seen(timezone.now() - timedelta(seconds=POOLS.limit_s + 1), MERGE)
    html = shown(viewer)
    assert "is-stale-now" in html
    assert "of 32" not in html
    assert "28 running" not in html


def test_a_search_that_finds_nothing_says_so(viewer: Client) -> None:
    seen(timezone.now(), DEFAULT)
    assert "No pool matches" in shown(viewer, "/pools/?q=nothing-like-it")

"""A table's page in the browser, with cutoffs of which Airflow was told, is not told yet, and can't be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from console.freshness.records import AssetNews, CutoffRow
from tests.browser.page import DESKTOP, PHONE, THEMES, Page
from tests.freshness.made import CUSTOMERS, ORDERS
from tests.freshness.story import Story

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
ASSET = "warehouse://shop/" + "a-name-that-is-longer-than-a-phone-is-wide-" * 2


@pytest.fixture(scope="module")
def story(console_server: str, django_db_blocker: Any) -> Iterator[None]:
    from django.core.management import call_command

    with django_db_blocker.unblock(), transaction.atomic():
        now = timezone.now()
        Story(now - timedelta(minutes=6)).go(6)
        cutoffs = [now - timedelta(minutes=10 * number + 1) for number in range(4)]
        for number, at in enumerate(cutoffs):
            row = {"at": at, "deadline": at + timedelta(minutes=2), "asset": ASSET, "origin": "calendar"}
            CutoffRow.objects.create(table=ORDERS.name, met_at=at + timedelta(seconds=40) if number else None, **row)
            CutoffRow.objects.create(table=CUSTOMERS.name, met_at=at if number > 1 else None, **row)
        news = {"asset": ASSET, "tables": "[]", "created_at": now, "next_at": now, "attempts": 4}
        error = f"Airflow has no active asset of the name or URI {ASSET}"
        AssetNews.objects.create(cutoff=cutoffs[2], error=error, remedy="A DAG must name it, as its schedule.", **news)
        AssetNews.objects.create(cutoff=cutoffs[3], sent_at=now, event_id=4711, **news)
    yield
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


@pytest.mark.usefixtures("story")
@pytest.mark.parametrize("theme", THEMES)
def test_it_has_no_fault_and_says_what_airflow_was_told(sign_in: Callable[..., Page], theme: str) -> None:
    page = sign_in("viewer")
    for size in (DESKTOP, PHONE):
        page.open(f"/freshness/{ORDERS.name}/", theme, size)
        page.until(lambda: len(page.all(".qd-chart canvas")) == len(page.all(".qd-chart")))
        page.shoot(f"table-{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"at {size[0]} px"
    said = page.text("#told")
    assert "Not told yet: this table has not met the cutoff." in said
    assert f"Not told yet: it is not met by {CUSTOMERS.name}." in said
    assert "A DAG must name it, as its schedule. Tried 4" in said
    assert "Told: event 4711, at try 4." in said
    page.assert_no_console_errors()

"""Error budgets that burn become findings: fast ones wake somebody, slow ones warn, old figures say nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.freshness import budget
from console.freshness.findings import findings
from console.freshness.models import AssetNews, TableSnapshot
from console.freshness.pages import lag_series
from console.history import series
from console.incidents.findings import Finding, Severity
from tests.freshness.made import CUSTOMERS, ORDERS, table
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return Story(timezone.now()).go(5)


def lags(now: datetime, minutes: range, lag_s: float, name: str = ORDERS.name) -> None:
    """A sample a minute, so many minutes ago."""
    for minute in minutes:
        series.record([(lag_series(name), lag_s)], now - timedelta(minutes=minute, seconds=20))


def burning(now: datetime) -> dict[str, Finding]:
    return {one.key: one for one in findings(now).findings if one.detector in {"budget-burning", "asset-event-late"}}


def bad(now: datetime, *names: str) -> None:
    TableSnapshot.objects.update(bad_at=None)
    TableSnapshot.objects.filter(name__in=names or (ORDERS.name,)).update(bad_at=now)


def test_an_hour_in_which_a_fifth_was_late_and_still_is_wakes_somebody(story: Story) -> None:
    lags(story.now, range(59, 12, -1), 10)
    lags(story.now, range(12, -1, -1), 900)
    bad(story.now)
    assert budget.reckon(story.now) == 1
    (found,) = burning(story.now).values()
    assert (found.key, found.severity) == ("freshness.burn:shop-cdc", Severity.CRITICAL)
    assert found.impact == (ORDERS.name,)
    assert "× in 1\xa0h" in found.sentence
    assert found.sentence.endswith("99% of good minutes allows.")
    assert "freshness.task:shop-cdc" in found.causes


def test_a_few_late_minutes_in_days_are_a_warning(story: Story) -> None:
    lags(story.now, range(355, 310, -1), 10)
    lags(story.now, range(310, 290, -1), 900)
    lags(story.now, range(290, -1, -1), 10)
    bad(story.now - timedelta(hours=4.9))
    budget.reckon(story.now)
    found = burning(story.now)["freshness.burn:shop-cdc"]
    assert (found.severity, found.facts[0].status) == (Severity.WARNING, "degraded")
    assert "used too fast" in found.title


def test_it_is_over_when_the_short_windows_have_recovered_and_tables_that_were_well_are_not_reckoned(
    story: Story,
) -> None:
    lags(story.now, range(59, -1, -1), 900)
    bad(story.now)
    budget.reckon(story.now)
    assert burning(story.now)
    later = story.now + timedelta(days=1)
    lags(later, range(500, -1, -1), 10)
    assert budget.reckon(later) == 1  # it has an alarm, though no bad minute of late
    assert TableSnapshot.objects.get(name=ORDERS.name).alarm == ""
    assert budget.reckon(later) == 0


def test_figures_of_long_ago_say_nothing_and_resolve_nothing(story: Story) -> None:
    lags(story.now, range(59, -1, -1), 900)
    bad(story.now)
    budget.reckon(story.now)
    TableSnapshot.objects.update(burned_at=story.now - timedelta(hours=1))
    assert burning(story.now) == {}
    assert "freshness.burn:shop-cdc" in findings(story.now).unseen


def test_a_poll_notes_when_a_table_was_late_or_unknown_and_leaves_the_alarm_alone(story: Story) -> None:
    row = story.table()
    assert row.bad_at is not None  # it was unknown at first
    TableSnapshot.objects.update(bad_at=None, alarm="page")
    story.step()
    assert (story.table().bad_at, story.table().alarm) == (None, "page")
    story.held_since = story.now
    story.go(7)
    assert story.table().bad_at == story.now


def test_many_tables_are_reckoned_round_by_round_in_three_queries_each(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = [table(f"t{number}") for number in range(7)]
    story = Story(timezone.now(), tables).go(1)
    monkeypatch.setattr(budget, "AT_ONCE", 3)
    for one in tables:
        lags(story.now, range(59, -1, -1), 900, one.name)
    bad(story.now, *(one.name for one in tables))
    for _ in range(3):
        with CaptureQueriesContext(connection) as queries:
            budget.reckon(story.now)
        assert len(queries) == 3
    (found,) = burning(story.now).values()
    assert set(found.impact) == {one.name for one in tables}
    assert "7\xa0tables" in found.title


def test_an_asset_event_that_does_not_come_about_is_told_with_why(story: Story) -> None:
    cutoff, asset = story.now - timedelta(hours=1), "warehouse://shop/day"
    AssetNews.objects.create(
        asset=asset,
        cutoff=cutoff,
        tables=f'["{CUSTOMERS.name}"]',
        created_at=story.now - timedelta(minutes=5),
        next_at=story.now,
        error=f"Airflow has no active asset of the name or URI {asset}",
        remedy="A DAG must name it.",
    )
    assert burning(story.now) == {}  # it may still come
    AssetNews.objects.update(created_at=story.now - timedelta(minutes=11))
    found = burning(story.now)[f"freshness.asset:{asset}"]
    assert found.severity == Severity.ERROR
    assert "no active asset" in found.sentence
    assert found.recommended is not None
    assert found.recommended.text == "A DAG must name it."
    AssetNews.objects.update(sent_at=story.now)
    assert burning(story.now) == {}

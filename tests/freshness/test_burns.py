"""Error budgets that burn become findings: fast ones wake somebody, slow ones warn, old figures say nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.freshness import budget, minutes
from console.freshness.findings import findings
from console.freshness.findings_promises import of_burns
from console.freshness.models import TableSnapshot
from console.freshness.records import AssetNews, BadHour, Burning, WatchedHour
from console.incidents.findings import Finding, Severity
from tests.freshness.made import CUSTOMERS, ORDERS, table
from tests.freshness.story import Story

pytestmark = pytest.mark.django_db


@pytest.fixture
def story() -> Story:
    return Story(timezone.now()).go(5)


def polled(now: datetime, back: range, *bad: str) -> None:
    """A poll in each of so many minutes ago, which found these tables bad."""
    for minute in back:
        minutes.note(sorted(bad), now - timedelta(minutes=minute))


def burning(now: datetime) -> dict[str, Finding]:
    return {one.key: one for one in findings(now).findings if one.detector in {"budget-burning", "asset-event-late"}}


def burning_of() -> tuple[Finding, ...]:
    """Whatever else can be seen or not."""
    newest = Burning.objects.order_by("-reckoned_at").first()
    return of_burns(Burning.objects.all(), newest.reckoned_at).findings if newest else ()


def known(since: datetime) -> None:
    """All that was judged until now is forgotten; the lags are proven since then."""
    BadHour.objects.all().delete()
    WatchedHour.objects.all().delete()
    TableSnapshot.objects.update(known_since=since)


def test_an_hour_in_which_a_fifth_was_late_and_still_is_wakes_somebody(story: Story) -> None:
    known(story.now - timedelta(minutes=59))
    polled(story.now, range(59, 12, -1))
    polled(story.now, range(12, -1, -1), ORDERS.name)
    assert budget.reckon(story.now) == 1
    (found,) = burning(story.now).values()
    assert (found.key, found.severity) == ("freshness.burn:shop-cdc", Severity.CRITICAL)
    assert found.impact == (ORDERS.name,)
    assert "21.7× in 1\xa0h" in found.sentence
    assert found.sentence.endswith("99% of good minutes allows.")
    assert "freshness.task:shop-cdc" in found.causes


def test_a_few_late_minutes_in_days_are_a_warning(story: Story) -> None:
    known(story.now - timedelta(minutes=355))
    polled(story.now, range(355, 310, -1))
    polled(story.now, range(310, 290, -1), ORDERS.name)
    polled(story.now, range(290, -1, -1))
    budget.reckon(story.now)
    found = burning(story.now)["freshness.burn:shop-cdc"]
    assert (found.severity, found.facts[0].status) == (Severity.WARNING, "degraded")
    assert "used too fast" in found.title


def test_it_is_over_when_the_short_windows_have_recovered(story: Story) -> None:
    known(story.now - timedelta(minutes=59))
    polled(story.now, range(59, -1, -1), ORDERS.name)
    budget.reckon(story.now)
    assert burning(story.now)
    later = story.now + timedelta(minutes=40)
    polled(later, range(39, -1, -1))
    budget.reckon(later)
    assert [one.severity for one in burning_of()] == [Severity.WARNING]  # six hours hold an hour of it
    later += timedelta(hours=6)
    polled(later, range(360, -1, -1))
    assert budget.reckon(later) == 0
    assert burning_of() == ()


def test_minutes_without_any_poll_are_bad_for_all(story: Story) -> None:
    known(story.now - timedelta(minutes=120))
    polled(story.now, range(120, 60, -1))
    polled(story.now, range(3, -1, -1))
    assert budget.reckon(story.now) == 2
    (found,) = burning(story.now).values()
    assert set(found.impact) == {ORDERS.name, CUSTOMERS.name}
    assert "console.blind:warehouse" in found.causes


def test_figures_of_long_ago_say_nothing_and_resolve_nothing(story: Story) -> None:
    known(story.now - timedelta(minutes=59))
    polled(story.now, range(59, -1, -1), ORDERS.name)
    budget.reckon(story.now)
    Burning.objects.update(reckoned_at=story.now - timedelta(hours=1))
    assert burning(story.now) == {}
    assert "freshness.burn:shop-cdc" in findings(story.now).unseen


def test_a_poll_notes_its_minute_and_the_tables_that_were_late_or_unknown_in_it(story: Story) -> None:
    """From the first proven lag on: before that there was nothing to be late with."""
    row = story.table()
    assert row.known_since is not None
    assert bad_minutes(ORDERS.name) <= {minutes.minute_of(row.known_since)}
    story.held_since = story.now
    story.go(8)
    late = {minutes.minute_of(row.proved_at) for row in [story.table()] if row.proved_at}
    assert late <= bad_minutes(ORDERS.name)
    began = minutes.minute_of(story.held_since) + 5  # its SLO
    assert bad_minutes(ORDERS.name) - {minutes.minute_of(row.known_since)} <= set(range(began, began + 4))
    assert bad_minutes(CUSTOMERS.name) <= {minutes.minute_of(row.known_since)}  # 15 minutes are its SLO
    story.held_since = None
    story.go(3)
    before = bad_minutes(ORDERS.name)
    story.warehouse_down = True
    story.go(3)
    assert minutes.minute_of(story.now) in bad_minutes(ORDERS.name) - before  # nothing is seen: unknown


def bad_minutes(table: str) -> set[int]:
    return {
        hour * 60 + bit
        for hour, bits in BadHour.objects.filter(table=table).values_list("hour", "bits")
        for bit in range(60)
        if bits >> bit & 1
    }


def test_a_table_that_heartbeats_are_not_written_for_any_more_has_bad_minutes_and_raises_no_alarm(
    story: Story,
) -> None:
    known(story.now - timedelta(hours=2))
    TableSnapshot.objects.update(also="unheard-of")
    story.go(2)
    assert len(bad_minutes(ORDERS.name)) >= 2
    assert budget.reckon(story.now) == 0


def test_ten_thousand_bad_tables_are_reckoned_at_once_and_the_worst_are_named(
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    tables = [table(f"t{number:05}") for number in range(10_000)]
    story = Story(timezone.now(), tables)
    TableSnapshot.objects.update(followed=True, known_since=story.now - timedelta(minutes=59))
    names = [one.name for one in tables]
    polled(story.now, range(59, -1, -1))
    last = minutes.minute_of(story.now)
    # Each tenth table was bad all the time, of the others table n in the newest n % 60 minutes.
    BadHour.objects.bulk_create(
        BadHour(hour=hour, table=name, bits=bits)
        for n, name in enumerate(names)
        if (length := 60 if n % 10 == 0 else n % 60)
        for hour, bits in minutes.masks(last - length + 1, last).items()
    )
    with django_assert_num_queries(7):  # two of them are the transaction's
        alarms = budget.reckon(story.now)
    expected = {
        name: 100.0 if n % 10 == 0 else n % 60 / 60 * 100 for n, name in enumerate(names) if n % 10 == 0 or n % 60
    }
    assert alarms == len(expected)  # from a bad minute on: 1/60 is more than 1 % over six hours and three days
    assert dict(Burning.objects.values_list("table", "hour")) == pytest.approx(expected)
    pages = {name for n, name in enumerate(names) if n % 10 == 0 or n % 60 >= 9}  # 14.4 times: 8.64 minutes
    assert set(Burning.objects.filter(alarm="page").values_list("table", flat=True)) == pages | {
        name for n, name in enumerate(names) if 3.6 <= n % 60 < 9
    }
    (found,) = burning_of()
    assert found.severity is Severity.CRITICAL
    assert len(found.impact) == 200
    assert found.impact[0] == names[0]


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

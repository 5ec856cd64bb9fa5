"""The error budget of a table: what counts as a bad minute, how it is counted, and when that is an alarm."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from console.freshness import minutes
from console.freshness.budget import ALL_WINDOWS, LENGTHS, WINDOWS, bad_shares, budget
from console.freshness.minutes import counted, look, masks, minute_of, note, watched
from console.freshness.models import TableSnapshot
from console.freshness.outlook import Alarm
from console.freshness.records import BadHour, CutoffRow, WatchedHour
from tests.freshness.made import ORDERS

BASE = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)


def at(minute: int) -> datetime:
    """In the middle of the minute; 0 is the newest."""
    return BASE + timedelta(minutes=minute)


@pytest.mark.parametrize(("first", "last"), [(0, 0), (59, 60), (60, 119), (61, 200), (-3, 7), (29_000_000, 29_004_319)])
def test_minutes_as_bits_of_their_hours_are_exactly_those(first: int, last: int) -> None:
    found = {hour * 60 + bit for hour, bits in masks(first, last).items() for bit in range(64) if bits >> bit & 1}
    assert found == set(range(first, last + 1))


def test_a_minute_without_a_poll_is_bad_for_all_but_the_current_one_may_still_get_its_first() -> None:
    all_of_it = masks(0, 100)
    for now in (100, 101):
        found = watched(all_of_it, now, 10)
        assert (found.last, [found.gone(length) for length in range(11)]) == (100, [0] * 11)
    late = watched(all_of_it, 103, 10)
    assert (late.last, late.gone(1), late.gone(2), late.gone(10)) == (102, 1, 2, 2)
    assert watched({}, 5, 3).gone(3) == 3


def test_shares_are_of_the_minutes_since_the_lag_was_first_proven() -> None:
    polled = watched(masks(1000 - LENGTHS[-1], 1000), 1000, LENGTHS[-1])
    assert bad_shares([5, 10, 20, 20, 20], polled, 961) == {300: 1.0, 1800: 1 / 3, 3600: 0.5, 21600: 0.5, 259200: 0.5}
    assert bad_shares([0] * 5, polled, 1001) == {}
    assert bad_shares([1, 1, 1, 1, 1], polled, 1000) == dict.fromkeys(ALL_WINDOWS, 1.0)
    gone = watched(masks(1000 - LENGTHS[-1], 999), 1001, LENGTHS[-1])  # the newest had no poll
    assert bad_shares([0] * 5, gone, 901)[300] == 0.2


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    polls=st.dictionaries(
        st.integers(-4500, 0), st.frozensets(st.sampled_from(["a", "b", "c"]), max_size=3), min_size=1, max_size=60
    ),
    now=st.integers(0, 3),
)
def test_what_is_counted_is_what_a_plain_list_of_minutes_gives(polls: dict[int, frozenset[str]], now: int) -> None:
    BadHour.objects.all().delete()
    WatchedHour.objects.all().delete()
    for minute, bad in polls.items():
        note(sorted(bad), at(minute))
        note([], at(minute) + timedelta(seconds=20))  # a second poll in it, in which all was well
    seen = look(at(now), LENGTHS[-1])
    last = now if now in polls else now - 1
    assert seen.last == minute_of(at(last))
    counts = counted(seen.last, LENGTHS)
    for number, length in enumerate(LENGTHS):
        window = range(last - length + 1, last + 1)
        assert seen.gone(length) == sum(1 for minute in window if minute not in polls)
        for name in "abc":
            bad = sum(1 for minute in window if name in polls.get(minute, ()))
            assert counts.get(name, (0,) * 5)[number] == bad
    assert counted(seen.last, LENGTHS, ["a"]) == {name: found for name, found in counts.items() if name == "a"}


@pytest.mark.django_db
def test_what_no_window_reaches_is_forgotten_and_so_are_tables_that_are_gone() -> None:
    for minute in (-6000, -60, 0):
        note(["a", "b"], at(minute))
    minutes.forget(at(-4500))
    assert (BadHour.objects.count(), WatchedHour.objects.count()) == (4, 2)
    minutes.forget_tables(["a"])
    assert set(BadHour.objects.values_list("table", flat=True)) == {"b"}


def row(known_since: datetime | None) -> TableSnapshot:
    return TableSnapshot(name=ORDERS.name, slo_s=300, followed=True, known_since=known_since)


@pytest.mark.django_db
@pytest.mark.parametrize(("bad", "alarm"), [([], None), ([ORDERS.name], Alarm.PAGE)])
def test_an_hour_of_bad_minutes_burns_the_budget_of_that_table(bad: list[str], alarm: Alarm | None) -> None:
    for minute in range(-59, 1):
        note(bad, at(minute))
    found = budget(row(at(-59)), at(0))
    assert dict(found.burns) == dict.fromkeys(WINDOWS, pytest.approx(100.0 if bad else 0.0))
    assert found.alarm == alarm
    longer = dict(budget(row(at(-200)), at(0)).burns)  # the 141 minutes before had no poll
    assert longer[3600.0] == pytest.approx(100.0 if bad else 0.0)
    assert longer[6 * 3600.0] == pytest.approx(100 * (141 + 60 * len(bad)) / 201)
    assert budget(row(None), at(0)).burns == ()


@pytest.mark.django_db
def test_cutoffs_met_in_time_are_counted_beside_it() -> None:
    now = timezone.now()
    for days, late in ((1, False), (2, True), (3, False), (40, True)):
        moment = now - timedelta(days=days)
        met_at = moment + timedelta(minutes=30 if late else 5)
        deadline = moment + timedelta(minutes=10)
        CutoffRow.objects.create(table=ORDERS.name, at=moment, deadline=deadline, met_at=met_at, origin="api")
    found = budget(row(None), now)
    assert (found.met, found.due, found.burns) == (2, 3, ())

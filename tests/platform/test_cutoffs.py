"""Calendars of cutoffs: days of a zone's own wall clock, also where it is changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.platform.declared.cutoffs import Calendar, parse

ZONES = ("UTC", "America/New_York", "Europe/Helsinki", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe")
NEW_YORK = parse("every day 00:00 America/New_York, due by 02:30")
moments = st.integers(0, 5 * 366 * 86400).map(lambda s: utc("2023-01-01T00:00") + timedelta(seconds=s))
daily = st.builds(
    lambda zone, at, due: parse(f"every day {at:%H:%M} {zone}, due by {due:%H:%M}"),
    st.sampled_from(ZONES),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
    st.times().map(lambda at: at.replace(second=0, microsecond=0)),
)
steady = st.sampled_from(
    [parse("every 5 minutes, due within 3 minutes"), parse("every 90 minutes, due within 2 minutes")]
)
calendars = daily | steady


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_midnight_in_new_york_is_at_five_in_winter_and_at_four_in_summer() -> None:
    found = list(NEW_YORK.between(utc("2026-11-21T12:00"), utc("2026-11-23T12:00")))
    assert [(due.at, due.deadline) for due in found] == [
        (utc("2026-11-22T05:00"), utc("2026-11-22T07:30")),
        (utc("2026-11-23T05:00"), utc("2026-11-23T07:30")),
    ]
    (summer,) = NEW_YORK.between(utc("2026-07-01T00:00"), utc("2026-07-02T00:00"))
    assert summer.at == utc("2026-07-01T04:00")


def test_the_day_on_which_clocks_go_forward_has_23_hours_and_its_deadline_is_as_long_after_midnight_as_ever() -> None:
    forward = list(NEW_YORK.between(utc("2026-03-08T00:00"), utc("2026-03-10T00:00")))
    assert forward[1].at - forward[0].at == timedelta(hours=23)
    assert forward[0].deadline == utc("2026-03-08T07:30")  # 02:30 does not come: it is 03:30 there


def test_the_day_on_which_clocks_go_back_has_25_hours_and_a_time_that_comes_twice_is_the_first() -> None:
    back = list(NEW_YORK.between(utc("2026-11-01T00:00"), utc("2026-11-03T00:00")))
    assert back[1].at - back[0].at == timedelta(hours=25)
    twice = parse("every day 01:30 America/New_York, due by 04:00")
    (only,) = twice.between(utc("2026-11-01T00:00"), utc("2026-11-02T00:00"))
    assert only.at == utc("2026-11-01T05:30")


def test_a_deadline_before_the_cutoffs_time_of_day_is_the_next_days() -> None:
    (found,) = parse("every day 22:00 UTC, due by 06:00").between(utc("2026-11-21T00:00"), utc("2026-11-22T00:00"))
    assert found.deadline == utc("2026-11-22T06:00")


def test_days_of_the_week_and_steady_steps() -> None:
    weekdays = parse("every weekday 00:00 UTC, due by 01:00").between(utc("2026-11-21T00:00"), utc("2026-11-28T00:00"))
    assert [due.at.day for due in weekdays] == [23, 24, 25, 26, 27]
    assert (
        len(list(parse("every monday, friday 00:00 UTC, due by 01:00").between(utc("2026-11-21"), utc("2026-11-28"))))
        == 2
    )
    found = parse("every 15 minutes, due within 5 minutes").between(utc("2026-11-21T00:01"), utc("2026-11-21T01:00"))
    assert [(due.at.minute, due.deadline.minute) for due in found] == [(15, 20), (30, 35), (45, 50)]


@given(
    calendars, moments, st.timedeltas(timedelta(0), timedelta(days=9)), st.timedeltas(timedelta(0), timedelta(days=9))
)
def test_they_come_in_order_each_once_and_the_same_however_they_are_asked_for(
    calendar: Calendar, start: datetime, some: timedelta, more: timedelta
) -> None:
    whole = list(calendar.between(start, start + some + more))
    parts = [*calendar.between(start, start + some), *calendar.between(start + some, start + some + more)]
    assert whole == parts
    assert all(before.at < after.at for before, after in pairwise(whole))
    assert all(start <= due.at < start + some + more and due.deadline > due.at for due in whole)


@given(daily, st.integers(2023, 2027))
def test_each_day_of_the_zones_year_has_one(calendar: Calendar, year: int) -> None:
    zone = ZoneInfo(calendar.zone)
    begin, end = (datetime.combine(date(at, 1, 1), time(0), zone) for at in (year, year + 1))
    found = list(calendar.between(begin.astimezone(UTC), end.astimezone(UTC)))
    days = {due.at.astimezone(zone).date() for due in found}
    assert len(found) == len(days) == (end.date() - begin.date()).days


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("every day 25:00 UTC, due by 02:30", "no time of day: 25:00"),
        ("every moonday 00:00 UTC, due by 02:30", "no day: 'moonday'"),
        ("every day 00:00 Atlantis, due by 02:30", "no time zone: 'Atlantis'"),
        ("every day 00:00, due by 02:30", "no calendar"),
        ("every 7 minutes, due within 2 minutes", "does not divide a day"),
        ("every 0 minutes, due within 2 minutes", "no minutes"),
        ("every day 00:00 ../../etc/passwd, due by 02:30", "no"),
    ],
)
def test_what_is_no_calendar_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse(text)

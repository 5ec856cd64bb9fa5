"""The error budget of a table: what counts as a bad minute, and when that is an alarm."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from console.freshness.budget import bad_shares, budget
from console.freshness.models import CutoffRow
from console.freshness.outlook import Alarm
from console.freshness.pages import lag_series
from console.history import series
from tests.freshness.made import ORDERS


def test_a_minute_over_the_slo_is_bad_and_so_is_one_that_nobody_saw() -> None:
    lags = [10, 400, None, 10]
    assert bad_shares(lags, 60, 300, [240, 120]) == {240: 0.5, 120: 0.5}
    assert bad_shares(lags, 60, 500, [240]) == {240: 0.25}


def test_what_lies_before_the_first_figure_does_not_count_and_without_any_nothing_is_said() -> None:
    assert bad_shares([None, None, 10, 10], 60, 300, [240]) == {240: 0.0}
    assert bad_shares([None, None], 60, 300, [240]) == {}


@pytest.mark.django_db
@pytest.mark.parametrize(("late_s", "alarm"), [(10.0, None), (900.0, Alarm.PAGE)])
def test_an_hour_of_late_minutes_burns_the_budget(late_s: float, alarm: Alarm | None) -> None:
    now = timezone.now()
    for minute in range(58, -1, -1):
        for seconds in (45, 15):
            at = now - timedelta(minutes=minute, seconds=seconds)
            series.record([(lag_series(ORDERS.name), late_s)], at)
    found = budget(ORDERS.name, 300, now)
    assert found.alarm == alarm
    assert dict(found.burns)[3600.0] == pytest.approx(0.0 if alarm is None else 100.0, abs=8)


@pytest.mark.django_db
def test_cutoffs_met_in_time_are_counted_beside_it() -> None:
    now = timezone.now()
    for days, late in ((1, False), (2, True), (3, False), (40, True)):
        at = now - timedelta(days=days)
        met_at = at + timedelta(minutes=30 if late else 5)
        deadline = at + timedelta(minutes=10)
        CutoffRow.objects.create(table=ORDERS.name, at=at, deadline=deadline, met_at=met_at, origin="api")
    found = budget(ORDERS.name, 300, now)
    assert (found.met, found.due, found.burns) == (2, 3, ())

"""A poll is remembered: the reading, the heartbeats over time, the takeovers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.history import series
from console.history.models import Mark
from console.scheduler.models import Kept, Snapshot, Takeover
from console.scheduler.poll import heartbeat_series, leading_series
from console.scheduler.rules import Memory
from tests.scheduler.made import airflow, helpers, job, polled

pytestmark = pytest.mark.django_db


def after(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)


def test_a_reading_comes_back_as_it_was(now: datetime) -> None:
    reading = airflow(job(1, "scheduler-a", now), *helpers(now), database=None)
    polled(now, reading)
    kept = Snapshot.objects.kept()
    assert kept.reading == reading
    assert kept.memory.leading is not None
    assert (kept.memory.as_of, kept.memory.leading.host) == (now, "scheduler-a")


def test_without_a_poll_nothing_is_known() -> None:
    assert Snapshot.objects.kept() == Kept(None, Memory())


def test_a_row_of_another_shape_counts_as_none_and_is_replaced(now: datetime) -> None:
    polled(now, airflow(job(1, "scheduler-a", now)))
    Snapshot.objects.update(reading={"old": "shape"})
    assert Snapshot.objects.kept() == Kept(None, Memory())
    polled(after(now, 3), airflow(job(1, "scheduler-a", now)))
    assert Snapshot.objects.kept().reading is not None


def test_a_takeover_is_noted_once_and_marked_on_the_charts(now: datetime) -> None:
    polled(now, airflow(job(1, "scheduler-a", now)))
    ended = job(1, "scheduler-a", now, state="success", ended_at=after(now, 1))
    new = job(2, "scheduler-b", after(now, 8), started_at=after(now, 7))
    polled(after(now, 9), airflow(ended, new))
    polled(after(now, 12), airflow(ended, new))
    [row] = Takeover.objects.all()
    assert (row.from_host, row.to_host, row.kind, row.gap_s) == ("scheduler-a", "scheduler-b", "observed", 6)
    [mark] = Mark.objects.all()
    assert (mark.at, mark.kind, mark.title) == (after(now, 7), "takeover", "scheduler-b took over from scheduler-a")


def test_heartbeats_are_kept_over_time(now: datetime) -> None:
    polled(now, airflow(job(1, "scheduler-a", now - timedelta(seconds=2))))
    found = series.latest(
        ["scheduler.heartbeat_age_s", heartbeat_series("scheduler-a"), leading_series("scheduler-a"),
         heartbeat_series("scheduler-b"), leading_series("scheduler-b")],
        after(now, 5),
    )  # fmt: skip
    assert {name: one.value for name, one in found.items()} == {
        "scheduler.heartbeat_age_s": 2,
        heartbeat_series("scheduler-a"): 2,
        leading_series("scheduler-a"): 1,
        leading_series("scheduler-b"): 0,
    }


def test_while_nobody_leads_the_age_of_the_last_heartbeat_goes_on(now: datetime) -> None:
    polled(now, airflow(job(1, "scheduler-a", now)))
    polled(after(now, 60), airflow(job(1, "scheduler-a", now, state="success", ended_at=after(now, 4))))
    found = series.latest(["scheduler.heartbeat_age_s", heartbeat_series("scheduler-a")], after(now, 61))
    assert {one.value for one in found.values()} == {60}


def test_hosts_that_are_containers_make_no_names_for_ever(now: datetime) -> None:
    polled(now, airflow(*[job(n, f"pod-{n}", now) for n in range(30)]))
    names = [heartbeat_series(f"pod-{n}") for n in range(30)]
    assert len(series.latest(names, after(now, 1))) <= 8

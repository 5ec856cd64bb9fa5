"""Airflow's counts and the broker's depth become snapshots."""

from __future__ import annotations

from datetime import datetime

import pytest

from console.fleets.facts import pace_per_s
from console.fleets.models import QueueSnapshot
from console.fleets.poll import EXTRA_COUNTED, queues_to_count, queues_to_measure, save_counts, save_queues
from tests.fleets.making import ago, depths, task, tasks

pytestmark = pytest.mark.django_db


def queue(name: str) -> QueueSnapshot:
    return QueueSnapshot.objects.get(queue=name)


def test_the_counts_are_airflows_own(now: datetime) -> None:
    save_counts(tasks(counts=[("cpu", 41, 8)]), now)
    assert (queue("cpu").queued, queue("cpu").running, queue("cpu").exact) == (41, 8, True)


def test_a_queue_that_was_not_asked_for_is_counted_from_the_instances(now: datetime) -> None:
    save_counts(tasks(task(queue="adhoc"), task(queue="adhoc", run="2", state="queued")), now)
    assert (queue("adhoc").queued, queue("adhoc").running, queue("adhoc").exact) == (1, 1, True)


def test_where_not_everything_was_read_it_says_at_least(now: datetime) -> None:
    save_counts(tasks(task(queue="adhoc"), complete=False), now)
    assert not queue("adhoc").exact


def test_a_queue_that_is_not_named_any_more_is_at_rest_if_everything_was_read_else_unknown(now: datetime) -> None:
    save_counts(tasks(task(queue="adhoc")), ago(now, 4))
    save_counts(tasks(), ago(now, 2))
    assert (queue("adhoc").queued, queue("adhoc").running) == (0, 0)
    save_counts(tasks(complete=False), now)
    assert (queue("adhoc").queued, queue("adhoc").running) == (None, None)


def test_a_backlog_is_dated_from_its_beginning_until_it_is_gone(now: datetime) -> None:
    save_counts(tasks(counts=[("cpu", 5, 0)]), ago(now, 60))
    save_counts(tasks(counts=[("cpu", 9, 0)]), ago(now, 30))
    assert queue("cpu").backlog_since == ago(now, 60)
    save_counts(tasks(counts=[("cpu", 0, 2)]), now)
    assert queue("cpu").backlog_since is None


def test_the_oldest_waiting_task_is_known(now: datetime) -> None:
    waiting = [task(state="queued", run=str(age), queued_at=ago(now, age)) for age in (10, 250, 30)]
    save_counts(tasks(*waiting, counts=[("cpu", 3, 0)]), now)
    assert queue("cpu").oldest_queued_at == ago(now, 250)


def test_the_pace_of_a_backlog_comes_from_a_mark_minutes_ago(now: datetime) -> None:
    for age, queued in ((200, 100), (100, 80), (5, 61), (0, 60)):
        save_counts(tasks(counts=[("cpu", queued, 4)]), ago(now, age))
    row = queue("cpu")
    assert pace_per_s(row, now) == pytest.approx(-0.2)  # 100 → 60 in 200 s
    assert pace_per_s(row, ago(now, -3600)) is None  # an old mark tells nothing about now


def test_nothing_is_written_when_nothing_changed(now: datetime, django_assert_num_queries: object) -> None:
    reading = tasks(counts=[("cpu", 3, 4), ("io", 0, 0)])
    save_counts(reading, ago(now, 4))
    with django_assert_num_queries(2) as captured:  # type: ignore[operator]
        save_counts(reading, ago(now, 2))
    assert not [query for query in captured if "UPDATE" in query["sql"]]


def test_the_depth_is_the_brokers_and_unknown_for_a_queue_that_was_not_measured(now: datetime) -> None:
    save_queues(depths(cpu=7, adhoc=2), ago(now, 60))
    assert (queue("cpu").depth, queue("cpu").waiting_since) == (7, ago(now, 60))
    save_queues(depths(cpu=9), now)
    assert (queue("cpu").depth, queue("cpu").waiting_since) == (9, ago(now, 60))
    assert queue("adhoc").depth is None
    save_queues(depths(cpu=0), now)
    assert queue("cpu").waiting_since is None


def test_declared_queues_are_always_asked_for_and_of_the_others_the_busiest(now: datetime) -> None:
    save_counts(
        tasks(*[task(queue=f"adhoc-{i:02}", run=str(i)) for i in range(30)], task(queue="adhoc-07", run="x")), now
    )
    asked = queues_to_count()
    assert asked[:3] == ["default", "cpu", "io"]
    assert asked[3] == "adhoc-07"
    assert len(asked) == 3 + EXTRA_COUNTED
    assert set(queues_to_measure()) == {"default", "cpu", "io", *(f"adhoc-{i:02}" for i in range(30))}


def test_ten_thousand_queues_of_three_hundred_letters_are_kept(now: datetime) -> None:
    save_counts(tasks(*[task(queue=f"{i:05}" + "ü" * 295, run=str(i)) for i in range(10_000)]), now)
    assert QueueSnapshot.objects.count() == 10_000
    assert len(queues_to_measure()) == 2000

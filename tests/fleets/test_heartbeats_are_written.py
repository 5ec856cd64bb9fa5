from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from console.fleets import sql
from console.fleets.heartbeats import columns
from console.fleets.models import Worker
from tests.fleets.making import ago, heartbeat, worker

pytestmark = pytest.mark.django_db


def write(*beats: object, goodbyes: dict[str, datetime] | None = None) -> None:
    sql.write_heartbeats(columns(beats, goodbyes or {}))  # type: ignore[arg-type]


def test_a_worker_nobody_knew_appears(now: datetime) -> None:
    write(heartbeat("celery@i-0abc12345678", now, active=2, processed=9))
    row = Worker.objects.get()
    assert (row.node, row.host, row.host_key) == ("celery@i-0abc12345678", "i-0abc12345678", "i-0abc12345678")
    assert (row.seen_at, row.active, row.processed, row.state) == (now, 2, 9, "unknown")


def test_a_known_one_is_updated_and_keeps_what_heartbeats_do_not_tell(now: datetime) -> None:
    Worker.objects.bulk_create([worker("celery@a", now, active=1, slots=4)])
    write(heartbeat("celery@a", now, active=3))
    row = Worker.objects.get()
    assert (row.seen_at, row.active, row.slots, row.state, row.consumes) == (now, 3, 4, "in_service", ["cpu"])


def test_an_older_heartbeat_changes_nothing(now: datetime) -> None:
    write(heartbeat("celery@a", now, active=3))
    write(heartbeat("celery@a", ago(now, 5), active=1))
    assert Worker.objects.get().active == 3


def test_progress_is_dated_by_a_change_of_its_tasks_or_its_process(now: datetime) -> None:
    moments = []
    for second, (active, processed, pid) in enumerate(
        [(1, 3, 7), (1, 3, 7), (2, 3, 7), (2, 3, 7), (2, 4, 7), (2, 4, 8)]
    ):
        write(heartbeat("celery@a", now + timedelta(seconds=second), active=active, processed=processed, pid=pid))
        at = Worker.objects.get().progress_at
        assert at is not None
        moments.append((at - now).total_seconds())
    assert moments == [0, 0, 2, 2, 4, 5]


def test_a_sign_of_life_brings_one_back_on_the_list_but_a_goodbye_does_not(now: datetime) -> None:
    Worker.objects.bulk_create([worker("celery@a", now, archived_at=now), worker("celery@b", now, archived_at=now)])
    write(heartbeat("celery@a", now), heartbeat("celery@b", now, kind="offline"), goodbyes={"celery@b": now})
    assert list(Worker.objects.listed().values_list("node", flat=True)) == ["celery@a"]


def test_five_thousand_workers_are_one_statement(now: datetime, django_assert_num_queries: object) -> None:
    beats = [heartbeat(f"celery@w{i:05}", now) for i in range(5000)]
    with django_assert_num_queries(1):  # type: ignore[operator]
        write(*beats)
    assert Worker.objects.count() == 5000

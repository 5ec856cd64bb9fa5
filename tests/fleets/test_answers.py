"""Whom to ask, and what an answer or a silence means."""

from __future__ import annotations

from datetime import datetime

import pytest

from console.fleets.models import QueueSnapshot, Worker
from console.fleets.poll import ASKED_LIMIT, nodes_to_ask, save_workers
from console.fleets.rules import State
from tests.fleets.making import ago, answer, worker

pytestmark = pytest.mark.django_db


def made(now: datetime, *nodes: str, **fields: object) -> None:
    Worker.objects.bulk_create([worker(node, now, **fields) for node in nodes])


def test_an_answer_is_remembered(now: datetime) -> None:
    made(now, "celery@a", active=None, slots=None, consumes=None)
    save_workers((["celery@a"], [answer("celery@a", queues=("cpu", "io"), active=2, reserved=1, slots=8)]), now)
    row = Worker.objects.get()
    assert (row.consumes, row.active, row.reserved, row.slots) == (["cpu", "io"], 2, 1, 8)
    assert (row.answered_at, row.unanswered) == (now, 0)


def test_a_fresh_heartbeat_knows_better_how_many_tasks_it_has(now: datetime) -> None:
    made(now, "celery@a", active=3)
    save_workers((["celery@a"], [answer("celery@a", active=1)]), now)
    assert Worker.objects.get().active == 3


def test_silence_counts_against_a_worker_only_where_others_answer(now: datetime) -> None:
    made(now, "celery@a", "celery@b")
    save_workers((["celery@a", "celery@b"], []), ago(now, 5))
    assert set(Worker.objects.values_list("unanswered", flat=True)) == {0}
    save_workers((["celery@a", "celery@b"], [answer("celery@b")]), now)
    assert dict(Worker.objects.values_list("node", "unanswered")) == {"celery@a": 1, "celery@b": 0}


def test_an_answer_without_queues_leaves_what_was_known(now: datetime) -> None:
    made(now, "celery@a")
    save_workers((["celery@a"], [answer("celery@a", queues=None)]), now)
    assert Worker.objects.get().consumes == ["cpu"]
    save_workers((["celery@a"], [answer("celery@a", queues=())]), now)
    assert Worker.objects.get().consumes == []


def test_a_queue_that_a_worker_consumes_exists(now: datetime) -> None:
    made(now, "celery@a")
    save_workers((["celery@a"], [answer("celery@a", queues=("cpu", "nobody-declared-me"))]), now)
    assert QueueSnapshot.objects.filter(queue="nobody-declared-me").exists()


def test_one_that_said_goodbye_or_left_the_list_is_not_asked(now: datetime) -> None:
    made(now, "celery@a")
    made(now, "celery@stopped", state=State.STOPPED)
    made(now, "celery@gone", archived_at=now)
    assert nodes_to_ask(now) == ["celery@a"]


def test_a_lost_one_is_asked_once_a_minute(now: datetime) -> None:
    made(now, "celery@lost", state=State.LOST, asked_at=ago(now, 61))
    made(now, "celery@lately", state=State.LOST, asked_at=ago(now, 5))
    made(now, "celery@never", state=State.LOST, asked_at=None)
    assert set(nodes_to_ask(now)) == {"celery@lost", "celery@never"}


def test_a_large_fleet_is_asked_in_turns_and_news_comes_first(now: datetime) -> None:
    made(now, *(f"celery@w{i:04}" for i in range(1000)), asked_at=ago(now, 60), answered_pid=7)
    made(now, "celery@new", asked_at=None)
    made(now, "celery@silent", asked_at=ago(now, 5), seen_at=ago(now, 60), answered_pid=7)
    made(now, "celery@restarted", asked_at=ago(now, 5), answered_pid=6)
    first = nodes_to_ask(now)
    assert len(first) == ASKED_LIMIT
    assert {"celery@new", "celery@silent", "celery@restarted"} <= set(first)
    asked: set[str] = set()
    for _ in range(5):
        nodes = nodes_to_ask(now)
        asked |= set(nodes)
        save_workers((nodes, [answer(node) for node in nodes if node != "celery@silent"]), now)
    assert len(asked) == 1003


def test_many_silent_ones_do_not_keep_the_others_from_being_asked(now: datetime) -> None:
    made(
        now, *(f"celery@silent{i:04}" for i in range(2000)), seen_at=ago(now, 60), asked_at=ago(now, 60), answered_pid=7
    )
    made(now, *(f"celery@well{i:03}" for i in range(100)), asked_at=ago(now, 61), answered_pid=7)
    assert sum("well" in node for node in nodes_to_ask(now)) == 100

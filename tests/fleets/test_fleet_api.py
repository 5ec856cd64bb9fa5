"""The API's answers: CONTRACT's fields, pages, and unknown where nothing can be seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from console.accounts.models import User
from console.platform.sources import COMPUTE, HEARTBEATS, QUEUES, TASKS, WORKERS
from tests.fleets import story
from tests.fleets.making import seen, unseen

pytestmark = pytest.mark.django_db

FLEET = {
    "queue", "outstanding", "running", "slots", "workers", "baseline", "desired", "max", "autoscaling", "last_decision",
    "status", "reason", "as_of", "age_s",
}  # fmt: skip
WORKER = {
    "name", "instance_id", "host", "zone", "version", "state", "active", "slots", "oldest_task_s", "seen_age_s",
    "tasks", "status", "reason", "as_of", "age_s",
}  # fmt: skip


@pytest.fixture
def ask() -> Callable[[str], HttpResponse]:
    client = Client()
    client.force_login(User.objects.create_user(username="viewer", role="viewer"))
    return lambda path: client.get(f"/api/v1/fleets{path}")


@pytest.fixture
def night() -> None:
    story.tell(timezone.now())


def by_queue(answer: Any) -> dict[str, Any]:
    return {fleet["queue"]: fleet for fleet in answer.json()}


def test_each_fleet_has_the_contracts_fields(night: None, ask: Callable[[str], Any]) -> None:
    fleets = by_queue(ask(""))
    assert list(fleets)[:3] == ["default", "cpu", "io"]
    assert fleets["cpu"].keys() >= FLEET
    assert {"in_service", "launching", "draining", "lost"} <= fleets["cpu"]["workers"].keys()
    cpu = ask("/cpu").json()
    assert {key: cpu[key] for key in ("outstanding", "running", "slots", "baseline", "max", "autoscaling")} == {
        "outstanding": 41, "running": 8, "slots": 8, "baseline": 2, "max": 4, "autoscaling": "off",
    }  # fmt: skip
    assert (cpu["workers"]["in_service"], cpu["workers"]["launching"], cpu["desired"]) == (4, 2, 6)
    assert cpu["age_s"] < 5


def test_each_worker_has_the_contracts_fields_and_its_tasks_oldest_first(
    night: None, ask: Callable[[str], Any]
) -> None:
    workers = ask("/cpu/workers").json()
    assert len(workers) == 6
    assert all(worker.keys() >= WORKER for worker in workers)
    first = next(worker for worker in workers if worker["tasks"])
    assert (first["state"], first["active"], first["slots"]) == ("in_service", 2, 2)
    assert [task["task_id"] for task in first["tasks"]] == ["elasticity_0", "elasticity_4"]
    assert first["tasks"][0]["expected_end"] is not None
    assert {"dag_id", "task_id", "run_id", "started_at", "expected_end"} <= first["tasks"][0].keys()
    assert first["oldest_task_s"] == pytest.approx(2460, abs=10)


def test_lists_are_paged_and_say_how_many_there_are(night: None, ask: Callable[[str], Any]) -> None:
    answer = ask("/cpu/workers?limit=4")
    assert (len(answer.json()), answer["X-Total-Count"]) == (4, "6")
    assert 'rel="next"' in answer["Link"]
    rest = ask("/cpu/workers?limit=4&offset=4")
    assert len(rest.json()) == 2
    names = [worker["name"] for worker in answer.json() + rest.json()]
    assert names == sorted(set(names))
    assert ask("?limit=2")["X-Total-Count"] == "5"
    assert ask("?limit=2&offset=2").json()[0]["queue"] == "io"
    assert ask("/cpu/workers?limit=0").status_code == 422
    assert len(ask("/cpu/workers?state=launching").json()) == 2
    assert len(ask("/cpu/workers?q=launching").json()) == 2


def test_what_cannot_be_seen_is_null_and_the_status_unknown(night: None, ask: Callable[[str], Any]) -> None:
    now = timezone.now()
    unseen(now, QUEUES, WORKERS, HEARTBEATS)
    cpu = ask("/cpu").json()
    assert (cpu["status"], cpu["slots"], cpu["workers"]["in_service"], cpu["depth"]) == ("unknown", None, None, None)
    assert (cpu["outstanding"], cpu["running"]) == (41, 8)
    worker = ask("/cpu/workers").json()[0]
    assert (worker["status"], worker["state"], worker["active"]) == ("unknown", "unknown", None)
    seen(now)
    unseen(now, TASKS)
    cpu = ask("/cpu").json()
    assert (cpu["outstanding"], cpu["running"], cpu["workers"]["in_service"]) == (None, None, 4)
    assert ask("/cpu/workers").json()[0]["tasks"] is None
    seen(now)
    unseen(now, COMPUTE)
    assert (ask("/cpu").json()["desired"], ask("/cpu").json()["outstanding"]) == (None, 41)


def test_an_unknown_name_is_answered_with_the_nearest(night: None, ask: Callable[[str], Any]) -> None:
    answer = ask("/cpuu")
    assert answer.status_code == 404
    assert answer["Content-Type"] == "application/problem+json"
    assert "Did you mean cpu?" in answer.json()["detail"]
    assert ask("/cpuu/workers").status_code == 404


def test_before_anything_was_seen_the_declared_fleets_are_there_and_unknown(ask: Callable[[str], Any]) -> None:
    fleets = by_queue(ask(""))
    assert set(fleets) == {"default", "cpu", "io"}
    assert {fleet["status"] for fleet in fleets.values()} == {"unknown"}
    assert fleets["cpu"]["outstanding"] is None
    assert ask("/cpu/workers").json() == []

"""Deploys, drains and resizes over the API and the pages: asked for, refused with reasons, shown lane by lane."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.deploys.memory import dump
from console.deploys.pages import deploy_page
from console.deploys.state import Deploy, Rollout
from console.fleets.crew import Crew
from console.fleets.draining import Drain, Phase
from console.fleets.models import GroupSnapshot, Instance, PastRuns, RunningTask, Worker
from console.operations.models import Operation
from console.platform.models import remember_success
from console.platform.sources import SOURCES
from tests.api.asking import bearer, token_for, user_of

pytestmark = pytest.mark.django_db(transaction=True)
GROUP = "tests-io"


@pytest.fixture
def fleet() -> list[str]:
    """Two io workers in service, seen just now, of release 1; the group launches 2."""
    now = timezone.now()
    for name in SOURCES:
        remember_success(name, now, 0.1)
    GroupSnapshot.objects.create(
        name=GROUP, minimum=0, maximum=4, desired=2, version="2", as_of=now, desired_changed_at=now
    )
    names = ["i-0aaaaaaaa", "i-0bbbbbbbb"]
    for name in names:
        worker(name)
    return names


def worker(name: str) -> None:
    now = timezone.now()
    Instance.objects.create(
        instance_id=name, group=GROUP, lifecycle="InService", version="1", first_seen_at=now, launched_at=now
    )
    Worker.objects.create(
        node=f"celery@{name}", host=name, host_key=name, instance_id=name, home="io", serves=["io"], consumes=["io"],
        first_seen_at=now, seen_at=now, answered_at=now, state="in_service", state_since=now, slots=16, active=1,
    )  # fmt: skip


def call(method: str, path: str, role: Role = Role.OPERATOR, **body: Any) -> tuple[int, dict[str, Any]]:
    ask = getattr(Client(), method)
    answer = ask(f"/api/v1/{path}", body, content_type="application/json", headers=bearer(token_for(role)))
    return answer.status_code, answer.json()


def test_a_drain_answers_202_and_a_second_one_409_naming_it(fleet: list[str]) -> None:
    status, first = call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="kernel")
    assert (status, first["kind"], first["target"]) == (202, "drain", f"worker:{fleet[0]}")
    status, told = call("post", "fleets/io/drain", workers=[f"celery@{fleet[0]}"], replace=True, reason="kernel")
    assert (status, told["operation"]["id"]) == (409, first["id"])


def test_an_unknown_worker_names_the_nearest(fleet: list[str]) -> None:
    status, told = call("post", "fleets/io/drain", workers=["i-0aaaaaaab"], reason="x")
    assert status == 422
    assert "Did you mean" in told["errors"]["workers"][0]


def test_a_queues_last_workers_are_not_drained_without_an_override(fleet: list[str]) -> None:
    status, told = call("post", "fleets/io/drain", workers=fleet, replace=True, reason="x")
    assert status == 409
    assert "No other worker" in told["detail"]


def test_a_viewers_drain_is_403_and_audited(fleet: list[str]) -> None:
    assert call("post", "fleets/io/drain", Role.VIEWER, workers=[fleet[0]], reason="x")[0] == 403
    assert AuditEntry.objects.latest("seq").action == "access.denied"
    assert not Operation.objects.exists()


def test_a_blank_reason_is_422(fleet: list[str]) -> None:
    status, told = call("post", "fleets/io/drain", workers=[fleet[0]], reason=" ")
    assert (status, list(told["errors"])) == (422, ["reason"])


def test_a_deploy_that_could_never_move_is_refused_by_field(fleet: list[str]) -> None:
    status, told = call("post", "deploys", queues=["io"], max_surge=0, max_unavailable=0, reason="x")
    assert (status, set(told["errors"])) == (422, {"max_surge", "max_unavailable"})


def test_two_deploys_of_one_fleet_are_one(fleet: list[str]) -> None:
    status, first = call("post", "deploys", queues=["io"], reason="release 2")
    assert (status, first["target"]) == (202, "fleet:io")
    status, told = call("post", "deploys", queues=["io"], reason="release 2")
    assert (status, told["operation"]["id"]) == (409, first["id"])
    assert [one["id"] for one in Client().get("/api/v1/deploys", headers=bearer(token_for(Role.VIEWER))).json()] == [
        first["id"]
    ]


def test_a_resize_is_checked_by_field(fleet: list[str]) -> None:
    assert call("patch", "fleets/io", desired=3, reason="peak")[0] == 202
    assert call("patch", "fleets/io", desired="three", reason="peak")[0] == 422
    assert set(call("patch", "fleets/io", baseline=5, max=2, reason="x")[1]["errors"]) == {"baseline", "max"}


def rolled(workers: int) -> Operation:
    """A deploy half done: every third worker drains, with a task each."""
    now = timezone.now()
    names = [f"i-{n:09x}" for n in range(workers)]
    drains = {
        name: Drain(f"celery@{name}", name, ("io",), Phase.DRAINING, since=now, started_at=now, remaining=("etl.load",))
        for name in names[::3]
    }
    rollout = Rollout(Crew("io", GROUP, drains), "2", workers, tuple(names), 1, 1)
    for name in names[::3]:
        RunningTask.objects.create(
            key=name, dag_id="etl", task_id="load", run_id="r", state="running", queue="io", hostname=name,
            host_key=name, started_at=now,
        )  # fmt: skip
    PastRuns.objects.create(dag_id="etl", task_id="load", durations_s=[60.0, 120.0, 180.0], updated_at=now)
    return Operation.objects.create(
        kind="deploy", target="fleet:io", reason="release", requested_by_name="mira", state="running",
        parameters={"version": "2", "fleets": [{"queue": "io", "group": GROUP}]},
        memory=dump(Deploy({"io": rollout}, True)), memory_version=1, started_at=now,
    )  # fmt: skip


@pytest.mark.parametrize("workers", [9, 200])
def test_its_page_costs_the_same_however_many_workers(
    workers: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    operation = rolled(workers)
    with django_assert_num_queries(2):
        page = deploy_page(operation, timezone.now())
    assert (page.total, len(page.fleets[0].lanes)) == (workers, workers)
    assert page.ends_likely is not None
    assert page.ends_at_worst is not None
    assert page.ends_at_worst > page.ends_likely


def test_its_page_tells_each_worker_and_what_it_still_finishes() -> None:
    operation = rolled(3)
    client = Client()
    client.force_login(user_of(Role.VIEWER))
    text = client.get(f"/deploys/{operation.pk}/").content.decode()
    for words in ("i-000000000", "etl.load", "draining", "in service", "at worst", "This takes the role operator."):
        assert words in text


def test_the_preflights_show_the_checks_and_submit_exactly_that(fleet: list[str]) -> None:
    client = Client()
    client.force_login(user_of(Role.OPERATOR))
    url = f"/fleets/io/drain/?workers={fleet[0]}&replace=1&deadline_s=600"
    page = client.get(url)
    assert "finishes its work, stops, and its instance ends" in page.content.decode()
    done = client.post(url, {"plan": page.context["plan"].id, "reason": "kernel"})
    assert done.status_code == 302
    deploy = client.get("/deploys/new/?queues=io&max_surge=1&max_unavailable=0")
    assert "replaced by version 2" in deploy.content.decode()
    assert client.get("/fleets/io/resize/?desired=lots").status_code == 422
    assert client.get("/deploys/").status_code == 200
    assert "Drain the ticked workers" in client.get("/fleets/io/").content.decode()

"""Deploys, drains and resizes over the API: asked for, and refused with reasons."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from console.accounts.models import AuditEntry, User
from console.accounts.roles import Role
from console.fleets.models import GroupSnapshot, Instance, Worker
from console.operations.models import Operation
from console.platform.models import Source, remember_success
from console.platform.sources import SOURCES
from tests.api.asking import bearer, token_for
from tests.deploys import story

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


def at_once(*calls: Callable[[], tuple[int, dict[str, Any]]]) -> list[tuple[int, dict[str, Any]]]:
    """The answers of calls that are made at the same instant, each on a connection of its own."""
    gate = Barrier(len(calls))

    def one(ask: Callable[[], tuple[int, dict[str, Any]]]) -> tuple[int, dict[str, Any]]:
        try:
            gate.wait()
            return ask()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return sorted(pool.map(one, calls), key=lambda answer: answer[0])


def test_two_drains_of_one_worker_at_the_same_instant_are_one(fleet: list[str]) -> None:
    token = bearer(token_for(Role.OPERATOR))

    def ask() -> tuple[int, dict[str, Any]]:
        body = {"workers": [fleet[0]], "replace": True, "reason": "kernel"}
        answer = Client().post("/api/v1/fleets/io/drain", body, content_type="application/json", headers=token)
        return answer.status_code, answer.json()

    answers = at_once(*[ask] * 6)
    assert [status for status, _ in answers] == [202] + [409] * 5
    made = answers[0][1]["id"]
    assert {told["operation"]["id"] for _, told in answers[1:]} == {made}
    assert f"OP-{made}" in answers[1][1]["detail"]


def test_two_deploys_at_the_same_instant_are_one(fleet: list[str]) -> None:
    token = bearer(token_for(Role.OPERATOR))

    def ask() -> tuple[int, dict[str, Any]]:
        body = {"queues": ["io"], "reason": "release 2"}
        answer = Client().post("/api/v1/deploys", body, content_type="application/json", headers=token)
        return answer.status_code, answer.json()

    assert [status for status, _ in at_once(ask, ask)] == [202, 409]


def test_the_same_key_gives_the_same_operation(fleet: list[str]) -> None:
    headers = bearer(token_for(Role.OPERATOR)) | {"Idempotency-Key": "k-1"}
    body = {"queues": ["io"], "reason": "release 2"}
    first, again = (
        Client().post("/api/v1/deploys", body, content_type="application/json", headers=headers) for _ in range(2)
    )
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]


def test_a_plan_that_is_no_longer_true_is_refused_with_the_checks_of_now(fleet: list[str]) -> None:
    status, plan = call("get", f"fleets/io/drain/plan?workers={fleet[0]}&replace=true", Role.VIEWER)
    assert (status, plan["refused"]) == (200, [])
    worker("i-0cccccccc")
    status, told = call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="kernel", plan=plan["id"])
    assert (status, told["type"]) == (409, "urn:quarterdeck:problem:refused")
    assert told["plan"] != plan["id"]
    status, _ = call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="kernel", plan=told["plan"])
    assert status == 202


def test_the_last_worker_goes_only_with_an_override_and_the_queues_name(fleet: list[str]) -> None:
    asked: dict[str, Any] = {"workers": fleet, "replace": True, "override_last": True, "reason": "the end"}
    status, told = call("post", "fleets/io/drain", **asked)
    assert (status, list(told["errors"])) == (422, ["confirm"])
    assert call("post", "fleets/io/drain", **asked, confirm="io")[0] == 202


def test_two_drains_can_not_take_the_last_two_workers_between_them(fleet: list[str]) -> None:
    assert call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="x")[0] == 202
    status, told = call("post", "fleets/io/drain", workers=[fleet[1]], replace=True, reason="x")
    assert status == 409
    assert "No other worker of io is in service" in told["detail"]


def test_a_fleet_in_the_hands_of_a_deploy_is_not_drained_meanwhile(fleet: list[str]) -> None:
    worker("i-0cccccccc")
    _, deploy = call("post", "deploys", queues=["io"], reason="release 2")
    status, told = call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="x")
    assert status == 409
    assert f"OP-{deploy['id']} (deploy) works on the whole fleet io" in told["detail"]
    assert call("patch", "fleets/io", desired=3, reason="x")[1]["operation"]["id"] == deploy["id"]
    Worker.objects.filter(instance_id=fleet[0]).update(state="lost")
    assert call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="it is dead")[0] == 202


def test_a_deploy_waits_for_drains_that_are_under_way(fleet: list[str]) -> None:
    _, drain = call("post", "fleets/io/drain", workers=[fleet[0]], replace=True, reason="x")
    status, told = call("post", "deploys", queues=["io"], reason="release 2")
    assert status == 409
    assert f"OP-{drain['id']} drains workers" in told["detail"]


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "desired", "at least one"),
        ({"desired": 9, "max": 5}, "desired", "above the maximum"),
        ({"desired": 1, "baseline": 2}, "desired", "below the baseline"),
        ({"desired": -1}, "desired", "whole number"),
    ],
)
def test_a_resize_that_makes_no_sense_is_refused_by_field(
    fleet: list[str], body: dict[str, Any], field: str, words: str
) -> None:
    status, told = call("patch", "fleets/io", **body, reason="peak")
    assert (status, list(told["errors"])) == (422, [field])
    assert words in told["errors"][field][0]


def test_a_resize_says_what_it_touches_and_what_it_can_not_do(fleet: list[str]) -> None:
    _, plan = call("get", "fleets/io/resize/plan?desired=4", Role.VIEWER)
    assert plan["touches"] == [f"{GROUP} launches 2\N{NO-BREAK SPACE}workers: 2 → 4."]
    _, plan = call("get", "fleets/io/resize/plan?desired=1&on_deadline=stop", Role.VIEWER)
    assert "drained, idle ones first: 2 → 1" in plan["touches"][0]
    assert "is killed" in plan["at_risk"][0]
    _, plan = call("get", "fleets/io/resize/plan?desired=2", Role.VIEWER)
    assert "nothing would change" in plan["refused"][0]
    _, plan = call("get", "fleets/io/resize/plan?desired=7", Role.VIEWER)
    assert "7 is outside of 0 to 4" in plan["refused"][0]


def test_what_can_not_be_seen_is_not_changed(fleet: list[str]) -> None:
    Source.objects.all().delete()
    for method, path, body in (
        ("post", "fleets/io/drain", {"workers": [fleet[0]]}),
        ("post", "deploys", {"queues": ["io"]}),
        ("patch", "fleets/io", {"desired": 3}),
    ):
        status, told = call(method, path, **body, reason="x")
        assert (status, told["type"]) == (409, "urn:quarterdeck:problem:refused")
        assert "can't be" in told["detail"]


def test_a_version_that_is_a_word_of_aws_is_refused(fleet: list[str]) -> None:
    status, told = call("post", "deploys", queues=["io"], version="$Latest", reason="x")
    assert (status, list(told["errors"])) == (422, ["version"])


def test_unknown_fleets_and_deploys_are_404_or_name_the_declared(fleet: list[str]) -> None:
    assert call("post", "fleets/ioo/drain", workers=["x"], reason="x")[0] == 404
    assert "Did you mean io?" in call("patch", "fleets/ioo", desired=3, reason="x")[1]["detail"]
    assert "declared: default, cpu and io" in str(call("post", "deploys", queues=["ioo"], reason="x")[1]["errors"])
    assert call("get", "deploys/999999", Role.VIEWER)[0] == 404


def test_a_deploy_tells_each_lane_its_tasks_and_its_prediction() -> None:
    now = timezone.now()
    operation = story.half_done(now)
    told = call("get", f"deploys/{operation.pk}", Role.VIEWER)[1]
    assert (told["version"], told["queues"], told["replaced"]) == ("419", ["cpu"], 7)
    draining = next(lane for lane in told["lanes"] if lane["phase"] == "draining")
    assert next(task["name"] for task in draining["tasks"]) == "pricing.elasticity_model"
    assert now.isoformat() < draining["ends_likely"] <= draining["ends_at_worst"]
    waiting = next(lane for lane in told["lanes"] if lane["phase"] == "in service")
    assert waiting["starts_at"] >= now.isoformat()[:19]
    assert told["forecast"]["off_s"] is None
    assert told["ends_likely"] < told["ends_at_worst"]
    ended = story.ended(now)
    assert call("get", f"deploys/{ended.pk}", Role.VIEWER)[1]["forecast"]["off_s"] == 420.0
    assert [one["id"] for one in call_list("deploys?state=active")] == [operation.pk]
    assert call("get", "deploys?state=sideways", Role.VIEWER)[0] == 422


def call_list(path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = Client().get(f"/api/v1/{path}", headers=bearer(token_for(Role.VIEWER))).json()
    return found


def test_a_canary_is_sent_only_where_it_is_asked_for(fleet: list[str]) -> None:
    status, told = call("post", "deploys", queues=["io"], version="2", canary=True, reason="release 2")
    assert status == 202, told
    operation = Operation.objects.get(pk=told["id"])
    assert operation.parameters["canary"] is True
    page = signed_in_page(f"/deploys/{operation.pk}/")
    assert "its canary task has run" in page


def signed_in_page(path: str) -> str:
    client = Client()
    client.force_login(User.objects.create_user("vera"))
    return client.get(path).content.decode()

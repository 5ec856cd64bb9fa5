"""Drain, replace and abort from Django's admin: the same forms, permissions and reasons as everywhere else."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from console.accounts.models import AuditEntry, User
from console.accounts.roles import Role
from console.fleets.models import Instance, Worker
from console.operations.models import Operation
from tests.deploys import story

pytestmark = pytest.mark.django_db
WORKERS, OPERATIONS = "/admin/fleets/worker/", "/admin/operations/operation/"
ONE, TWO = story.instance(9), story.instance(10)


@pytest.fixture
def client() -> Client:
    client = Client()
    client.force_login(User.objects.create_user("root", "correct-horse-battery", role=Role.ADMIN))
    return client


@pytest.fixture
def operation() -> Operation:
    return story.half_done(timezone.now())


def choose(client: Client, path: str, action: str, *keys: object, **more: str) -> HttpResponse:
    return client.post(path, {"action": action, "_selected_action": [str(key) for key in keys], **more}, follow=False)


def messages_of(client: Client, path: str) -> str:
    return client.get(path).content.decode()


@pytest.mark.parametrize(("action", "replace"), [("drain", ""), ("replace", "1")])
def test_chosen_workers_come_to_the_drains_own_form(
    client: Client, operation: Operation, action: str, replace: str
) -> None:
    keys = Worker.objects.filter(instance_id__in=[ONE, TWO]).values_list("pk", flat=True)
    answer = choose(client, WORKERS, action, *keys)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/fleets/cpu/drain/?")
    form = client.get(answer["Location"]).context["form"]
    assert form.data.getlist("workers") == [ONE, TWO]
    assert form.data.get("replace", "") == replace
    assert Operation.objects.count() == 1  # nothing is begun before its plan was seen and its reason given


def test_workers_of_two_queues_are_refused(client: Client, operation: Operation) -> None:
    story.worker("i-0io", timezone.now())
    Worker.objects.filter(instance_id="i-0io").update(home="io", serves=["io"])
    keys = Worker.objects.filter(instance_id__in=[ONE, "i-0io"]).values_list("pk", flat=True)
    answer = choose(client, WORKERS, "drain", *keys)
    assert answer["Location"] == WORKERS
    assert "Choose workers of one queue; these are of cpu and io." in messages_of(client, WORKERS)


def test_an_operation_is_aborted_with_a_reason_and_audited(client: Client, operation: Operation) -> None:
    asked = choose(client, OPERATIONS, "abort", operation.pk)
    assert asked.status_code == 200
    assert f"OP-{operation.pk}" in asked.content.decode()
    operation.refresh_from_db()
    assert not operation.aborting
    done = choose(client, OPERATIONS, "abort", operation.pk, ordered="1", reason="wrong version")
    assert done.status_code == 302
    operation.refresh_from_db()
    assert operation.aborting
    entry = AuditEntry.objects.order_by("-seq")[0]
    assert (entry.actor, entry.action, entry.reason) == ("root", "operation.abort", "wrong version")


def test_without_a_reason_nothing_is_ordered(client: Client, operation: Operation) -> None:
    answer = choose(client, OPERATIONS, "abort", operation.pk, ordered="1", reason="  ")
    assert answer.status_code == 422
    assert "Say why" in answer.content.decode()
    operation.refresh_from_db()
    assert not operation.aborting


def test_what_can_not_be_ordered_says_why(client: Client, operation: Operation) -> None:
    choose(client, OPERATIONS, "resume", operation.pk, ordered="1", reason="go on")
    assert "It is not paused." in messages_of(client, OPERATIONS)


@pytest.mark.parametrize("path", [WORKERS, OPERATIONS])
def test_only_an_admin_gets_there(operation: Operation, path: str) -> None:
    other = Client()
    other.force_login(User.objects.create_user("olga", role=Role.OPERATOR))
    assert choose(other, path, "drain", 1).status_code in (302, 403)
    assert other.get(path, follow=True).status_code == 403


def test_nothing_is_typed_into_the_platforms_memory_there(client: Client, operation: Operation) -> None:
    key = Worker.objects.values_list("pk", flat=True)[0]
    page = client.get(f"{WORKERS}{key}/change/")
    assert page.status_code == 200
    assert client.post(f"{WORKERS}{key}/change/", {"node": "x"}).status_code == 403
    assert client.get(f"{WORKERS}add/").status_code == 403
    assert client.get(f"{OPERATIONS}{operation.pk}/change/").status_code == 200
    assert not Instance.objects.filter(instance_id="x").exists()

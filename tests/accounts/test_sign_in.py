"""Signing in, and out."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from console.accounts.models import AuditEntry, User
from console.accounts.roles import Role

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


@pytest.fixture
def ada() -> User:
    return User.objects.create_user("ada", PASSWORD, role=Role.OPERATOR)


def sign_in(client: Client, name: str, password: str, **data: str) -> Any:
    return client.post("/accounts/login/", {"username": name, "password": password, **data})


def test_it_leads_to_the_overview(client: Client, ada: User) -> None:
    answer = sign_in(client, "ada", PASSWORD)
    assert (answer.status_code, answer["Location"]) == (302, "/")


def test_it_leads_back_to_the_page_that_was_asked_for(client: Client, ada: User) -> None:
    asked = client.get("/accounts/tokens/?a=1")
    assert asked["Location"] == "/accounts/login/?next=/accounts/tokens/%3Fa%3D1"
    assert sign_in(client, "ada", PASSWORD, next="/accounts/tokens/?a=1")["Location"] == "/accounts/tokens/?a=1"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "http:///evil"]
)
def test_it_leads_nowhere_else(client: Client, ada: User, elsewhere: str) -> None:
    assert sign_in(client, "ada", PASSWORD, next=elsewhere)["Location"] == "/"


def test_the_session_gets_a_new_key(client: Client, ada: User) -> None:
    session = client.session
    session["planted"] = "by somebody else"
    session.save()
    before = session.session_key
    client.cookies[session_cookie()] = before or ""
    sign_in(client, "ada", PASSWORD)
    assert client.session.session_key != before


def session_cookie() -> str:
    from django.conf import settings

    return settings.SESSION_COOKIE_NAME


def test_a_wrong_password_and_an_unknown_name_read_alike(client: Client, ada: User) -> None:
    wrong, unknown = sign_in(client, "ada", "wrong"), sign_in(client, "nobody", "wrong")
    assert wrong.status_code == unknown.status_code == 422
    assert wrong.context["form"].non_field_errors() == unknown.context["form"].non_field_errors()


def test_a_user_who_was_switched_off_reads_like_a_wrong_password(client: Client, ada: User) -> None:
    User.objects.update(is_active=False)
    off, wrong = sign_in(client, "ada", PASSWORD), sign_in(client, "ada", "wrong")
    assert off.status_code == 422
    assert off.context["form"].non_field_errors() == wrong.context["form"].non_field_errors()


def test_a_session_ends_when_its_user_is_switched_off(client: Client, ada: User) -> None:
    sign_in(client, "ada", PASSWORD)
    assert client.get("/accounts/tokens/").status_code == 200
    User.objects.update(is_active=False)
    assert client.get("/accounts/tokens/").status_code == 302


def test_a_user_without_a_password_can_not_sign_in(client: Client) -> None:
    User.objects.create_user("robot")
    assert sign_in(client, "robot", "").status_code == 422
    assert sign_in(client, "robot", "None").status_code == 422


def test_signing_in_needs_the_csrf_token(ada: User) -> None:
    assert sign_in(Client(enforce_csrf_checks=True), "ada", PASSWORD).status_code == 403


def test_signing_out_ends_the_session(client: Client, ada: User) -> None:
    sign_in(client, "ada", PASSWORD)
    assert client.get("/accounts/logout/").status_code == 405  # an image on another page must not sign anybody out
    client.post("/accounts/logout/")
    assert client.get("/accounts/tokens/").status_code == 302


def test_all_of_it_is_audited(client: Client, ada: User) -> None:
    sign_in(client, "ada", "wrong")
    sign_in(client, "ada", PASSWORD)
    client.post("/accounts/logout/")
    entries = AuditEntry.objects.order_by("seq").values_list("actor", "action", "ip")
    assert list(entries) == [
        ("ada", "sign-in.failed", "127.0.0.1"),
        ("ada", "sign-in", "127.0.0.1"),
        ("ada", "sign-out", "127.0.0.1"),
    ]


def test_a_password_typed_as_a_name_is_not_kept(client: Client) -> None:
    sign_in(client, "my-secret-password", "x")
    entry = AuditEntry.objects.get()
    assert entry.actor == entry.target == "(no such account)"


def test_a_live_refresh_takes_the_whole_page_to_the_sign_in(client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/fleets/?q=a%20b"}
    answer = client.get("/accounts/tokens/", headers=headers)
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/accounts/login/?next=%2Ffleets%2F%3Fq%3Da%2520b"

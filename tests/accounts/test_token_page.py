"""`/accounts/tokens/` and `/accounts/password/`."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts import tokens
from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role
from tests.api.asking import bearer

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


@pytest.fixture
def ada(client: Client) -> User:
    user = User.objects.create_user("ada", PASSWORD, role=Role.OPERATOR)
    client.force_login(user)
    return user


def make(client: Client, **data: str) -> Any:
    return client.post("/accounts/tokens/", {"name": "ci", "role": "viewer", "life": "90"} | data)


def test_a_new_token_is_shown_once(client: Client, ada: User) -> None:
    text = make(client).context["text"]
    assert client.get("/api/v1/me", headers=bearer(text)).json()["name"] == "ada"
    assert text not in client.get("/accounts/tokens/").content.decode()


def test_the_answer_that_shows_it_is_not_stored(client: Client, ada: User) -> None:
    assert make(client)["Cache-Control"] == "no-store"


def test_sending_the_form_again_makes_no_second_one(client: Client, ada: User) -> None:
    make(client)
    answer = make(client)
    assert answer.status_code == 422
    assert answer.context["text"] == ""
    assert ApiToken.objects.count() == 1


def test_nobody_makes_one_for_more_than_their_role(client: Client, ada: User) -> None:
    assert make(client, role="admin").status_code == 422
    assert not ApiToken.objects.exists()


def test_no_end_is_a_choice(client: Client, ada: User) -> None:
    make(client, life="")
    assert ApiToken.objects.get().expires_at is None


def test_revoking_ends_it(client: Client, ada: User) -> None:
    text = make(client).context["text"]
    client.post(f"/accounts/tokens/{ApiToken.objects.get().pk}/revoke/")
    assert client.get("/api/v1/me", headers=bearer(text)).status_code == 401
    assert list(AuditEntry.objects.order_by("seq").values_list("action", flat=True)) == [
        "token.created",
        "token.revoked",
    ]


def test_a_look_revokes_nothing(client: Client, ada: User) -> None:
    make(client)
    assert client.get(f"/accounts/tokens/{ApiToken.objects.get().pk}/revoke/").status_code == 405


def test_other_peoples_are_neither_seen_nor_revoked(client: Client, ada: User) -> None:
    ben = User.objects.create_user("ben", role=Role.VIEWER)
    token, _ = tokens.mint(ben, Role.VIEWER, "bens-secret-project", timezone.now(), None)
    assert "bens-secret-project" not in client.get("/accounts/tokens/").content.decode()
    assert client.post(f"/accounts/tokens/{token.pk}/revoke/").status_code == 404
    assert ApiToken.objects.get().revoked_at is None


def test_an_admin_sees_and_revokes_everybodys(client: Client) -> None:
    client.force_login(User.objects.create_user("root", role=Role.ADMIN))
    ben = User.objects.create_user("ben", role=Role.VIEWER)
    token, _ = tokens.mint(ben, Role.VIEWER, "bens", timezone.now(), None)
    assert "bens" in client.get("/accounts/tokens/").content.decode()
    client.post(f"/accounts/tokens/{token.pk}/revoke/")
    assert ApiToken.objects.get().revoked_at is not None


def test_a_long_list_shows_those_in_use_and_says_so(
    client: Client, monkeypatch: pytest.MonkeyPatch, ada: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    monkeypatch.setattr("console.accounts.views.LISTED", 2)
    for name in ("a", "b", "c", "d"):
        token, _ = tokens.mint(ada, Role.VIEWER, name, timezone.now(), None)
        if name in "cd":
            ApiToken.objects.filter(pk=token.pk).update(revoked_at=timezone.now())
    with django_assert_max_num_queries(12):
        answer = client.get("/accounts/tokens/")
    assert [row["token"].name for row in answer.context["rows"]] == ["b", "a"]
    assert "manage.py token list" in answer.content.decode()


def test_no_page_shows_a_hash(client: Client, ada: User) -> None:
    make(client)
    assert ApiToken.objects.get().digest not in client.get("/accounts/tokens/").content.decode()


def test_changing_ones_password_asks_for_the_old_one(client: Client, ada: User) -> None:
    form = {"old_password": "wrong", "new_password1": PASSWORD + "2", "new_password2": PASSWORD + "2"}
    assert client.post("/accounts/password/", form).status_code == 422
    elsewhere = Client()
    elsewhere.force_login(ada)
    assert client.post("/accounts/password/", form | {"old_password": PASSWORD}).status_code == 302
    assert client.get("/accounts/tokens/").status_code == 200
    assert elsewhere.get("/accounts/tokens/").status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD + "2")

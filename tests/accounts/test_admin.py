"""Django's admin: for the role admin alone, no hashes, no second way in, everything audited."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts import audit, tokens
from console.accounts.actor import CONSOLE
from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


@pytest.fixture
def root(client: Client) -> User:
    user = User.objects.create_user("root", PASSWORD, role=Role.ADMIN)
    client.force_login(user)
    return user


def last() -> AuditEntry:
    return AuditEntry.objects.order_by("-seq")[0]


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/accounts/apitoken/"])
def test_others_are_refused_by_name_of_the_role(client: Client, role: Role, path: str) -> None:
    client.force_login(User.objects.create_user("ada", role=role))
    answer = client.get(path, follow=True)
    assert answer.status_code == 403
    assert "This needs the role admin." in answer.content.decode()


def test_anonymous_visitors_go_to_the_one_sign_in(client: Client) -> None:
    assert client.get("/admin/accounts/user/")["Location"] == "/accounts/login/?next=/admin/accounts/user/"
    assert client.get("/admin/login/").status_code == 302
    answer = client.post("/admin/login/", {"username": "root", "password": PASSWORD})
    assert answer["Location"].startswith("/accounts/login/")


def test_every_page_of_it_opens(client: Client, root: User) -> None:
    token, _ = tokens.mint(root, Role.VIEWER, "ci", timezone.now(), None)
    entry = audit.record(CONSOLE, "thing.done")
    for path in (
        "/admin/",
        "/admin/accounts/user/",
        "/admin/accounts/user/add/",
        f"/admin/accounts/user/{root.pk}/change/",
        f"/admin/accounts/user/{root.pk}/password/",
        f"/admin/accounts/user/{root.pk}/history/",
        "/admin/accounts/apitoken/",
        f"/admin/accounts/apitoken/{token.pk}/change/",
        "/admin/accounts/auditentry/",
        f"/admin/accounts/auditentry/{entry.pk}/change/",
    ):
        answer = client.get(path)
        assert answer.status_code == 200, path
        content = answer.content.decode()
        assert root.password not in content, path
        assert "argon2" not in content, path
        assert token.digest not in content, path


def test_a_user_is_made_and_audited(client: Client, root: User) -> None:
    form = {"username": "ben", "name": "Ben", "role": "operator", "usable_password": "true"}
    client.post("/admin/accounts/user/add/", form | {"password1": PASSWORD, "password2": PASSWORD})
    ben = User.objects.get(username="ben")
    assert ben.check_password(PASSWORD)
    assert (last().actor, last().action, last().target) == ("root", "user.created", "ben")


def test_a_changed_role_is_audited(client: Client, root: User) -> None:
    ben = User.objects.create_user("ben")
    client.post(f"/admin/accounts/user/{ben.pk}/change/", {"username": "ben", "role": "admin", "is_active": "on"})
    assert last().action == "role.changed"
    assert last().detail == {"role": ["viewer", "admin"]}


def test_the_last_admin_can_not_be_demoted_or_switched_off(client: Client, root: User) -> None:
    for form in ({"role": "viewer", "is_active": "on"}, {"role": "admin"}):
        answer = client.post(f"/admin/accounts/user/{root.pk}/change/", {"username": "root"} | form)
        assert "last active admin" in answer.content.decode()
    root.refresh_from_db()
    assert root.can_administer


def test_a_new_password_ends_the_users_sessions(client: Client, root: User) -> None:
    ben = User.objects.create_user("ben", PASSWORD)
    elsewhere = Client()
    elsewhere.force_login(ben)
    form = {"new_password1": PASSWORD + "2", "new_password2": PASSWORD + "2"}
    client.post(f"/admin/accounts/user/{ben.pk}/password/", form)
    assert elsewhere.get("/accounts/tokens/").status_code == 302
    assert last().action == "password.changed"


def test_users_are_switched_off_and_not_deleted(client: Client, root: User) -> None:
    ben = User.objects.create_user("ben")
    assert client.post(f"/admin/accounts/user/{ben.pk}/delete/", {"post": "yes"}).status_code == 403
    client.post("/admin/accounts/user/", {"action": "delete_selected", "_selected_action": [ben.pk], "post": "yes"})
    assert User.objects.filter(username="ben").exists()


def test_tokens_are_revoked_and_neither_made_nor_changed(client: Client, root: User) -> None:
    token, _ = tokens.mint(root, Role.VIEWER, "ci", timezone.now(), None)
    assert client.get("/admin/accounts/apitoken/add/").status_code == 403
    client.post(f"/admin/accounts/apitoken/{token.pk}/change/", {"role": "admin", "name": "x"})
    client.post("/admin/accounts/apitoken/", {"action": "revoke", "_selected_action": [token.pk]})
    token = ApiToken.objects.get()
    assert (token.role, token.name) == ("viewer", "ci")
    assert token.revoked_at is not None
    assert last().action == "token.revoked"


def test_the_audit_is_read_only(client: Client, root: User) -> None:
    entry = audit.record(CONSOLE, "thing.done")
    assert client.get("/admin/accounts/auditentry/add/").status_code == 403
    assert client.post(f"/admin/accounts/auditentry/{entry.pk}/change/", {"reason": "x"}).status_code == 403
    assert client.post(f"/admin/accounts/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403


def test_signing_out_there_is_audited_as_well(client: Client, root: User) -> None:
    client.post("/admin/logout/")
    assert last().action == "sign-out"
    assert client.get("/admin/").status_code == 302


def test_ones_own_password_is_changed_where_it_is_audited(client: Client, root: User) -> None:
    assert client.get("/admin/password_change/")["Location"] == "/accounts/password/"

"""`manage.py user` and `manage.py token`."""

from __future__ import annotations

import re
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role
from tests.api.asking import bearer

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery"


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def ensure(name: str, role: str, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(password + "\n"))
    run("user", "ensure", "--username", name, "--role", role, "--password-stdin")


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("seq").values_list("action", flat=True))


def test_ensure_makes_a_user_who_can_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure("ada", "operator", PASSWORD, monkeypatch)
    user = authenticate(username="ada", password=PASSWORD)
    assert isinstance(user, User)
    assert user.role == "operator"


def test_ensure_again_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(2):
        ensure("ada", "operator", PASSWORD, monkeypatch)
    assert actions() == ["user.created"]


def test_ensure_changes_role_and_password(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure("ada", "operator", PASSWORD, monkeypatch)
    ensure("ada", "viewer", PASSWORD + "2", monkeypatch)
    assert actions() == ["user.created", "role.changed", "password.changed"]
    assert AuditEntry.objects.get(action="role.changed").detail == {"role": ["operator", "viewer"]}
    assert authenticate(username="ada", password=PASSWORD) is None


def test_ensure_switches_a_user_on_again(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure("ada", "operator", PASSWORD, monkeypatch)
    User.objects.update(is_active=False)
    ensure("ada", "operator", PASSWORD, monkeypatch)
    assert User.objects.get().is_active


@pytest.mark.parametrize("password", ["short", "password1234567"[:8], ""])
def test_a_weak_or_missing_password_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    with pytest.raises(CommandError):
        ensure("ada", "operator", password, monkeypatch)
    assert not User.objects.exists()


@pytest.mark.parametrize("name", ["", "a b", "x" * 151, "a/b"])
def test_a_malformed_name_is_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with pytest.raises(CommandError):
        ensure(name, "viewer", PASSWORD, monkeypatch)


def test_two_names_that_differ_in_case_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure("ada", "viewer", PASSWORD, monkeypatch)
    with pytest.raises(CommandError, match="already"):
        ensure("Ada", "viewer", PASSWORD, monkeypatch)


def test_the_last_admin_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ensure("ada", "admin", PASSWORD, monkeypatch)
    with pytest.raises(CommandError, match="last active admin"):
        ensure("ada", "viewer", PASSWORD, monkeypatch)
    assert User.objects.get().role == "admin"


def test_a_token_is_printed_alone_and_works(client: Client) -> None:
    User.objects.create_user("ada", role=Role.OPERATOR)
    text = run("token", "create", "--user", "ada", "--role", "operator", "--name", "ci")
    assert re.fullmatch(r"qd_[0-9a-f]{8}_[\w-]{43}\n", text)
    assert client.get("/api/v1/me", headers=bearer(text.strip())).json()["role"] == "operator"


def test_its_text_is_kept_nowhere() -> None:
    User.objects.create_user("ada", role=Role.OPERATOR)
    secret = run("token", "create", "--user", "ada", "--role", "viewer").strip().split("_", 2)[2]
    token = ApiToken.objects.get()
    assert secret not in f"{vars(token)}{[vars(entry) for entry in AuditEntry.objects.all()]}"
    assert len(token.digest) == 64


def test_it_expires_after_ninety_days_unless_told_otherwise() -> None:
    User.objects.create_user("ada", role=Role.OPERATOR)
    run("token", "create", "--user", "ada", "--role", "viewer")
    run("token", "create", "--user", "ada", "--role", "viewer", "--expires", "12h")
    run("token", "create", "--user", "ada", "--role", "viewer", "--expires", "never")
    lives = [t.expires_at and t.expires_at - t.created_at for t in ApiToken.objects.order_by("pk")]
    assert lives == [timedelta(days=90), timedelta(hours=12), None]


@pytest.mark.parametrize("expires", ["", "90", "0d", "-1d", "forever", "1000000d"])
def test_a_malformed_life_is_refused(expires: str) -> None:
    User.objects.create_user("ada", role=Role.OPERATOR)
    with pytest.raises(CommandError, match="--expires"):
        run("token", "create", "--user", "ada", "--role", "viewer", "--expires", expires)
    assert not ApiToken.objects.exists()


def test_a_token_for_more_than_the_user_is_refused() -> None:
    User.objects.create_user("ada", role=Role.VIEWER)
    with pytest.raises(CommandError, match="ada is viewer"):
        run("token", "create", "--user", "ada", "--role", "operator")


def test_an_unknown_user_is_refused_with_the_remedy() -> None:
    with pytest.raises(CommandError, match=r"manage\.py user ensure --username ada --role viewer"):
        run("token", "create", "--user", "ada", "--role", "viewer")


def test_replace_ends_the_earlier_ones_of_that_name(client: Client) -> None:
    User.objects.create_user("ada", role=Role.VIEWER)
    make = ("token", "create", "--user", "ada", "--role", "viewer", "--name", "ci")
    first, other = run(*make).strip(), run(*make[:-1], "other").strip()
    second = run(*make, "--replace").strip()
    codes = [client.get("/api/v1/me", headers=bearer(text)).status_code for text in (first, other, second)]
    assert codes == [401, 200, 200]


def test_list_and_revoke() -> None:
    User.objects.create_user("ada", role=Role.VIEWER)
    run("token", "create", "--user", "ada", "--role", "viewer", "--name", "ci")
    token = ApiToken.objects.get()
    assert "active" in run("token", "list")
    run("token", "revoke", str(token.pk))
    listed = run("token", "list", "--user", "ada")
    assert "revoked" in listed
    assert token.digest not in listed
    assert actions() == ["token.created", "token.revoked"]
    run("token", "revoke", str(token.pk))
    assert actions() == ["token.created", "token.revoked"]


def test_revoking_what_is_not_there_is_refused() -> None:
    with pytest.raises(CommandError, match="no token 7"):
        run("token", "revoke", "7")


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ({}, "active"),
        ({"expires_at": timezone.now() - timedelta(1)}, "expired"),
        ({"revoked_at": timezone.now()}, "revoked"),
    ],
)
def test_a_token_says_its_state(change: dict[str, Any], state: str) -> None:
    User.objects.create_user("ada", role=Role.VIEWER)
    run("token", "create", "--user", "ada", "--role", "viewer")
    ApiToken.objects.update(**change)
    assert ApiToken.objects.get().state(timezone.now()) == state

"""The headers of every answer."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client

from console.accounts.models import User
from console.accounts.roles import Role

pytestmark = pytest.mark.django_db
PATHS = ["/accounts/login/", "/accounts/tokens/", "/audit/", "/admin/", "/api/v1/me", "/api/v1/none", "/healthz", "/no"]


@pytest.fixture
def root(client: Client) -> Client:
    client.force_login(User.objects.create_user("root", role=Role.ADMIN))
    return client


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_is_dressed(root: Client, path: str) -> None:
    answer = root.get(path)
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Referrer-Policy"] == "same-origin"
    assert answer["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in answer["Permissions-Policy"]
    assert len(answer["X-Request-ID"]) == 32


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_is_stored(root: Client, path: str) -> None:
    assert "no-store" in root.get(path)["Cache-Control"]


@pytest.mark.parametrize("path", PATHS)
def test_no_answer_allows_inline_code(root: Client, path: str) -> None:
    policy = root.get(path)["Content-Security-Policy"]
    assert "unsafe" not in policy
    for directive in ("default-src 'self'", "script-src 'self'", "style-src 'self'", "object-src 'none'"):
        assert directive in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'self'" in policy


async def _get(path: str) -> Any:
    return await AsyncClient().get(path)


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/none"])
def test_answers_of_the_asgi_server_are_dressed_as_well(path: str) -> None:
    answer = async_to_sync(_get)(path)
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert answer["Cache-Control"] == "no-store"
    assert answer["X-Request-ID"]


def test_a_sane_request_id_of_the_proxy_is_kept_and_another_is_not(root: Client) -> None:
    assert root.get("/healthz", headers={"X-Request-ID": "req-12345678"})["X-Request-ID"] == "req-12345678"
    for bad in ("x", "a" * 65, "two words here", 'quo"te-12345'):
        assert root.get("/healthz", headers={"X-Request-ID": bad})["X-Request-ID"] != bad


def test_the_session_cookie_is_out_of_scripts_and_other_sites_reach(client: Client, settings: Any) -> None:
    User.objects.create_user("ada", "correct-horse-battery")
    client.post("/accounts/login/", {"username": "ada", "password": "correct-horse-battery"})
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert settings.SESSION_COOKIE_NAME.startswith("quarterdeck-")


def test_no_page_of_ours_or_of_the_admin_holds_inline_code(root: Client) -> None:
    for path in ("/accounts/tokens/", "/accounts/password/", "/audit/", "/admin/", "/admin/accounts/user/add/"):
        content = root.get(path).content.decode()
        assert "<style" not in content, path
        assert " style=" not in content, path
        assert " onclick=" not in content, path
        assert "<script>" not in content, path


def test_a_form_without_its_csrf_token_is_refused() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_user("root", role=Role.ADMIN))
    for path in ("/accounts/tokens/", "/accounts/logout/", "/accounts/password/", "/admin/accounts/user/add/"):
        assert client.post(path, {}).status_code == 403, path


def test_pages_travel_compressed_to_whoever_can_read_that(root: Client) -> None:
    plain = root.get("/accounts/tokens/")
    packed = root.get("/accounts/tokens/", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in plain
    assert packed["Content-Encoding"] == "gzip"
    assert len(packed.content) < len(plain.content) / 2

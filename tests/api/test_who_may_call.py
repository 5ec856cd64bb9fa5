"""Who may call the JSON API, and how it says no."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.middleware.csrf import get_token
from django.test import Client, RequestFactory
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts import tokens
from console.accounts.api_auth import admin, identify, operator, reader
from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role
from console.lib.api import Problem
from tests.api.asking import bearer, token_for, user_of

pytestmark = pytest.mark.django_db


def test_a_token_tells_who_it_is(client: Client) -> None:
    answer = client.get("/api/v1/me", headers=bearer(token_for(Role.OPERATOR)))
    assert answer.json() == {"name": "operator", "role": "operator", "via": "token tests"}


def test_a_session_reads_too(client: Client) -> None:
    client.force_login(user_of(Role.VIEWER))
    assert client.get("/api/v1/me").json() == {"name": "viewer", "role": "viewer", "via": "session"}


def test_no_token_is_401_with_a_challenge(client: Client) -> None:
    answer = client.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}


@pytest.mark.parametrize("header", ["Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer qd_00000000_" + "a" * 43, "x"])
def test_a_wrong_header_is_401(client: Client, header: str) -> None:
    assert client.get("/api/v1/me", headers={"Authorization": header}).status_code == 401


def test_a_wrong_token_is_not_made_good_by_a_session(client: Client) -> None:
    client.force_login(user_of(Role.ADMIN))
    assert client.get("/api/v1/me", headers=bearer("nonsense")).status_code == 401


def test_one_wrong_character_is_401(client: Client) -> None:
    text = token_for(Role.VIEWER)
    other = text[:-1] + ("a" if text[-1] != "a" else "b")
    assert client.get("/api/v1/me", headers=bearer(other)).status_code == 401


def test_an_expired_token_is_401(client: Client) -> None:
    text = token_for(Role.VIEWER)
    ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert client.get("/api/v1/me", headers=bearer(text)).status_code == 401


def test_a_revoked_token_is_401(client: Client) -> None:
    text = token_for(Role.VIEWER)
    ApiToken.objects.update(revoked_at=timezone.now())
    assert client.get("/api/v1/me", headers=bearer(text)).status_code == 401


def test_the_token_of_a_user_who_was_switched_off_is_401(client: Client) -> None:
    text = token_for(Role.VIEWER)
    User.objects.update(is_active=False)
    assert client.get("/api/v1/me", headers=bearer(text)).status_code == 401


def test_a_token_loses_what_its_user_loses(client: Client) -> None:
    text = token_for(Role.OPERATOR)
    User.objects.update(role=Role.VIEWER.value)
    assert client.get("/api/v1/me", headers=bearer(text)).json()["role"] == "viewer"
    assert client.get("/api/v1/audit", headers=bearer(text)).status_code == 403


def test_not_enough_is_403_naming_the_role(client: Client) -> None:
    answer = client.get("/api/v1/audit", headers=bearer(token_for(Role.VIEWER)))
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert "operator (or admin)" in answer.json()["detail"]


def test_a_refused_change_is_audited_and_a_refused_look_is_not(rf: RequestFactory) -> None:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {token_for(Role.VIEWER)}"}
    for method in ("get", "post"):
        request = getattr(rf, method)("/api/v1/fleets/cpu/drain", **headers)
        with pytest.raises(Problem):
            operator(request)
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.target) == ("viewer", "access.denied", "/api/v1/fleets/cpu/drain")


def test_each_role_holds_the_ones_before_it(rf: RequestFactory) -> None:
    guards = {Role.VIEWER: reader, Role.OPERATOR: operator, Role.ADMIN: admin}
    for has in Role:
        request = rf.get("/", HTTP_AUTHORIZATION=f"Bearer {token_for(has)}")
        for wanted, guard in guards.items():
            if list(Role).index(has) >= list(Role).index(wanted):
                assert guard(request).role is has
            else:
                with pytest.raises(Problem):
                    guard(request)


def test_a_change_by_session_needs_the_csrf_token(rf: RequestFactory) -> None:
    request = rf.post("/api/v1/anything")
    request.user = user_of(Role.OPERATOR)
    with pytest.raises(Problem) as refused:
        identify(request)
    assert refused.value.status == 403
    assert refused.value.code == "csrf"


def test_a_change_by_session_with_it_goes_through(rf: RequestFactory) -> None:
    first = rf.get("/")
    secret = get_token(first)
    request = rf.post("/api/v1/anything", HTTP_X_CSRFTOKEN=secret)
    request.COOKIES[settings.CSRF_COOKIE_NAME] = first.META["CSRF_COOKIE"]
    request.user = user_of(Role.OPERATOR)
    assert identify(request).via == "session"


def test_a_change_by_token_needs_no_csrf_token(rf: RequestFactory) -> None:
    request = rf.post("/api/v1/anything", HTTP_AUTHORIZATION=f"Bearer {token_for(Role.OPERATOR)}")
    request.user = AnonymousUser()
    assert identify(request).name == "operator"


def test_use_is_noted_once_a_minute(client: Client, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    headers = bearer(token_for(Role.VIEWER))
    with django_assert_num_queries(2):  # find it, note it
        client.get("/api/v1/me", headers=headers)
    first = ApiToken.objects.get().last_used_at
    with django_assert_num_queries(1):
        client.get("/api/v1/me", headers=headers)
    assert first is not None
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - tokens.USED_EVERY)
    client.get("/api/v1/me", headers=headers)
    assert ApiToken.objects.get().last_used_at > first - tokens.USED_EVERY

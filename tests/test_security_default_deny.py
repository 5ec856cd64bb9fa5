"""Default deny: every address in the urlconf turns anonymous visitors away, but for a short list."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

pytestmark = pytest.mark.django_db

PUBLIC = {"/accounts/login/", "/healthz", "/readyz", "/favicon.ico"}
EMPTY = {"/api/v1/"}  # nothing for anybody
METHODS = ("get", "post", "put", "patch", "delete")


def walk(patterns: list[URLPattern | URLResolver], before: str = "") -> Iterator[str]:
    """The route of every address, as the patterns write it."""
    for pattern in patterns:
        route = before + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from walk(pattern.url_patterns, route)
        else:
            yield route


def example(route: str) -> str:
    """A path that the route matches."""
    path = re.sub(r"<(?:int:)?(?:pk|id|number|seq|N)>|<int:\w+>", "1", route)
    path = re.sub(r"<(?:\w+:)?\w+>", "x", path)
    path = re.sub(r"\(\?P<app_label>[^)]*\)", "accounts", path)
    path = re.sub(r"\(\?P<url>\.\*\)", "x", path)
    return "/" + re.sub(r"[\^$]|\\Z", "", path)


PATHS = sorted({example(route) for route in walk(get_resolver().url_patterns)})


def test_the_walk_sees_the_console() -> None:
    assert {"/", "/audit/", "/admin/", "/api/v1/me", "/metrics", "/accounts/tokens/1/revoke/"} <= set(PATHS)
    assert len(PATHS) > 30


@pytest.mark.parametrize("path", PATHS)
def test_anonymous_visitors_are_turned_away(client: Client, path: str) -> None:
    answers = {method: getattr(client, method)(path) for method in METHODS}
    if path in PUBLIC:
        at = answers["get"]
        assert at.status_code in {200, 503} or (at.status_code == 302 and at["Location"] == "/static/img/logo.svg")
        return
    if path in EMPTY:
        assert answers["get"].status_code == 404
        return
    for method, answer in answers.items():
        sent_away = answer.status_code == 302 and answer["Location"].startswith(settings.LOGIN_URL)
        wrong_method = answer.status_code == 405 and (path.startswith("/api/") or path == "/metrics")
        assert sent_away or wrong_method or answer.status_code == 401, f"{method} {path}: {answer.status_code}"
    assert any(answer.status_code in {302, 401} for answer in answers.values()), path


def test_what_is_not_there_tells_nothing(client: Client) -> None:
    assert client.get("/no/such/page/").status_code == 404

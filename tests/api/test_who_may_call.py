"""Who may call the JSON API, and how it says no."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from console.accounts import tokens
from console.accounts.models import ApiToken, AuditEntry, User
from console.accounts.roles import Role
from tests.api.asking import bearer, token_for

pytestmark = pytest.mark.django_db


def test_a_token_tells_who_it_is(client: Client) -> None:
    answer = client.get("/api/v1/me", headers=bearer(token_for(Role.OPERATOR)))
    assert answer.json() == {"name": "operator", "role": "operator", "via": "token tests"}


def test_no_token_is_401_with_a_challenge(client: Client) -> None:
    answer = client.get("/api/v1/me")
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")
    assert answer["Content-Type"] == "application/problem+json"
    assert set(answer.json()) == {"type", "title", "status", "detail"}

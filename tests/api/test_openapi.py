"""The API describes itself, to those who may read it."""

from __future__ import annotations

import pytest
from django.test import Client

from console.accounts.roles import Role
from tests.api.asking import bearer, token_for, user_of

pytestmark = pytest.mark.django_db


def test_anonymous_readers_get_401(client: Client) -> None:
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


def test_a_viewers_token_or_session_reads_it(client: Client) -> None:
    by_token = client.get("/api/v1/openapi.json", headers=bearer(token_for(Role.VIEWER)))
    assert by_token.json()["info"]["title"] == "Quarterdeck"
    client.force_login(user_of(Role.VIEWER))
    assert client.get("/api/v1/openapi.json").json()["paths"] == by_token.json()["paths"]


def test_every_call_declares_the_bearer_token(client: Client) -> None:
    schema = client.get("/api/v1/openapi.json", headers=bearer(token_for(Role.VIEWER))).json()
    calls = [(path, verb, call) for path, verbs in schema["paths"].items() for verb, call in verbs.items()]
    assert ("/api/v1/me", "get") in [(path, verb) for path, verb, _ in calls]
    assert all(call.get("security") for _, _, call in calls)
    kinds = schema["components"]["securitySchemes"]
    signed = kinds.pop("PagerDutySigned")  # a webhook's sender has no token: it signs
    assert (signed["type"], signed["in"], signed["name"]) == ("apiKey", "header", "X-PagerDuty-Signature")
    assert {kind["scheme"] for kind in kinds.values()} == {"bearer"}


def test_every_call_says_what_it_answers(client: Client) -> None:
    schema = client.get("/api/v1/openapi.json", headers=bearer(token_for(Role.VIEWER))).json()
    silent = [
        f"{verb} {path}"
        for path, verbs in schema["paths"].items()
        for verb, call in verbs.items()
        if not any(answer.get("content") for answer in call["responses"].values()) and "204" not in call["responses"]
    ]
    assert silent == []

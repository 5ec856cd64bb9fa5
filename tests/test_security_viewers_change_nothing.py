"""A viewer's token is refused by every call of the API that changes something, before its body is looked at."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from console.accounts.models import AuditEntry
from console.accounts.roles import Role
from console.api import api
from tests.api.asking import bearer, token_for

QUESTIONS = {"/api/v1/freshness/check"}  # asked by POST since they are long, changing nothing
HOOKS = {"/api/v1/hooks/pagerduty", "/api/v1/hooks/alertmanager"}
"""For no user at all: each takes its sender's own secret (tests/incidents/test_hooks.py), a token opens neither."""

CHANGES = sorted(
    (verb, re.sub(r"\{[^}]*\}", "1", path))
    for path, verbs in api.get_openapi_schema()["paths"].items()
    for verb in verbs
    if verb != "get" and path not in QUESTIONS | HOOKS
)


def test_there_are_changes_to_try() -> None:
    assert CHANGES


@pytest.mark.django_db
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("path", sorted(HOOKS))
def test_no_users_token_opens_a_webhook(client: Client, path: str, role: Role) -> None:
    answer = client.post(path, headers=bearer(token_for(role)), content_type="application/json")
    assert answer.status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize(("verb", "path"), CHANGES)
def test_it_is_403_naming_the_role_and_audited(client: Client, verb: str, path: str) -> None:
    answer = getattr(client, verb)(path, headers=bearer(token_for(Role.VIEWER)), content_type="application/json")
    assert answer.status_code == 403, answer.content
    assert "operator" in answer.json()["detail"] or "admin" in answer.json()["detail"]
    entry = AuditEntry.objects.get(action="access.denied")
    assert (entry.actor, entry.target) == ("viewer", path)

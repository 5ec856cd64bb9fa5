"""What somebody may write into an address, on every page and in every call that only looks: never a server error."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

import pytest
from django.db import transaction
from django.test import Client
from django.utils import timezone

from console.accounts.roles import Role
from console.api import api
from tests.api.asking import bearer, token_for, user_of
from tests.fleets import story
from tests.freshness.made import ORDERS
from tests.incidents.made import opened
from tests.overview.made import whole

pytestmark = pytest.mark.django_db

# NUL (which PostgreSQL refuses), half of a surrogate pair, numbers that fit nowhere, digits that are none.
ODD = [b"a\0b", b"\xed\xa0\x80", b"9" * 40, "²".encode(), b"0001-01-01T00:00:00Z", b"NaN", b"-1", "\u202e".encode()]
PAGES = {
    "/incidents/": "q state severity section before",
    "/incidents/export.csv": "q section before",
    "/fleets/": "q sort page cards",
    "/fleets/cpu/": "q sort page state range",
    "/fleets/cpu/chart.json": "range size",
    "/fleets/cpu/decisions/": "state page before",
    "/fleets/cpu/replay/": "range target baseline",
    "/fleets/cpu/drain/": "workers replace deadline_s",
    "/fleets/cpu/resize/": "desired",
    "/pools/": "q sort page state",
    "/freshness/": "q table asof sort page state",
    f"/freshness/{ORDERS.name}/": "range cutoff",
    f"/freshness/{ORDERS.name}/lag.json": "range",
    "/storage/": "q state page",
    "/history/": "queue range end",
    "/operations/": "q who kind state before",
    "/audit/": "who action target since until before",
    "/search": "q",
}
NAMED = ["/fleets/{}/", "/fleets/{}/drain/", "/fleets/cpu/workers/{}/", "/freshness/{}/", "/incidents/runbooks/{}/"]


@pytest.fixture
def client() -> Client:
    whole(timezone.now(), workers=0)
    story.tell(timezone.now())
    client = Client(raise_request_exception=False)
    client.force_login(user_of(Role.ADMIN))
    return client


def refused(client: Client, addresses: Iterable[str], **headers: Any) -> list[str]:
    """Those that end in a server error. Each in a transaction of its own: a failed statement must not fail the next."""
    found = []
    for address in addresses:
        with transaction.atomic():
            answer = client.get(address, headers=headers)
            transaction.set_rollback(True)
        found += [address] if answer.status_code >= 500 else []
    return found


def test_no_page_fails(client: Client) -> None:
    asked = [f"{path}?{name}={quote(odd)}" for path, names in PAGES.items() for name in names.split() for odd in ODD]
    assert refused(client, asked) == []


def test_no_name_in_a_path_fails(client: Client) -> None:
    assert refused(client, [path.format(quote(odd, safe="")) for path in NAMED for odd in ODD]) == []


def test_no_call_of_the_api_fails(client: Client) -> None:
    asked = []
    for path, verbs in api.get_openapi_schema()["paths"].items():
        if "get" not in verbs:
            continue
        takes = verbs["get"].get("parameters", [])
        names = [one["name"] for one in takes if one["in"] == "query"]
        for odd in ODD[:4]:
            filled = re.sub(r"\{[^}]*\}", quote(odd, safe=""), path)
            asked += [f"{filled}?{name}={quote(odd)}" for name in names] or [filled]
            if "{" in path:
                asked += [f"{re.sub(r'{[^}]*}', 'cpu', path)}?{name}={quote(odd)}" for name in names]
    assert len(asked) > 100
    assert refused(client, asked, **bearer(token_for(Role.ADMIN))) == []


@pytest.mark.parametrize("reason", ["a\0b", "a \ud800", "\u202e x"])
def test_no_reason_fails(client: Client, reason: str) -> None:
    """Kept as far as PostgreSQL can keep it."""
    headers = bearer(token_for(Role.ADMIN))
    incident = opened()
    path = f"/api/v1/incidents/{incident.pk}/acknowledge"
    assert client.post(path, {"reason": reason}, content_type="application/json", headers=headers).status_code == 200
    asked = {"reason": reason, "desired": 3}
    answer = client.patch("/api/v1/fleets/cpu", asked, content_type="application/json", headers=headers)
    assert answer.status_code in (202, 409), answer.content


@pytest.mark.parametrize("address", ["/operations/?q=a%00b", "/fleets/a%00b/", "/api/v1/freshness?q=a%00b"])
def test_a_nul_is_refused_in_words(client: Client, address: str) -> None:
    answer = client.get(address, headers=bearer(token_for(Role.ADMIN)))
    assert answer.status_code == 400
    if address.startswith("/api/"):
        assert "%00" in answer.json()["detail"]

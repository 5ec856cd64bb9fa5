"""The calls that other programs build on are there. Add lines; remove none without a deprecation."""

from __future__ import annotations

import re

import pytest

from console.api import api

CALLS = """
GET  overview
GET  scheduler
GET  fleets
GET  fleets/{}
GET  fleets/{}/workers
GET  freshness
GET  freshness/tables/{}
GET  freshness/tables/{}/history
POST freshness/check
PUT  freshness/cutoffs
GET  freshness/changes
GET  freshness/tasks
POST freshness/tasks/{}/resume
POST freshness/tasks/{}/attest
POST freshness/tables/{}/reload
GET  pools
GET  datastores
GET  storage
GET  storage/{}
POST storage/{}/expire
GET  operations
GET  operations/{}
POST operations/{}/{}
GET  incidents
GET  incidents/{}
POST incidents/{}/acknowledge
POST incidents/{}/resolve
POST incidents/{}/snooze
GET  maintenance
POST maintenance
DELETE maintenance/{}
GET  audit
GET  me
"""


@pytest.fixture(scope="module")
def offered() -> set[tuple[str, str]]:
    """Each `(verb, path)` of the OpenAPI document, its parameters without their names."""
    return {
        (verb.upper(), re.sub(r"\{[^}]*\}", "{}", path.removeprefix("/api/v1/")).strip("/"))
        for path, verbs in api.get_openapi_schema()["paths"].items()
        for verb in verbs
    }


@pytest.mark.parametrize("call", CALLS.strip().splitlines())
def test_it_is_offered(call: str, offered: set[tuple[str, str]]) -> None:
    verb, path = call.split()
    assert (verb, path) in offered

"""Fixtures that more than one app's tests use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.template import engines
from django.template.backends.jinja2 import Template
from django.test import TransactionTestCase, override_settings
from django.test.signals import template_rendered
from hypothesis import HealthCheck, settings
from jinja2 import StrictUndefined
from pytest_django import DjangoDbBlocker

from console.lib import templates
from tests.flush import empty_tables

# How fast this machine is today, and whether it is the first run of hypothesis on it, is no property of the code.
settings.register_profile("quarterdeck", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("quarterdeck")


LONGEST = (
    "agent/test_scheduler_agent", "browser/test_sections_with_figures", "fleets/scaling/test_whole",
    "fleets/test_watchers_take_over", "freshness/test_truth", "incidents/test_killed", "incidents/test_killed_workers",
    "incidents/test_storms", "live/test_in_browser", "live/test_stream", "platform/test_broker",
    "agent/test_lease_store_away", "docker/test_machines", "provider/test_board",
    "platform/mysql_heartbeats/test_holding", "platform/mysql_heartbeats/test_refusals", "freshness/test_truth_mysql",
    "platform/mysql_heartbeats/test_truth", "platform/test_mysql_tls", "browser/test_states",
    "overview/test_query_counts",
)  # fmt: skip
"""Ten seconds to forty: handed out first, so that no worker waits for the other's last one at the end."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        long = tuple(f"tests/{name}.py::" for name in LONGEST)
        items.sort(key=lambda item: not item.nodeid.startswith(long))


@pytest.fixture
def now() -> datetime:
    """The moment at which pure rules are tried."""
    return datetime(2026, 11, 22, 3, 7, tzinfo=UTC)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Transactional tests are cleaned up by TRUNCATE, which the audit's table refuses outside of the tests."""
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE accounts_auditentry DISABLE TRIGGER audit_table_stays")
    TransactionTestCase._fixture_teardown = empty_tables


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    with override_settings(PASSWORD_HASHERS=["tests.hashers.CheapArgon2"]):
        yield


@pytest.fixture(scope="session", autouse=True)
def pages_tell_their_context() -> Iterator[None]:
    """`response.context` of Django's test client rests on a signal that only Django's own engine sends.

    And a word that is missing is an error here.
    """
    render = Template.render

    def told(template: Template, context: Any = None, request: Any = None) -> Any:
        context = {} if context is None else context
        html = render(template, context, request)
        template_rendered.send(sender=template, template=template, context=context)
        return html

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "render", told)
        patch.setattr(templates, "missing", lambda: StrictUndefined)
        engines["jinja2"].env.undefined = StrictUndefined  # type: ignore[attr-defined] # if it was made already
        yield

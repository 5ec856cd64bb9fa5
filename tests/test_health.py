"""`/healthz`, `/readyz` and `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import DjangoAssertNumQueries

from console import health
from console.accounts.models import User
from console.accounts.roles import Role
from console.lib import metrics
from console.platform.models import Source
from console.platform.sources import SOURCES
from tests.api.asking import bearer, token_for


@pytest.fixture
def seen(db: None) -> None:
    """Every source was read just now."""
    now = timezone.now()
    Source.objects.bulk_create([Source(name=name, as_of=now, attempted_at=now) for name in SOURCES])


def away(*args: Any, **kwargs: Any) -> None:
    raise OperationalError("connection refused")


def test_the_process_lives_without_a_database(client: Client) -> None:
    """No database fixture here: a single query would fail this test."""
    assert client.get("/healthz").json() == {"status": "alive"}


def test_the_process_lives_whatever_cookie_it_is_sent(client: Client, settings: Any) -> None:
    client.cookies[settings.SESSION_COOKIE_NAME] = "x" * 32
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_load_balancers_ask_by_address(client: Client, seen: None, settings: Any, path: str) -> None:
    settings.DEBUG = False
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert client.get("/accounts/login/", headers={"Host": "10.1.2.3:8000"}).status_code == 400


def test_probes_are_answered_by_plain_http(client: Client, seen: None, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get("/healthz").status_code == 200
    assert client.get("/accounts/login/").status_code == 301


def test_it_is_ready_when_it_sees(
    client: Client, seen: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(2):
        answer = client.get("/readyz")
    body = answer.json()
    assert (answer.status_code, body["status"], body["reason"], body["unseen"]) == (200, "ready", "", [])
    assert {source["name"] for source in body["sources"]} == set(SOURCES)
    assert all(source["age_s"] < source["limit_s"] for source in body["sources"])


def test_it_is_ready_while_it_sees_anything_and_names_what_it_does_not(client: Client, seen: None) -> None:
    old = timezone.now() - timedelta(hours=1)
    Source.objects.exclude(name="airflow.scheduler").update(as_of=old)
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "warehouse" in answer.json()["unseen"]


def test_it_is_blind_when_it_sees_nothing(client: Client, seen: None) -> None:
    Source.objects.update(as_of=timezone.now() - timedelta(hours=1))
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["status"] == "blind"
    assert "worker and beat" in answer.json()["reason"]


@pytest.mark.django_db
def test_it_is_blind_before_the_first_reading(client: Client) -> None:
    assert client.get("/readyz").status_code == 503


def test_it_is_blind_without_its_database(client: Client, seen: None, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(connection, "cursor", away)
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert (answer.json()["database"], answer.json()["reason"]) == (
        False,
        "the database is out of reach, or was never migrated",
    )


def test_it_is_blind_without_redis(client: Client, seen: None, settings: Any) -> None:
    settings.REDIS_URL = "redis://:hunter2@127.0.0.1:9/0"
    health._redis.cache_clear()
    try:
        answer = client.get("/readyz")
    finally:
        health._redis.cache_clear()
    assert answer.status_code == 503
    assert (answer.json()["redis"], answer.json()["reason"]) == (False, "Redis is out of reach")


def test_anybody_may_ask_so_it_tells_no_errors(client: Client, seen: None) -> None:
    Source.objects.update(as_of=None, error="https://internal.example refused", remedy="look there")
    assert "internal.example" not in client.get("/readyz").content.decode()


def samples(answer: Any) -> dict[tuple[str, str], float]:
    """Every sample by its name and its first label's value."""
    assert answer.status_code == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


@pytest.mark.django_db
@pytest.mark.parametrize("role", list(Role))
def test_metrics_take_a_token_of_any_role(client: Client, role: Role) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers=bearer("nonsense")).status_code == 401
    assert samples(client.get("/metrics", headers=bearer(token_for(role))))


@pytest.mark.django_db
def test_metrics_take_an_allowed_network(client: Client, settings: Any) -> None:
    settings.METRICS_ALLOWED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    codes = [
        client.get("/metrics", REMOTE_ADDR=ip).status_code for ip in ("10.2.3.4", "fd00::1", "11.0.0.1", "::1", "")
    ]
    assert codes == [200, 200, 401, 401, 401]
    forged = client.get("/metrics", REMOTE_ADDR="11.0.0.1", headers={"X-Forwarded-For": "10.0.0.1"})
    assert forged.status_code == 401


def test_metrics_tell_each_sources_age(client: Client, seen: None) -> None:
    Source.objects.filter(name="warehouse").update(as_of=timezone.now() - timedelta(hours=1), failures=7)
    Source.objects.filter(name="aws.dms").update(as_of=None)
    client.force_login(User.objects.create_user("ada"))
    found = samples(client.get("/metrics"))
    assert found["quarterdeck_source_age_seconds", "warehouse"] == pytest.approx(3600, abs=5)
    assert found["quarterdeck_source_seen", "warehouse"] == 0
    assert found["quarterdeck_source_failures", "warehouse"] == 7
    assert found["quarterdeck_source_seen", "airflow.pools"] == 1
    assert ("quarterdeck_source_age_seconds", "aws.dms") not in found
    assert found["quarterdeck_source_seen", "aws.dms"] == 0


def test_the_sources_cost_one_query(seen: None, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        list(health.collect_sources(timezone.now()))


@pytest.fixture
def registered() -> Iterable[None]:
    before = dict(metrics._collectors)
    yield
    metrics._collectors.clear()
    metrics._collectors.update(before)


def test_apps_add_their_figures(seen: None, registered: None) -> None:
    metrics.register(
        "fleets", lambda now: [metrics.gauge("qd_workers", "W.", ["queue"], [(["cpu"], 3), (["io"], None)])]
    )
    text = metrics.exposition(timezone.now()).decode()
    assert 'qd_workers{queue="cpu"} 3.0' in text
    assert 'queue="io"' not in text


def test_one_collector_that_fails_hides_no_other(seen: None, registered: None) -> None:
    def fail(now: datetime) -> Any:
        raise RuntimeError

    metrics.register("broken", fail)
    text = metrics.exposition(timezone.now()).decode()
    assert 'quarterdeck_collector_up{collector="broken"} 0.0' in text
    assert 'quarterdeck_collector_up{collector="sources"} 1.0' in text
    assert "quarterdeck_source_seen" in text


def test_names_with_quotes_are_escaped(seen: None, registered: None) -> None:
    metrics.register("odd", lambda now: [metrics.gauge("qd_odd", "O.", ["n"], [(['a"b\\c\nd'], 1)])])
    parsed = list(text_string_to_metric_families(metrics.exposition(timezone.now()).decode()))
    assert any(sample.labels.get("n") == 'a"b\\c\nd' for family in parsed for sample in family.samples)

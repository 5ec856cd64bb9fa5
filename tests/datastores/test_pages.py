"""The datastores' page, their card on the overview and the API."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from console.accounts.roles import Role
from console.datastores.models import Change, Datastore
from console.datastores.pages import datastores_page, datastores_summary
from console.history.models import Mark
from console.lib.status import Status
from console.platform.declared import declaration
from console.platform.sources import DATASTORES
from tests.api.asking import bearer, token_for, user_of
from tests.datastores.made import CACHE, RDS, polled

pytestmark = pytest.mark.django_db


def told(path: str = "") -> Any:
    return Client().get(f"/api/v1/datastores{path}", headers=bearer(token_for(Role.VIEWER)))


def test_the_page_shows_each_datastore(client: Client) -> None:
    polled(timezone.now(), RDS, replace(CACHE, replicas=0))
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/datastores/").content.decode()
    assert "queue has no replica" in html
    assert "Add a replica in another zone" in html
    assert "airflow-metadata" in html
    assert "Nothing has changed" in html


def test_before_the_first_reading_all_is_unknown(client: Client) -> None:
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/datastores/").content.decode()
    assert "RDS and ElastiCache can&#39;t be seen" in html
    assert "metadata-db" in html


def test_past_the_limit_no_figure_is_left(now: datetime) -> None:
    polled(now, RDS, CACHE)
    later = now + timedelta(seconds=DATASTORES.limit_s + 1)
    found = datastores_summary(later)
    assert found.status == Status.UNKNOWN
    assert {(row.state, row.primary, row.redundant, row.replicas) for row in found.rows} == {(None, None, None, None)}
    assert found.pill == "2 unknown"


def test_one_that_is_gone_from_aws_is_failing(now: datetime) -> None:
    polled(now, RDS)
    found = datastores_summary(now)
    assert (found.status, found.reason, found.pill) == (Status.FAILING, "queue does not exist", "1 failing")


def test_a_failover_is_noted_and_marked(now: datetime) -> None:
    polled(now, RDS, CACHE)
    later = now + timedelta(seconds=10)
    polled(later, replace(RDS, primary_zone="eu-north-1b", standby_zone="eu-north-1a"), CACHE)
    polled(later + timedelta(seconds=10), replace(RDS, primary_zone="eu-north-1b", standby_zone="eu-north-1a"), CACHE)
    [row] = Change.objects.all()
    assert (row.at, row.datastore, row.what) == (later, "metadata-db", "role")
    assert [mark.title for mark in Mark.objects.all()] == ["metadata-db failed over to airflow-metadata in eu-north-1b"]
    assert [change.became for change in datastores_page(later).changes] == ["airflow-metadata in eu-north-1b"]


def test_the_api_tells_what_is_remembered() -> None:
    polled(timezone.now(), RDS, CACHE)
    first = told().json()[0]
    assert (first["id"], first["status"], first["state"], first["redundant"]) == (
        "metadata-db",
        "healthy",
        "available",
        True,
    )
    assert first["age_s"] == pytest.approx(0, abs=2)
    assert told("/queue").json()["replicas"] == 2


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    answer = told("/quue")
    assert answer.status_code == 404
    assert "Did you mean queue?" in answer.json()["detail"]


@pytest.fixture
def declared_none(settings: Settings, tmp_path: Any) -> Iterator[None]:
    text = Path(settings.PLATFORM_FILE).read_text()
    path = tmp_path / "platform.yaml"
    path.write_text(text[: text.index("datastores:")])
    settings.PLATFORM_FILE = str(path)
    declaration.cache_clear()
    yield
    declaration.cache_clear()


@pytest.mark.usefixtures("declared_none")
def test_where_none_is_declared_the_page_says_what_to_do(client: Client) -> None:
    polled(timezone.now())
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/datastores/").content.decode()
    assert "No datastore is declared" in html
    assert "platform.yaml" in html


@pytest.mark.usefixtures("declared_none")
def test_what_is_no_longer_declared_is_forgotten(now: datetime) -> None:
    Datastore.objects.create(id="old", kind="rds", identifier="old", present=True, as_of=now)
    polled(now)
    assert not Datastore.objects.exists()


def test_a_page_takes_three_queries(now: datetime, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    polled(now, RDS, CACHE)
    with django_assert_num_queries(3):
        datastores_page(now)
    with django_assert_num_queries(2):
        datastores_summary(now)

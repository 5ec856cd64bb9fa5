"""The storages' page, their part of the overview, the API and what Prometheus scrapes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from console.accounts.roles import Role
from console.lib.status import Status
from console.overview.search import search
from console.platform.declared import declaration
from console.platform.models import Source, remember_failure
from console.storage.metrics import DAGS, collect
from console.storage.models import Store
from console.storage.pages import SHOWN, storage_page, storage_summary
from console.storage.poll import forget
from console.storage.sources import LIMIT_S, source_of
from tests.api.asking import bearer, token_for, user_of
from tests.storage.made import HOUR, handed, polled, well

pytestmark = pytest.mark.django_db


def told(path: str = "") -> Any:
    return Client().get(f"/api/v1/storage{path}", headers=bearer(token_for(Role.VIEWER)))


def shown(client: Client) -> str:
    client.force_login(user_of(Role.VIEWER))
    return client.get("/storage/").content.decode()


def test_the_page_shows_sizes_readers_and_what_is_past_its_time(client: Client) -> None:
    now = timezone.now()
    polled(
        now,
        handed("revenue_report", now - HOUR / 2, size=4_200_000),
        handed("%3Cb%3Eload%3C%2Fb%3E", now - 3 * HOUR, kept=HOUR, name="lost & found.csv"),
    )
    html = shown(client)
    assert "files holds 1\N{NO-BREAK SPACE}hand-off that nobody fetched" in html
    assert "s3://tests-files/team" in html
    assert "4.2\N{NO-BREAK SPACE}MB" in html
    assert "nobody came" in html
    assert "lost &amp; found.csv" in html
    assert "&lt;b&gt;load&lt;/b&gt;" in html
    assert "<b>load</b>" not in html


def test_before_the_first_look_all_is_unknown(client: Client) -> None:
    html = shown(client)
    assert "files can&#39;t be seen" in html
    assert "Not seen" in html


def test_past_the_limit_no_figure_is_left(now: datetime) -> None:
    well(now)
    found = storage_page(now + timedelta(seconds=LIMIT_S + 1))
    [store] = found.stores
    assert found.summary.status == Status.UNKNOWN
    assert (store.row.bytes, store.row.newest_at, store.row.missed, store.shares, store.handoffs) == (
        None, None, None, (), (),
    )  # fmt: skip


def test_a_storage_that_is_away_says_why_and_keeps_its_age(now: datetime) -> None:
    well(now - timedelta(minutes=5))
    name = source_of("files").name
    remember_failure(name, now, 1, error="it may not call s3:ListBucket", code="forbidden", remedy="Allow it.")
    row = storage_summary(now).rows[0]
    assert "may not call s3:ListBucket" in row.verdict.reason
    assert (row.verdict.remedy, row.sight.age_s) == ("Allow it.", 300)


def test_the_newest_file_stays_the_newest_when_its_reader_has_removed_it(now: datetime) -> None:
    polled(now - HOUR, handed("load", now - HOUR))
    polled(now, [])
    row = storage_summary(now).rows[0]
    assert (row.files, row.newest_age_s) == (0, 3600)


def test_another_place_begins_anew(now: datetime) -> None:
    well(now)
    Store.objects.update(location="s3://elsewhere")
    assert storage_summary(now).rows[0].verdict.says == "is not read yet"
    polled(now, [])
    assert storage_summary(now).rows[0].newest_at is None


def test_the_api_tells_what_is_remembered() -> None:
    now = timezone.now()
    polled(now, handed("load", now - 2 * HOUR, kept=HOUR), handed("load", now - HOUR, run="2", read_at=now))
    [first] = told().json()
    assert (first["id"], first["status"], first["handoffs"], first["missed"], first["past_bytes"]) == (
        "files", "degraded", 2, 1, 1000,
    )  # fmt: skip
    whole = told("/files").json()
    assert [(one["stage"], one["dag_id"]) for one in whole["listed"]] == [("missed", "load"), ("fetched", "load")]
    assert whole["shares"][0]["missed"] == 1
    assert told("/fils").status_code == 404
    assert "Did you mean files?" in told("/fils").json()["detail"]


def test_names_that_the_database_does_not_take_are_mended(now: datetime) -> None:
    polled(now, handed("a%00b", now), handed("x", now, name="\udcff"))
    assert storage_page(now).stores[0].row.files == 4


@pytest.fixture
def declared_none(settings: Settings, tmp_path: Any) -> Iterator[None]:
    text = Path(settings.PLATFORM_FILE).read_text()
    path = tmp_path / "platform.yaml"
    path.write_text(text[: text.index("storage:")])
    settings.PLATFORM_FILE = str(path)
    declaration.cache_clear()
    yield
    declaration.cache_clear()


@pytest.mark.usefixtures("declared_none")
def test_where_none_is_declared_the_page_says_what_to_do_and_all_is_forgotten(client: Client, now: datetime) -> None:
    Store.objects.create(id="old", location="x", watched_since=now, as_of=now, complete=True, files=0, bytes=0)
    Source.objects.create(name="storage.old")
    forget(declaration().storage)
    assert not Store.objects.exists()
    assert not Source.objects.filter(name="storage.old").exists()
    assert "No storage is declared" in shown(client)
    assert told().json() == []


def test_it_is_found_by_name_and_by_place(now: datetime) -> None:
    well(now)
    assert [hit.url for hit in search("tests-files").hits if hit.kind == "storage"] == ["/storage/#store-files"]


def test_the_metrics_labels_are_bounded(now: datetime) -> None:
    polled(now, *(handed(f"dag{number:03}", now, size=1000 - number) for number in range(DAGS + 5)))
    samples = [sample for metric in collect(now) for sample in metric.samples]
    dags = {sample.labels["dag"]: sample.value for sample in samples if "dag" in sample.labels}
    assert len(dags) == DAGS + 1
    assert dags[""] == sum(1300 - number for number in range(DAGS, DAGS + 5))
    found = {sample.name: sample.value for sample in samples if set(sample.labels) == {"storage"}}
    assert found["quarterdeck_storage_files"] == 2 * (DAGS + 5)
    blind = [sample for metric in collect(now + timedelta(minutes=9)) for sample in metric.samples]
    assert {sample.name for sample in blind} == {"quarterdeck_storage_status"}


@pytest.mark.parametrize("files", [1, 150])
def test_a_page_takes_three_queries(
    now: datetime, files: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    polled(now, *(handed(f"dag{number}", now) for number in range(files)))
    with django_assert_num_queries(3):
        storage_page(now)
    with django_assert_num_queries(2):
        storage_summary(now)


def test_the_list_is_narrowed_by_its_address_and_comes_in_pages(now: datetime) -> None:
    fresh = [handed(f"dag{number:03}", now) for number in range(SHOWN + 5)]
    polled(now, *fresh, handed("lost", now - 3 * HOUR, kept=HOUR), handed("done", now, name="Lines.csv", read_at=now))

    def shown(**query: str) -> list[str]:
        return [row.dag_id for row in storage_page(now, query).stores[0].shown]

    assert shown()[0] == "lost"
    assert (len(shown()), len(shown(page="2"))) == (SHOWN, 7)
    assert shown(state="unfetched") == shown(state="past") == ["lost"]
    assert shown(state="fetched") == shown(q="lines.CSV") == ["done"]
    assert shown(q="nobody") == []
    assert len(shown(state="no-such-state")) == SHOWN
    assert [tab.count for tab in storage_page(now).tabs] == [SHOWN + 7, 1, 1, SHOWN + 5, 1]
    assert [tab.count for tab in storage_page(now + HOUR).tabs] == [None] * 5

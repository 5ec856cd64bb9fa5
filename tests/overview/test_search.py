"""`/search?q=`: everything by its name, in one query, whoever named it what."""

from __future__ import annotations

from datetime import datetime

import pytest
from django.test import Client
from django.urls import resolve
from pytest_django import DjangoAssertNumQueries

from console.accounts.roles import Role
from console.fleets.models import QueueSnapshot, RunningTask, Worker
from console.freshness.models import TableSnapshot
from console.incidents.models import Incident
from console.incidents.store import settle
from console.operations.models import Operation
from console.overview.search import OF_A_KIND, Hit, search
from console.pools.models import PoolSnapshot
from tests.api.asking import user_of
from tests.incidents.made import finding, report
from tests.overview.made import whole

pytestmark = pytest.mark.django_db


@pytest.fixture
def platform(now: datetime) -> datetime:
    whole(now)
    RunningTask.objects.create(
        key="1", dag_id="load_orders", task_id="extract", run_id="r1", state="running", queue="io", hostname="x"
    )
    RunningTask.objects.create(
        key="2", dag_id="load_orders", task_id="load", run_id="r1", state="queued", queue="io", hostname=""
    )
    Operation.objects.create(kind="fleet.drain", target="fleet/cpu", reason="patch", requested_by_name="vera")
    return now


def kinds(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for hit in search(text).hits:
        found.setdefault(hit.kind, []).append(hit.name)
    return found


def first(text: str) -> Hit:
    return search(text).hits[0]


def test_each_kind_of_thing_is_found_by_a_part_of_its_name(platform: datetime) -> None:
    assert "cpu" in kinds("cp")["queue"]
    assert any(name.startswith("celery@i-0") for name in kinds("celery@i-0")["worker"])
    assert kinds("orders")["table"] == ["shop.public.orders"]
    assert kinds("load_ord")["DAG"] == ["load_orders"]
    assert kinds("default_pool")["pool"] == ["default_pool"]
    assert kinds("metadata")["datastore"] == ["metadata-db"]
    assert kinds("drain")["operation"] == ["fleet/cpu"]
    assert "Freshness" in kinds("fresh")["page"]


def test_the_very_name_comes_before_names_that_hold_it(platform: datetime, now: datetime) -> None:
    for queue in ("cpu-heavy", "a-cpu", "gpu-cpu-mix"):
        QueueSnapshot.objects.create(queue=queue, first_seen_at=now, seen_at=now)
    assert [hit.name for hit in search("cpu").hits if hit.kind == "queue"] == [
        "cpu",
        "cpu-heavy",
        "a-cpu",
        "gpu-cpu-mix",
    ]


def test_every_word_has_to_fit_somewhere(platform: datetime) -> None:
    worker = Worker.objects.filter(home="cpu").order_by("node")[0]
    words = f"cpu {worker.node[-12:]} {worker.zone[:4]}"
    assert kinds(words) == {"worker": [worker.node]}
    assert kinds(f"{words} nonsense") == {}


def test_an_incident_is_found_by_its_number_and_by_what_it_is_about(platform: datetime, now: datetime) -> None:
    settle(report(finding()), now)
    incident = Incident.objects.get()
    for text in (f"INC-{incident.pk}", "starves cpu"):
        assert f"/incidents/{incident.pk}/" in [hit.url for hit in search(text).hits]


def test_an_operation_is_found_by_its_number(platform: datetime) -> None:
    operation = Operation.objects.get()
    assert first(f"OP-{operation.pk}").url == f"/operations/{operation.pk}/"


def test_every_hit_leads_to_a_page_that_exists(platform: datetime) -> None:
    for text in ("cpu", "celery", "orders", "pool", "db", "a", "e"):
        for hit in search(text).hits:
            resolve(hit.url.partition("?")[0].partition("#")[0])


def test_an_archived_worker_is_not_found(platform: datetime, now: datetime) -> None:
    worker = Worker.objects.order_by("node")[0]
    assert search(worker.node).hits
    Worker.objects.filter(pk=worker.pk).update(archived_at=now)
    assert not search(worker.node).hits


def test_many_of_a_kind_are_cut_and_it_is_said(platform: datetime, now: datetime) -> None:
    QueueSnapshot.objects.bulk_create(
        QueueSnapshot(queue=f"team-{n}", first_seen_at=now, seen_at=now) for n in range(40)
    )
    found = search("team-")
    assert len(found.hits) == OF_A_KIND
    assert found.more
    assert not search("team-39").more


@pytest.mark.parametrize(
    "text", ["%", "_", "\\", "'", '"; DROP TABLE x; --', "x" * 5000, "\x00", "<script>", "(", "a\nb"]
)
def test_no_text_breaks_it_or_matches_everything(platform: datetime, client: Client, text: str) -> None:
    client.force_login(user_of(Role.VIEWER))
    for accept in ("application/json", "text/html"):
        answer = client.get("/search", {"q": text}, headers={"Accept": accept})
        assert answer.status_code == (400 if "\x00" in text else 200)  # no address may hold that one
        assert b"<script>alert" not in answer.content
    if text == "%":
        assert not search(text).hits


def test_names_with_markup_in_them_are_text(platform: datetime, now: datetime, client: Client) -> None:
    name = "<img src=x onerror=alert(1)>/" + "q" * 300
    QueueSnapshot.objects.create(queue=name, first_seen_at=now, seen_at=now)
    PoolSnapshot.objects.update(description="<img src=x>")
    client.force_login(user_of(Role.VIEWER))
    page = client.get("/search", {"q": "img"}, headers={"Accept": "text/html"}).content.decode()
    assert "<img" not in page
    assert "&lt;img src=x onerror" in page
    [hit] = [hit for hit in search("onerror").hits if hit.kind == "queue"]
    assert client.get(hit.url).status_code == 200


def test_one_query_at_ten_and_at_ten_thousand(
    platform: datetime, now: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        search("shop")
    QueueSnapshot.objects.bulk_create(
        QueueSnapshot(queue=f"queue-{n}", first_seen_at=now, seen_at=now) for n in range(10_000)
    )
    table = TableSnapshot.objects.order_by("name")[0]
    tables = []
    for number in range(5000):
        tables.append(TableSnapshot.objects.model(**{f.attname: getattr(table, f.attname) for f in table._meta.fields}))
        tables[-1].name = f"shop.public.t{number}"
    TableSnapshot.objects.bulk_create(tables)
    with django_assert_num_queries(1):
        found = search("4999")
    assert {hit.name for hit in found.hits} == {"queue-4999", "shop.public.t4999"}


def test_nothing_is_asked_of_the_database_for_nothing(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(0):
        assert search("  \x00 ").hits == ()


def test_the_palette_gets_json_and_a_link_gets_a_page(platform: datetime, client: Client) -> None:
    client.force_login(user_of(Role.VIEWER))
    answer = client.get("/search?q=orders", headers={"Accept": "application/json"})
    assert answer.json()["hits"][0] == {
        "kind": "table", "name": "shop.public.orders", "about": "public.orders",
        "url": "/freshness/shop.public.orders/", "icon": "table",
    }  # fmt: skip
    page = client.get("/search?q=orders", headers={"Accept": "text/html,*/*"})
    assert 'href="/freshness/shop.public.orders/"' in page.content.decode()
    assert "Accept" in page.headers["Vary"]


def test_who_is_not_signed_in_finds_nothing(client: Client) -> None:
    assert client.get("/search?q=orders").status_code == 302


def test_a_hit_says_nothing_that_could_be_stale(platform: datetime) -> None:
    told = " ".join(f"{hit.name} {hit.about}" for text in ("cpu", "celery", "orders") for hit in search(text).hits)
    assert not {"in_service", "healthy", "lost", "running"} & set(told.split())

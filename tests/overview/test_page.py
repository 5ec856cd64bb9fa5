"""The overview: the verdict first, then each section, then what is watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.accounts.roles import Role
from console.fleets.models import Worker
from console.lib.status import Status
from console.overview.pages import overview_page, overview_state
from console.platform.models import Source, remember_failure
from console.platform.sources import DATASTORES, SOURCES, TASKS
from console.pools.poll import save_pools
from tests.api.asking import bearer, token_for, user_of
from tests.datastores.made import CACHE, RDS
from tests.datastores.made import polled as datastores_polled
from tests.fleets.story import tell
from tests.overview.made import whole
from tests.pools.made import DEFAULT, MERGE
from tests.scheduler.made import airflow, job
from tests.scheduler.made import polled as scheduler_polled

pytestmark = pytest.mark.django_db


def page(client: Client) -> str:
    client.force_login(user_of(Role.VIEWER))
    answer = client.get("/")
    assert answer.status_code == 200
    return answer.content.decode()


def told() -> dict[str, Any]:
    answer = Client().get("/api/v1/overview", headers=bearer(token_for(Role.VIEWER)))
    assert answer.status_code == 200, answer.content
    found: dict[str, Any] = answer.json()
    return found


def test_a_platform_that_is_well_says_so(now: datetime) -> None:
    whole(now)
    found = overview_state(now)
    assert (found.headline.status, found.blind) == (Status.HEALTHY, ())
    assert found.headline.title == "All is well: scheduler-a leads, scheduler-b is absent"
    assert "6\N{NO-BREAK SPACE}workers in service" in found.headline.text


def test_the_page_shows_every_section(client: Client) -> None:
    whole(timezone.now())
    html = page(client)
    for text in (
        "All is well",
        "Freshness",
        "Scheduler",
        "Queues and fleets",
        "Datastores",
        "Pools",
        "What is watched",
    ):
        assert text in html
    assert "2 in service" in html
    assert "all seen" in html
    assert 'class="qd-unknown"' not in html


def test_the_worst_comes_first_and_the_rest_is_listed(now: datetime) -> None:
    whole(now)
    scheduler_polled(now, airflow(job(1, "scheduler-a", now - timedelta(seconds=50))))
    datastores_polled(now, RDS, replace(CACHE, replicas=0))
    save_pools([DEFAULT, MERGE], now)
    found = overview_state(now).headline
    assert found.title == "scheduler-a has been silent for 50\N{NO-BREAK SPACE}s"
    assert [part.section for part in found.also] == ["pools", "datastores"]
    assert found.url == "/scheduler/"


def test_blindness_comes_first_and_only_what_rests_on_it_is_unknown(now: datetime) -> None:
    whole(now)
    later = now + timedelta(seconds=1)
    Source.objects.filter(name=DATASTORES.name).update(as_of=now - timedelta(minutes=5))
    remember_failure(
        DATASTORES.name, now, 1, error="nothing answers at 127.0.0.1:5000", code="refused", remedy="Start it."
    )
    found = overview_state(later)
    assert found.headline.sentence == (
        "The console is blind to RDS and ElastiCache since 03:02 because nothing answers at 127.0.0.1:5000; start it."
    )
    assert found.of.datastores.status == Status.UNKNOWN
    assert found.of.scheduler.status == Status.HEALTHY
    assert found.of.fleets.status == Status.HEALTHY


def test_the_headline_of_blindness_is_as_young_as_the_page(now: datetime) -> None:
    """Else the browser would replace it by "no fresh data", which says less."""
    whole(now)
    Source.objects.filter(name=DATASTORES.name).update(as_of=now - timedelta(minutes=5))
    assert overview_state(now).dated == (now, 30)


def test_an_unseen_source_does_not_date_the_figures_of_others(now: datetime) -> None:
    whole(now)
    Source.objects.filter(name=TASKS.name).update(as_of=now - timedelta(minutes=5))
    page = overview_page(now)
    assert page.fleets_dated[0] == now - timedelta(seconds=1)
    assert {(line.fleet.outstanding, line.fleet.in_service) for line in page.fleets} == {(None, 2)}


def test_before_anything_was_read_the_page_says_so(client: Client) -> None:
    html = page(client)
    assert "The console is blind to the whole platform" in html
    assert "never seen" in html


def test_names_are_text_and_long_ones_don_t_break_the_page(client: Client) -> None:
    tell(timezone.now())
    html = page(client)
    assert "<script>alert" not in html
    assert "ü" * 200 not in html.split('title="')[0]


def test_the_api_tells_the_contract() -> None:
    whole(timezone.now())
    found = told()
    assert {
        "status", "headline", "as_of", "scheduler", "fleets", "freshness", "deploys", "datastores", "incidents",
        "sources",
    } <= set(found)  # fmt: skip
    assert found["status"] == "healthy"
    assert found["headline"] == "All is well: scheduler-a leads, scheduler-b is absent."
    assert (found["deploys"], found["incidents"]) == ([], [])
    assert {one["queue"]: one["in_service"] for one in found["fleets"]} == {"default": 2, "cpu": 2, "io": 2}
    assert found["freshness"]["fresh"] == 2
    sources = {one["name"]: one for one in found["sources"]}
    assert set(SOURCES) <= set(sources)
    assert all(one["age_s"] < 10 and one["status"] == "healthy" for one in sources.values())


def test_blind_the_api_answers_with_no_figure() -> None:
    found = told()
    assert (found["status"], found["as_of"], found["scheduler"]["heartbeat_age_s"]) == ("unknown", None, None)
    assert {one["outstanding"] for one in found["fleets"]} == {None}
    assert all(one["status"] == "unknown" for one in found["sources"])


def test_the_api_needs_a_token() -> None:
    assert Client().get("/api/v1/overview").status_code == 401


def test_the_page_takes_the_same_queries_however_many_workers(now: datetime) -> None:
    counts = {}
    for workers in (10, 1000):
        Worker.objects.all().delete()
        whole(now, workers=workers)
        with CaptureQueriesContext(connection) as taken:
            overview_page(now)
        counts[workers] = len(taken)
    assert counts[10] == counts[1000] <= 25

"""The history: figures on one axis of time, what happened marked on it, every choice in the address."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.roles import Role
from console.fleets.record import series_name
from console.history import series
from console.overview.timeline import asked, charts, history_page
from tests.api.asking import user_of
from tests.overview.made import whole

pytestmark = pytest.mark.django_db


@pytest.fixture
def told(now: datetime) -> datetime:
    """Two hours of which the second half is on record, with a takeover and two deploys."""
    whole(now)
    for minute in range(60):
        at = now - timedelta(minutes=59 - minute)
        samples = [(series_name("io", "outstanding"), float(minute)), (series_name("io", "workers_in_service"), 2.0)]
        series.record([*samples, ("scheduler.heartbeat_age_s", 3.0)], at)
    series.mark(now - timedelta(minutes=50), "takeover", "scheduler-b took over", "/scheduler/")
    series.mark(now - timedelta(minutes=40), "deploy", "Deploy of io", "/deploys/7/", "io")
    series.mark(now - timedelta(minutes=30), "deploy", "Deploy of cpu", "/deploys/8/", "cpu")
    return now


def values(chart: dict[str, Any], label: str) -> list[float | None]:
    found: list[float | None] = next(line["values"] for line in chart["series"] if line["label"] == label)
    return found


def test_every_figure_stands_on_the_same_axis(told: datetime) -> None:
    found = charts(told, {"queue": "io", "range": "6h"})
    assert list(found) == ["tasks", "workers", "heartbeat", "lag"]
    assert len({tuple(chart["xs"]) for chart in found.values()}) == 1
    assert max(y for y in values(found["tasks"], "outstanding") if y is not None) >= 58
    assert values(found["workers"], "in service")[-1] == 2
    assert values(found["heartbeat"], "heartbeat's age")[-1] == 3
    assert found["heartbeat"]["unit"] == " s"


def test_what_nobody_saw_is_a_gap(told: datetime) -> None:
    outstanding = values(charts(told, {"queue": "io", "range": "6h"})["tasks"], "outstanding")
    assert outstanding[0] is None
    assert 0 not in outstanding[: len(outstanding) // 2]


def test_what_happened_is_marked_but_not_what_happened_elsewhere(told: datetime) -> None:
    marks = [mark["label"] for mark in charts(told, {"queue": "io", "range": "6h"})["heartbeat"]["vlines"]]
    assert marks == ["scheduler-b took over", "Deploy of io"]
    page = history_page(told, {"queue": "io", "range": "6h"})
    assert [mark.title for mark in page.marks] == ["Deploy of io", "scheduler-b took over"]
    assert page.marks[0].url == "/deploys/7/"


def test_an_address_shows_the_same_to_whoever_opens_it(told: datetime) -> None:
    end = (told - timedelta(minutes=20)).isoformat()
    page = history_page(told, {"queue": "io", "range": "1h", "end": end})
    assert (page.start, page.end) == (told - timedelta(minutes=80), told - timedelta(minutes=20))
    assert "2026-11-22T02%3A47%3A00Z" in page.src
    assert asked({"end": "2026-11-22T02:47:00Z", "queue": "io", "range": "1h"}, told) == page.wanted
    assert "end=" in page.earlier
    assert "end=" not in page.later  # half an hour on is now


@pytest.mark.parametrize("end", ["yesterday", "2031-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "\x00"])
def test_an_address_that_makes_no_sense_shows_now(told: datetime, end: str) -> None:
    page = history_page(told, {"queue": "nope", "range": "3y", "end": end})
    assert (page.wanted.queue, page.wanted.range, page.end) == ("default", "6h", told)


def test_the_page_and_its_one_answer_are_for_those_signed_in(client: Client) -> None:
    whole(timezone.now())
    assert client.get("/history/").status_code == 302
    assert client.get("/history/charts.json").status_code == 302
    client.force_login(user_of(Role.VIEWER))
    html = client.get("/history/?queue=io").content.decode()
    assert html.count('data-src="/history/charts.json?queue=io&amp;range=6h"') == 4
    assert client.get("/history/charts.json?queue=io").json()["tasks"]["series"][0]["label"] == "running"


@pytest.mark.parametrize("workers", [2, 60])
def test_its_queries_do_not_grow_with_the_fleet(
    now: datetime, django_assert_num_queries: DjangoAssertNumQueries, workers: int
) -> None:
    whole(now, workers=workers)
    with django_assert_num_queries(5):
        charts(now, {})

"""GET /api/v1/series: a whole chart in one call."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.roles import Role
from console.history import series
from tests.api.asking import bearer, token_for, user_of

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


@pytest.fixture
def viewer(client: Client) -> Client:
    client.force_login(user_of(Role.VIEWER))
    return client


@pytest.fixture
def recorded() -> datetime:
    """An hour of one sample a minute, with five minutes in which nobody could see."""
    now = timezone.now()
    for minutes in range(60):
        value = None if 20 <= minutes < 25 else minutes
        series.record([("fleet.cpu.running", value), ("scheduler.heartbeat_age_s", 2.5)], now - minutes * MINUTE)
    series.mark(now - 30 * MINUTE, "takeover", "scheduler-b took over", "/scheduler/", "scheduler")
    return now


def test_one_call_has_the_axis_the_lines_and_the_marks(viewer: Client, recorded: datetime) -> None:
    answer = viewer.get("/api/v1/series?names=fleet.cpu.running,scheduler.heartbeat_age_s&range=6h")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["range"], body["step_s"]) == ("6h", 60)
    assert body["x"] == list(range(body["x"][0], body["x"][-1] + 1, 60))
    assert list(body["series"]) == ["fleet.cpu.running", "scheduler.heartbeat_age_s"]
    running, age = body["series"]["fleet.cpu.running"], body["series"]["scheduler.heartbeat_age_s"]
    assert (running["unit"], age["unit"]) == ("", "s")
    assert len(running["y"]) == len(age["y"]) == len(body["x"])
    assert {value for value in age["y"] if value is not None} == {2.5}
    [mark] = body["marks"]
    assert (mark["kind"], mark["title"], mark["url"]) == ("takeover", "scheduler-b took over", "/scheduler/")


def test_what_could_not_be_seen_is_null(viewer: Client, recorded: datetime) -> None:
    y = viewer.get("/api/v1/series?names=fleet.cpu.running&range=6h").json()["series"]["fleet.cpu.running"]["y"]
    last_hour = y[-58:]
    assert sum(value is None for value in last_hour) in (5, 6)
    assert 0 in last_hour[-2:] or last_hour[-1] is None


@pytest.mark.parametrize(
    ("range_", "step_s", "points"), [("1h", 15, 240), ("6h", 60, 360), ("24h", 300, 288), ("7d", 900, 672)]
)
def test_each_range_has_a_step_that_fits_a_screen(viewer: Client, range_: str, step_s: int, points: int) -> None:
    body = viewer.get(f"/api/v1/series?names=a&range={range_}").json()
    assert body["step_s"] == step_s
    assert points - 1 <= len(body["x"]) <= points + 1


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_the_same_chart_is_not_sent_twice(viewer: Client, recorded: datetime, encoding: str) -> None:
    address = "/api/v1/series?names=fleet.cpu.running&range=24h"
    first = viewer.get(address, headers={"Accept-Encoding": encoding})
    assert first.headers["Cache-Control"].startswith("private, max-age=")
    again = viewer.get(address, headers={"If-None-Match": first.headers["ETag"], "Accept-Encoding": encoding})
    assert (again.status_code, again.content) == (304, b"")
    series.record([("fleet.cpu.running", 99)], timezone.now() + 16 * timedelta(seconds=1))
    changed = viewer.get(
        f"{address}&end={(timezone.now() + MINUTE).strftime('%Y-%m-%dT%H:%M:%SZ')}",
        headers={"If-None-Match": first.headers["ETag"]},
    )
    assert changed.status_code == 200


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "names"),
        ("names=", "names"),
        ("names=,,%20,", "names"),
        ("names=" + ",".join(f"s{n}" for n in range(51)), "names"),
        ("names=" + "x" * 1001, "names"),
        ("names=a&range=2h", "range"),
        ("names=a&range=", "range"),
        ("names=a&end=yesterday", "end"),
        ("names=a&end=1850-01-01T00:00:00Z", "end"),
        ("names=a&end=2150-01-01T00:00:00Z", "end"),
    ],
)
def test_a_bad_request_names_the_field_and_what_is_wrong(viewer: Client, query: str, field: str) -> None:
    answer = viewer.get(f"/api/v1/series?{query}")
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert list(answer.json()["errors"]) == [field]


def test_names_may_be_repeated_and_doubled(viewer: Client) -> None:
    body = viewer.get("/api/v1/series?names=a,b,a&names=c&names=b").json()
    assert list(body["series"]) == ["a", "b", "c"]


def test_fifty_series_cost_as_many_queries_as_one(
    viewer: Client, recorded: datetime, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for count in (1, 50):
        names = ",".join(f"s{n}" for n in range(count))
        with django_assert_num_queries(4):  # session, user, points, marks
            viewer.get(f"/api/v1/series?names={names}&range=24h")


def test_a_token_reads_it_and_nobody_else(client: Client) -> None:
    assert client.get("/api/v1/series?names=a").status_code == 401
    assert client.get("/api/v1/series?names=a", headers=bearer(token_for(Role.VIEWER))).status_code == 200

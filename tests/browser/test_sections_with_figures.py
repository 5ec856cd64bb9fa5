"""The overview, the scheduler and the datastores with figures on them, as a platform in trouble gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from console.fleets.record import series_name
from console.history import series
from console.overview.judge import judge as judge_overview
from console.platform.models import Source, remember_failure
from console.platform.readings import FileReading
from console.pools.poll import save_pools
from console.scheduler.models import Takeover
from console.scheduler.poll import heartbeat_series, leading_series
from console.storage.poll import held_series
from tests.browser.page import DESKTOP, PHONE, THEMES, Page
from tests.datastores.made import CACHE, RDS
from tests.datastores.made import polled as datastores_polled
from tests.fleets.story import tell
from tests.freshness.made import level
from tests.overview.made import whole
from tests.pools.made import DEFAULT, MERGE
from tests.scheduler.made import airflow, helpers, job
from tests.scheduler.made import polled as scheduler_polled
from tests.storage.made import HOUR, handed
from tests.storage.made import polled as storage_polled

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
PAGES = {
    "overview": "/",
    "scheduler": "/scheduler/",
    "datastores": "/datastores/",
    "storage": "/storage/",
    "history": "/history/?queue=cpu&range=24h",
}


def a_day(now: datetime) -> None:
    """Heartbeats of a day: scheduler-b led until six hours ago, then was absent; an hour of it nobody watched."""
    for bar in range(145):
        at = now - timedelta(minutes=10 * bar)
        if 60 <= bar < 66:
            continue
        led, other = ("scheduler-a", "scheduler-b") if bar < 36 else ("scheduler-b", "scheduler-a")
        age_s = 41.0 if bar in (36, 100) else 18.0 if bar == 90 else 2.0
        samples = [("scheduler.heartbeat_age_s", age_s), (heartbeat_series(led), age_s), (leading_series(led), 1.0)]
        busy = [("outstanding", float(bar % 40)), ("running", 8.0), ("slots", 8.0), ("workers_in_service", 4.0)]
        samples += [(series_name("cpu", what), value) for what, value in busy]
        series.record([*samples, (leading_series(other), 0.0)], at)
        series.record(samples, at - timedelta(minutes=5))
    took = now - timedelta(hours=6)
    Takeover.objects.create(at=took, kind="observed", from_host="scheduler-b", to_host="scheduler-a", gap_s=38.2)
    Takeover.objects.create(
        at=took - timedelta(hours=10), kind="restart", from_host="scheduler-b", to_host="scheduler-b", gap_s=9.4
    )
    Takeover.objects.create(
        at=took - timedelta(days=20), kind="observed", from_host="scheduler-a", to_host="scheduler-b", gap_s=2.4
    )


def scheduler(now: datetime) -> None:
    """The scheduler lives; a triggerer was killed."""
    lost = job(92, "triggerer-2", now - timedelta(seconds=80), kind="triggerer")
    led = job(1, "scheduler-a", now - timedelta(seconds=1), started_at=now - timedelta(hours=6))
    scheduler_polled(now, airflow(led, *helpers(now), lost, import_errors=2))


def files(now: datetime) -> None:
    """Hand-offs of a day: most were fetched, two expired unread, one is overdue; others lie beside them."""
    groups = [
        handed(
            "price_list",
            now - n * HOUR / 6,
            run=f"scheduled__{n:02}",
            kept=HOUR,
            size=9400 + n,
            read_at=now - n * HOUR / 6,
        )
        for n in range(14)
    ]
    storage_polled(
        now,
        *groups,
        handed("revenue_report", now - HOUR / 9, task="extract[3]", name="lines.csv", size=48_200_000),
        handed("demand_forecast", now - 9 * HOUR, task="train", name="model-of-the-week.bin", size=812_000_000),
        handed("demand_forecast", now - 99 * HOUR, task="train", name="model.bin", run="2", size=799_000_000),
        handed(
            "report_by_mail",
            now - 3 * HOUR,
            task="write",
            name="orders.csv",
            run="manual__2026-11-22T00:01:44.902315+00:00",
        ),
        [FileReading(f"partners/run/{name}.csv", 300_000, now - HOUR) for name in ("north", "south")],
    )
    for bar in range(97):
        held = 1.2e9 + 4e8 * (bar % 24) / 24
        series.record([(held_series("files"), held)], now - bar * HOUR / 4)


def trouble(now: datetime) -> None:
    """A busy night: tasks wait, a worker is lost, a pool starves, a cache is alone, the scheduler's standby absent."""
    whole(now, workers=0)
    tell(now)
    scheduler(now)
    datastores_polled(now - timedelta(hours=2), replace(RDS, primary_zone="eu-north-1b"), CACHE)
    datastores_polled(now, RDS, replace(CACHE, replicas=0, standby_zone=None))
    files(now)
    save_pools([DEFAULT, MERGE], now)
    level(now - timedelta(seconds=1), latency_s=400)
    a_day(now)
    series.mark(now - timedelta(hours=6), "takeover", "scheduler-a took over", "/scheduler/")
    series.mark(now - timedelta(hours=3), "deploy", "Deploy of cpu", "/deploys/", "cpu")


def refresh(*hidden: str) -> None:
    """All sources but the hidden ones were read a second ago.

    In a thread of its own: what a test writes itself the server never sees.
    """

    def write() -> None:
        now = timezone.now()
        Source.objects.update(as_of=now - timedelta(seconds=1), failing_since=None, error="")
        scheduler(now)
        for name in hidden:
            Source.objects.filter(name=name).update(as_of=now - timedelta(minutes=7))
            remember_failure(name, now, 3.0, error="nothing answers at AWS", code="refused", remedy="Is it there?")
        judge_overview(now)
        connection.close()

    writer = Thread(target=write)
    writer.start()
    writer.join()


@pytest.fixture(scope="module")
def told(console_server: str, django_db_blocker: Any) -> Iterator[Callable[..., None]]:
    """The story, in the database that the server reads; what is given freshens it."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        trouble(timezone.now())
    yield refresh
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_has_no_fault_with_figures(
    told: Callable[..., None], sign_in: Callable[..., Page], name: str, theme: str
) -> None:
    page = sign_in("viewer")
    for size in (DESKTOP, PHONE):
        told()
        page.open(PAGES[name], theme, size)
        page.until(lambda: len(page.all(".qd-chart canvas")) == len(page.all(".qd-chart")))
        page.shoot(f"{name}-figures-{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"at {size[0]} px"
    page.assert_no_console_errors()


def test_what_the_console_is_blind_to_stays_said_in_the_browser(
    told: Callable[..., None], sign_in: Callable[..., Page]
) -> None:
    """The scripts that turn old figures unknown leave the headline alone: it is young."""
    told("aws.compute", "aws.dms", "aws.datastores")
    page = sign_in("viewer").open("/", "light")
    page.until(lambda: page.text("#ov-datastores .qd-pill") == "2 unknown")
    assert page.text("#verdict").startswith("The console is blind to AWS since")
    assert "nothing answers at AWS" in page.text("#verdict")
    page.shoot("overview-blind-1440-light")
    assert page.axe() == []


def test_the_history_asks_once_for_all_its_charts(told: Callable[..., None], sign_in: Callable[..., Page]) -> None:
    told()
    page = sign_in("viewer").open("/history/?queue=cpu&range=24h", "light")
    page.until(lambda: len(page.all(".qd-chart canvas")) == 4)
    asked = "return performance.getEntriesByType('resource').filter((e) => e.name.includes('charts.json')).length"
    assert page.js(asked) == 1
    assert page.text("#history-heartbeat-legend b") not in ("", "–")

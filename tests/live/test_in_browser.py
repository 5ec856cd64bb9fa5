"""The page in a real browser: it follows the stream, rests when nobody looks, and polls where the stream is blocked."""

from __future__ import annotations

import queue
import statistics
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import connections
from django.utils import timezone

from console.fleets.models import Worker
from console.fleets.watcher import Watcher
from console.live import changes, publish
from console.platform.readings import WorkerHeartbeat
from tests.browser.conftest import webdriver_session  # noqa: F401 - a fixture
from tests.browser.page import Page
from tests.fleets.making import seen
from tests.live.conftest import Console, until
from tests.overview.made import whole

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

COUNT = "window.swaps = 0; document.addEventListener('qd:refreshed', () => { window.swaps += 1 })"


@pytest.fixture
def page(
    console: Console,
    cookie: dict[str, str],
    webdriver_session: Page,  # noqa: F811
    settings: object,
) -> Iterator[Page]:
    settings.REDIS_URL = console.redis.url  # type: ignore[attr-defined]
    changes.forget()
    page = webdriver_session
    page.base = console.web().url
    page.reset()
    for name, value in cookie.items():
        page.cookie(name, value)
    yield page
    page.leave()
    changes.forget()


def mode(page: Page) -> str:
    return str(page.js("return document.documentElement.dataset.live"))


def swaps(page: Page) -> int:
    return int(page.js("return window.swaps"))


def opened(page: Page, path: str) -> Page:
    page.open(path)
    until(lambda: mode(page) == "stream", 10)
    time.sleep(1.5)  # the refresh that may follow the opening of the stream
    page.js(COUNT)
    return page


def test_a_change_of_what_is_shown_refreshes_the_page_at_once(page: Page) -> None:
    opened(page, "/fleets/")
    publish("fleets")
    until(lambda: swaps(page) == 1, 3)
    publish("pools")
    time.sleep(2)
    assert swaps(page) == 1  # neither another topic, nor polling while the stream lives
    page.assert_no_console_errors()


def test_the_overview_follows_every_topic(page: Page) -> None:
    opened(page, "/")
    for number, topic in enumerate(("fleets", "freshness", "pools"), start=1):
        publish(topic)
        until(lambda number=number: swaps(page) >= number, 4)


def test_a_storm_refreshes_at_most_once_a_second(page: Page) -> None:
    opened(page, "/fleets/")
    began = time.monotonic()
    while time.monotonic() - began < 4:
        publish("fleets")
        time.sleep(0.02)
    time.sleep(1.5)
    assert 2 <= swaps(page) <= time.monotonic() - began + 1


def test_without_redis_the_page_polls_and_comes_back(page: Page, console: Console) -> None:
    opened(page, "/fleets/")
    console.redis.stop()
    until(lambda: mode(page) == "poll", 8)
    until(lambda: swaps(page) >= 1, 9)
    console.redis.start()
    until(lambda: mode(page) == "stream", 10)


def test_a_tab_in_the_background_closes_its_stream_and_catches_up_when_it_is_looked_at(
    page: Page, console: Console
) -> None:
    opened(page, "/fleets/")
    first = page.driver.current_window_handle
    assert len(console.redis.subscribers()) == 1
    page.driver.switch_to.new_window("tab")
    second = page.driver.current_window_handle
    until(lambda: console.redis.subscribers() == [], 10)
    page.driver.close()
    page.driver.switch_to.window(first)
    until(lambda: swaps(page) >= 1, 5)
    until(lambda: mode(page) == "stream", 10)
    assert second != first


def test_a_page_behind_a_server_without_streams_polls_without_a_word(page: Page) -> None:
    page.open("/style/")  # no topic of its own: no stream
    page.js(COUNT)
    assert mode(page) == "poll"
    until(lambda: swaps(page) >= 1, 9)
    page.assert_no_console_errors()


class Beating:
    """Airflow's broker, as far as the watcher hears it: what a test puts in is heard."""

    def __init__(self) -> None:
        self.beats: queue.Queue[WorkerHeartbeat] = queue.Queue()

    def heartbeats(self, *, idle_s: float) -> Iterator[WorkerHeartbeat | None]:
        while True:
            try:
                yield self.beats.get(timeout=idle_s)
            except queue.Empty:
                yield None

    def beat(self, node: str, active: int) -> None:
        now = timezone.now()
        self.beats.put(WorkerHeartbeat(node, "heartbeat", active, 10 + active, (0.1,), 2.0, 7, now, now))


@pytest.fixture
def broker() -> Iterator[Beating]:
    """A real watcher beside the page, that hears a made-up broker."""
    broker = Beating()
    watcher = Watcher(lambda: broker, "tests")  # type: ignore[arg-type, return-value]

    def watch() -> None:
        try:
            watcher.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=watch)
    thread.start()
    yield broker
    watcher.stop.set()
    thread.join(20)


def test_a_workers_active_count_follows_its_heartbeats_within_three_seconds(page: Page, broker: Beating) -> None:
    whole(timezone.now())
    node = Worker.objects.filter(home="cpu").order_by("node")[0].node
    opened(page, "/fleets/cpu/")
    page.js("window.still = true")

    def cell() -> str:
        seen(timezone.now())  # the other sources are read as always
        return str(
            page.js("const row = document.getElementById(arguments[0]); return row && row.innerText", f"w-{node}")
        )

    took_s = []
    for active in (2, 0, 1, 2, 0):
        began = time.monotonic()
        broker.beat(node, active)
        until(lambda active=active: f"{active}/" in cell(), 10)
        took_s.append(time.monotonic() - began)
    assert statistics.median(took_s) < 3, took_s
    assert page.js("return window.still === true")  # no reload

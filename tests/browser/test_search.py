"""The palette asks the server for what is not on this page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone
from selenium.webdriver.common.keys import Keys

from console.fleets.models import QueueSnapshot
from tests.browser.page import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]
ODD = "<b>odd</b> & " + "long" * 80


@pytest.fixture(scope="module", autouse=True)
def _queues(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    now: datetime = timezone.now()
    with django_db_blocker.unblock():
        for name in ("searched-for", ODD):
            QueueSnapshot.objects.create(queue=name, first_seen_at=now, seen_at=now)
    yield
    with django_db_blocker.unblock():
        QueueSnapshot.objects.all().delete()


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    page = sign_in().open("/style/")
    page.press("/")
    page.until(lambda: page.js("return document.getElementById('qd-palette').open"))
    return page


def shown(page: Page) -> list[str]:
    return [item.text.replace("\n", " ") for item in page.all("#qd-palette li") if item.is_displayed()]


def test_finds_what_the_server_knows_and_goes_there(page: Page) -> None:
    page.press("searched")
    page.until(lambda: shown(page) == ["searched-for queue"])
    page.press(Keys.ENTER)
    page.until(lambda: page.driver.current_url.endswith("/fleets/searched-for/"))


def test_pages_come_first_and_the_hits_follow_what_is_typed(page: Page) -> None:
    page.press("fleets")
    page.until(lambda: bool(shown(page)) and shown(page)[0].startswith("Fleets"))
    page.press(Keys.BACKSPACE * 6 + "searched")
    page.until(lambda: shown(page) == ["searched-for queue"])
    page.press("-nobody")
    page.until(lambda: page.find("#qd-palette [data-filter-empty]").is_displayed() and not shown(page))


def test_a_name_with_markup_is_text_and_stays_in_its_box(page: Page) -> None:
    page.press("odd")
    page.until(lambda: len(shown(page)) == 1)
    assert shown(page)[0].startswith("<b>odd</b> & long")
    assert page.js("const p = document.getElementById('qd-palette'); return p.scrollWidth <= p.clientWidth + 1")
    page.assert_no_console_errors()


def test_enter_on_nothing_shows_the_search_page(page: Page) -> None:
    page.press("nothing-like-it" + Keys.ENTER)
    page.until(lambda: "/search?q=nothing-like-it" in page.driver.current_url)
    assert "Nothing by the name of" in page.text("#live")
    page.assert_no_console_errors()


def test_a_search_without_an_answer_is_unknown_and_not_nothing(page: Page) -> None:
    page.js(
        "window.real = window.fetch; window.fetch = (url, ...more) => String(url).startsWith('/search')"
        " ? Promise.resolve(new Response('', {status: 503})) : window.real(url, ...more)"
    )
    said = "#qd-palette [data-filter-empty]"
    page.press("zzz")
    page.until(lambda: "whether there is something by that name is unknown" in page.text(said))
    page.js("window.fetch = window.real")
    page.press("z")
    page.until(lambda: page.text(said) == "Nothing by that name.")

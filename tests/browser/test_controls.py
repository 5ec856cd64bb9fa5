"""Keyboard, palette, confirmation, theme: what a page's scripts do for every page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys

from console.lib import words
from tests.browser.page import PHONE, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    return sign_in().open("/style/")


def test_g_and_a_letter_goes_to_a_page(page: Page) -> None:
    page.js("window.still = true")
    page.press("g")
    page.press("c")
    page.until(lambda: not page.js("return window.still === true"))
    assert page.driver.current_url.endswith("/style/")


def test_a_letter_typed_into_a_field_goes_nowhere(page: Page) -> None:
    page.js("window.still = true")
    page.find("#c1").send_keys("gc?/")
    assert page.js("return window.still === true && !document.querySelector('dialog[open]')")


def test_the_palette_finds_a_page_and_what_is_named_on_this_one(page: Page) -> None:
    page.press("/")
    page.until(lambda: page.js("return document.getElementById('qd-palette').open"))
    page.press("cpu-08")
    shown = [item.text for item in page.all("#qd-palette li") if item.is_displayed()]
    assert len(shown) == 1
    assert shown[0].startswith("cpu-08")
    page.press(Keys.ENTER)
    page.until(lambda: page.driver.current_url.endswith("#worker-cpu-08"))


def test_the_palette_says_when_nothing_matches(page: Page) -> None:
    page.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'k', ctrlKey: true, bubbles: true}))")
    page.press("no such thing")
    page.until(lambda: page.find("#qd-palette [data-filter-empty]").is_displayed())


def test_j_and_k_move_through_rows_and_x_chooses(page: Page) -> None:
    page.js("document.getElementById('main').focus()")
    rows = page.js("return Array.from(document.querySelectorAll('main tbody tr')).filter(r => r.offsetParent).length")
    assert rows > 3
    page.press("j")
    page.press("j")
    page.press("k")
    assert page.js("return document.querySelectorAll('[data-kept-cursor]').length") == 1
    page.js(
        "document.querySelectorAll('[data-kept-cursor]').forEach(r => r.removeAttribute('data-kept-cursor'));"
        "document.getElementById('worker-cpu-09').setAttribute('data-kept-cursor', '')"
    )
    page.press("x")
    assert page.js("return document.getElementById('check-cpu-09').checked")


def test_y_says_where_the_link_is_when_the_page_has_no_clipboard(page: Page) -> None:
    """As by plain http: the browser offers none there."""
    page.js("Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.press("y")
    page.until(lambda: page.all(".qd-toast"))
    assert page.driver.current_url in page.text(".qd-toasts")
    page.assert_no_console_errors()


def test_a_dangerous_button_waits_for_the_words_and_a_reason(page: Page) -> None:
    page.js("document.querySelector('[data-dialog-open=dlg-demo]').click()")
    button = page.find("#dlg-demo [data-confirm-button]")
    assert not button.is_enabled()
    page.find("#dlg-demo-confirm").send_keys("scheduler-1")
    assert not button.is_enabled()
    page.find("#dlg-demo-why").send_keys("it hangs")
    assert button.is_enabled()
    page.find("#dlg-demo-confirm").send_keys("0")
    assert not button.is_enabled()


def test_a_blocked_change_cannot_be_sent_whatever_is_typed(page: Page) -> None:
    page.js("document.querySelector('[data-dialog-open=dlg-blocked]').click()")
    page.find("#dlg-blocked-why").send_keys("because")
    assert not page.find("#dlg-blocked [data-confirm-button]").is_enabled()


def test_the_theme_is_remembered_and_set_before_the_first_paint(page: Page) -> None:
    assert page.js("return document.documentElement.dataset.bsTheme") == "dark"
    page.find("[data-theme-toggle]").click()
    assert page.js("return document.documentElement.dataset.bsTheme") == "light"
    page.driver.refresh()
    assert page.js("return document.documentElement.dataset.bsTheme") == "light"
    position = page.js(
        "const s = document.querySelector('script[src*=\"js/theme\"]');"
        "return [s.defer, s.async, !!(s.compareDocumentPosition(document.querySelector('link[rel=stylesheet]')) & 4)]"
    )
    assert position == [False, False, True]


def test_a_toast_says_what_happened(page: Page) -> None:
    page.js(
        "document.body.dispatchEvent(new CustomEvent('qd:toast',"
        " {bubbles: true, detail: {title: 'Paused <b>', text: 'No worker is drained.', tone: 'ok'}}))"
    )
    assert page.text(".qd-toasts .qd-toast:last-child b") == "Paused <b>"


def test_the_chart_offers_its_figures_as_a_table(page: Page) -> None:
    page.until(lambda: page.all("#demo-chart canvas"))
    page.js("document.querySelector('.qd-astable').open = true")
    page.until(lambda: len(page.all(".qd-astable tbody tr")) > 20)
    assert "no data" in page.text(".qd-astable tbody")


def test_on_a_phone_tables_are_cards_and_nothing_scrolls_sideways(page: Page) -> None:
    page.open("/style/", size=PHONE)
    assert page.js("return getComputedStyle(document.querySelector('#workers tr')).display") == "grid"
    assert page.find(".qd-tabbar").is_displayed()
    assert not page.find(".qd-nav").is_displayed()
    page.assert_fits()


def test_the_browser_says_durations_in_the_servers_words(page: Page) -> None:
    lengths = [None, 0, 3, 9.4, 12, 59, 60, 61, 190, 599, 600, 605, 3600, 9060, 86_400, 172_800, 190_000, 864_000]
    assert page.js("return arguments[0].map(s => qd.duration(s))", lengths) == [words.duration(s) for s in lengths]

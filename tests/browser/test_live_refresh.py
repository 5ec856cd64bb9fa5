"""The live refresh and the ages, on the style page: what survives, what turns unknown, what is said when blind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.page import Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]

LISTEN = "window.swaps = 0; document.addEventListener('qd:refreshed', () => { window.swaps += 1 })"


@pytest.fixture
def page(sign_in: Callable[..., Page]) -> Page:
    page = sign_in().open("/style/")
    page.js(LISTEN)
    return page


def refresh(page: Page) -> None:
    """One refresh at once, as after a change."""
    before = page.js("return window.swaps")
    page.js("document.body.dispatchEvent(new Event('qd:refresh'))")
    page.until(lambda: page.js("return window.swaps") > before)


def test_comes_by_itself_every_five_seconds(page: Page) -> None:
    page.until(lambda: page.js("return window.swaps") > 0, timeout_s=8)
    page.assert_no_console_errors()


def test_brings_the_servers_newer_moment(page: Page) -> None:
    before = int(page.find("#live").get_attribute("data-now") or 0)
    time.sleep(0.05)
    refresh(page)
    assert int(page.find("#live").get_attribute("data-now") or 0) > before


def test_keeps_focus_caret_and_typed_text(page: Page) -> None:
    field = page.find("#c1")
    field.send_keys("because it is late")
    page.js("document.getElementById('c1').setSelectionRange(3, 7)")
    refresh(page)
    assert page.js("return document.activeElement.id") == "c1"
    assert page.js("const f = document.activeElement; return [f.value, f.selectionStart, f.selectionEnd]") == [
        "because it is late", 3, 7,
    ]  # fmt: skip


def test_keeps_what_is_chosen_opened_and_filtered(page: Page) -> None:
    page.js("document.getElementById('check-cpu-08').click()")
    page.js("document.querySelector('[data-expand=detail-cpu-07]').click()")
    page.js("document.querySelector('.qd-astable').open = true")
    page.find("#c6").send_keys("cpu-0")
    page.find("#c6").send_keys("9")
    refresh(page)
    refresh(page)
    assert page.js("return document.getElementById('check-cpu-08').checked")
    assert page.text("[data-bulk-count]") == "1 worker selected"
    assert page.find("#detail-cpu-07").is_displayed()
    assert page.js("return document.querySelector('[data-expand=detail-cpu-07]').ariaExpanded") == "true"
    assert page.js("return document.querySelector('.qd-astable').open")
    assert [row.is_displayed() for row in page.all("#worker-cpu-07, #worker-cpu-09")] == [False, True]


def test_keeps_an_open_dialog_and_what_was_typed_in_it(page: Page) -> None:
    page.js("document.querySelector('[data-dialog-open=dlg-demo]').click()")
    page.find("#dlg-demo-why").send_keys("drill")
    refresh(page)
    assert page.js("return document.getElementById('dlg-demo').open")
    assert page.js("return document.getElementById('dlg-demo-why').value") == "drill"


def test_draws_the_chart_anew_only_when_its_figures_are_new(page: Page) -> None:
    page.until(lambda: page.all("#demo-chart canvas"))
    figures = "return document.getElementById('demo-chart-data').textContent"
    before = page.js(figures)
    page.js("window.canvas = document.querySelector('#demo-chart canvas')")
    refresh(page)
    assert page.js("return window.canvas.isConnected") == (page.js(figures) == before)
    assert page.all("#demo-chart canvas")


def test_a_block_past_its_limit_turns_unknown_and_its_buttons_off(page: Page) -> None:
    block = "section[aria-labelledby=past-its-limit]"
    assert page.text(f"{block} .qd-pill") == "unknown"
    assert page.text(f"{block} .qd-fig") == "unknown"
    assert page.text("#v5") == "State unknown: no fresh data for 1\N{NO-BREAK SPACE}min"
    assert not page.find("section[aria-labelledby=v5] .btn-primary").is_enabled()
    assert page.text("section[aria-labelledby=fresh] .qd-pill") == "healthy"


def test_an_age_counts_up_and_closes_its_block_without_any_answer_from_the_server(page: Page) -> None:
    page.js(
        "const age = document.querySelector('section[aria-labelledby=fresh] .qd-age');"
        "age.dataset.limit = String((qd.now() - Number(age.dataset.at)) / 1000 + 1)"
    )
    assert page.text("section[aria-labelledby=fresh] .qd-pill") == "healthy"
    page.until(lambda: page.text("section[aria-labelledby=fresh] .qd-pill") == "unknown", timeout_s=4)


def test_the_next_answer_puts_the_truth_back(page: Page) -> None:
    block = "section[aria-labelledby=fresh]"
    page.js(f"document.querySelector('{block} .qd-age').dataset.limit = '1'; qd.paintAges()")
    assert page.text(f"{block} .qd-pill") == "unknown"
    refresh(page)
    assert page.text(f"{block} .qd-pill") == "healthy"
    assert page.text(f"{block} .qd-fig") == "0.3 s"


def test_a_wrong_clock_in_the_browser_ages_nothing(page: Page) -> None:
    page.js("const real = Date.now; Date.now = () => real() + 3600e3; qd.setClock(); qd.paintAges()")
    assert "is-stale" not in (page.find("section[aria-labelledby=fresh] .qd-age").get_attribute("class") or "")


def test_when_the_console_itself_is_silent_the_page_says_so_and_its_flags_turn_unknown(page: Page) -> None:
    page.js(
        "window.fetch = () => Promise.reject(new TypeError('no network'));"
        "document.querySelector('.qd-nav a').insertAdjacentHTML('beforeend',"
        " '<span class=\"qd-flag qd-flag-warn\" data-flag>1 lost</span>');"
        "const real = Date.now; Date.now = () => real() + 90e3"
    )
    page.until(lambda: page.find("#qd-offline").is_displayed(), timeout_s=4)
    assert "No answer from Quarterdeck itself" in page.text("#qd-offline")
    assert page.text("[data-flag]") == "unknown"


def test_an_error_from_the_server_is_not_swapped_into_the_page(page: Page) -> None:
    page.js(
        "window.asked = 0; window.fetch = () => { window.asked += 1;"
        " return Promise.resolve(new Response('<h1>Server error</h1>', {status: 500})) };"
        "document.body.dispatchEvent(new Event('qd:refresh'))"
    )
    page.until(lambda: page.js("return window.asked") > 0)
    time.sleep(0.2)
    assert "Server error" not in page.text("body")
    assert page.all("#live .qd-spec")


def test_signed_out_elsewhere_the_page_goes_to_the_sign_in_and_comes_back(page: Page) -> None:
    page.driver.delete_all_cookies()
    page.js("document.body.dispatchEvent(new Event('qd:refresh'))")
    page.until(lambda: "/accounts/login/" in page.driver.current_url)
    assert "next=" in page.driver.current_url


def test_the_dialog_opens_on_the_keyboard_and_closes_on_escape(page: Page) -> None:
    page.press("?")
    page.until(lambda: page.js("return document.getElementById('qd-shortcuts').open"))
    page.press(Keys.ESCAPE)
    page.until(lambda: not page.js("return document.getElementById('qd-shortcuts').open"))

"""Every page of the console in a real browser: both themes, desktop and phone, nothing in the console, axe content.

A page that does not exist in this build is skipped by name; one that exists and fails is a failure.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.urls import is_valid_path

from tests.browser.page import DESKTOP, PHONE, THEMES, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]

PAGES = {
    "overview": "/",
    "scheduler": "/scheduler/",
    "fleets": "/fleets/",
    "fleet": "/fleets/default/",
    "pools": "/pools/",
    "connections": "/connections/",
    "freshness": "/freshness/",
    "datastores": "/datastores/",
    "storage": "/storage/",
    "deploys": "/deploys/",
    "incidents": "/incidents/",
    "history": "/history/",
    "operations": "/operations/",
    "audit": "/audit/",
    "tokens": "/accounts/tokens/",
    "style": "/style/",
}


def judge(page: Page, name: str, theme: str) -> None:
    for size in (DESKTOP, PHONE):
        page.size(size)
        page.shoot(f"{name}-{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"at {size[0]} px"
    page.assert_no_console_errors()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PAGES)
def test_has_no_fault_before_anything_was_ever_seen(sign_in: Callable[..., Page], name: str, theme: str) -> None:
    if not is_valid_path(PAGES[name]):
        pytest.skip(f"{PAGES[name]} is not in this build")
    page = sign_in("admin").open(PAGES[name], theme)
    assert page.js("return performance.getEntriesByType('navigation')[0].responseStatus") == 200
    judge(page, name, theme)


@pytest.mark.parametrize("theme", THEMES)
def test_the_sign_in_has_no_fault(browser: Page, theme: str) -> None:
    judge(browser.open("/accounts/login/?next=/style/", theme), "login", theme)


def test_a_wrong_password_is_said_in_words_and_announced(browser: Page) -> None:
    browser.open("/accounts/login/")
    browser.find("#id_username").send_keys("nobody")
    browser.find("#id_password").send_keys("nothing")
    browser.find("form button").click()
    browser.until(lambda: browser.all("[role=alert]"))
    browser.shoot("login-wrong", whole=False)
    assert browser.axe() == []
    assert browser.js("return document.activeElement.id") == "id_password"


def test_nothing_at_an_address_is_said_in_words(sign_in: Callable[..., Page]) -> None:
    page = sign_in().open("/no/such/page/")
    assert page.text("h1") == "Nothing at this address"
    page.shoot("404", whole=False)
    assert page.axe() == []

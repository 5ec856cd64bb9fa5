"""On call, at night, with a phone: from a dead scheduler to one page, its link, the takeover, and its end by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from console.sandbox.home import Home, load_secrets
from tests.browser.conftest import webdriver_session as webdriver_session
from tests.browser.page import PHONE, THEMES, Page
from tests.journeys.conftest import Sandbox
from tests.journeys.test_console_changes_it import ended
from tests.journeys.test_incidents import _at, actions, incident, pages

pytestmark = [pytest.mark.sandbox, pytest.mark.browser]
LIMIT_S, WITHIN_S = 30, 20
"""The heartbeat's limit, and how soon after it the page is there."""
KEY = "scheduler.down"
ANSWER_S = 30
"""For a page, while a whole platform takes the machine's time."""


@pytest.fixture
def phone(webdriver_session: Page, sandbox: Sandbox) -> Iterator[Page]:
    """A phone that nobody is signed in on."""
    page = webdriver_session
    page.base = sandbox.url
    page.reset()
    page.size(PHONE)
    yield page
    page.scripts(True)
    page.leave()


@pytest.fixture
def paused(sandbox: Sandbox) -> Iterator[str]:
    """Automatic failover waits; the leader's name. Afterwards all is as before."""
    sandbox.wait(lambda: sandbox.get("scheduler")["automatic_failover"], 180, "a standby")
    sandbox.wait(lambda: incident(sandbox, KEY) is None, 120, "no incident")
    leader = str(sandbox.wait(lambda: sandbox.get("scheduler")["leader"], 60, "a leader")["name"])
    sandbox.manage("scheduler", "pause", "--hours", "1", "--reason", "a journey")
    try:
        sandbox.wait(lambda: not sandbox.get("scheduler")["automatic_failover"], 60, "the pause")
        yield leader
    finally:
        sandbox.mend("scheduler-kill", leader)
        sandbox.manage("scheduler", "pause", "--hours", "0", "--reason", "the journey is over")


def shoot(page: Page, name: str) -> None:
    """The page as it is, in both themes; nothing on it sticks out, none of it is too small for a thumb."""
    for theme in THEMES:
        if os.environ.get("QD_SCREENSHOTS"):
            page.js("document.documentElement.dataset.bsTheme = arguments[0]", theme)
            page.shoot(f"phone-{name}-{theme}")
            page.shoot(f"phone-{name}-{theme}-first", whole=False)
    page.assert_fits()
    assert page.too_small_for_a_thumb() == [], name


def sign_in(page: Page, password: str) -> None:
    page.find("#id_username").clear()
    page.find("#id_username").send_keys("operator")
    page.find("#id_password").send_keys(password)
    page.tap("main button[type=submit]")


def test_a_dead_scheduler_is_one_page_whose_button_leads_to_the_takeover(
    sandbox: Sandbox, phone: Page, paused: str
) -> None:
    leader, began = paused, time.time()
    sandbox.break_("scheduler-kill", leader)
    trigger = sandbox.wait(lambda: pages(sandbox, KEY, began), 90, "a page")[0]
    assert trigger["event_action"] == "trigger"
    # The last heartbeat was up to 5 s old.
    assert _at(trigger) - began < LIMIT_S + WITHIN_S, f"{_at(trigger) - began:.1f} s"
    one = incident(sandbox, KEY)
    assert one is not None
    assert one["severity"] == "critical"
    link = trigger["client_url"]
    assert link == f"{sandbox.url}/i/{one['id']}"
    path = link.removeprefix(sandbox.url)

    # Not signed in: not a word of it, whether there is such an incident or not.
    phone.driver.get(link)
    told = phone.driver.page_source
    assert phone.driver.current_url == f"{sandbox.url}/accounts/login/?next={path}"
    for word in (one["title"], one["key"], leader, "scheduler", "critical"):
        assert word.lower() not in told.lower(), word
    phone.driver.get(f"{sandbox.url}/i/{one['id'] + 10_000}")
    assert len(phone.driver.page_source) - len(told) < 50
    phone.driver.get(link)
    shoot(phone, "1-sign-in")

    # A slip of the finger, then right; and it is the incident that opens.
    sign_in(phone, "not-the-password")
    phone.until(lambda: phone.all("[role=alert]"), ANSWER_S)
    shoot(phone, "2-sign-in-refused")
    sign_in(phone, load_secrets(Home(sandbox.home)).sign_in)
    phone.until(lambda: phone.driver.current_url == link, ANSWER_S)
    assert leader in phone.text("h1")
    shoot(phone, "3-incident")
    took = phone.bytes_of(path)
    assert sum(took.values()) < 60_000, took

    # Without scripts it says and offers the same.
    phone.scripts(False)
    phone.open(path, size=PHONE)
    said = phone.text("main")
    for words in (leader, one["recommended"]["text"], "Evidence", "Timeline", "Acknowledge"):
        assert words in said, words
    phone.tap(".b-bar details summary")
    phone.until(lambda: phone.find(".b-sheet").is_displayed(), ANSWER_S)
    shoot(phone, "4-snooze-without-scripts")
    phone.tap(".b-bar details summary")
    phone.tap("form[action$='/acknowledge/'] button")
    phone.until(lambda: "acked by operator" in phone.text("main"), ANSWER_S)
    assert phone.driver.current_url == link
    shoot(phone, "5-acknowledged")
    phone.scripts(True)

    # The recommended button: the preflight of the takeover, filled in.
    phone.open(path, size=PHONE)
    button = phone.find("a.b-primary")
    assert one["recommended"]["operation"] == "failover"
    to = one["recommended"]["parameters"]["to"]
    assert to in button.text
    assert to != leader
    phone.tap("a.b-primary")
    phone.until(lambda: phone.all("#id_confirm"), ANSWER_S)
    assert f"INC-{one['id']}" in str(phone.find("#id_reason").get_attribute("value"))
    shoot(phone, "6-preflight")
    phone.find("#id_confirm").send_keys("somebody else")
    phone.tap("main form button[type=submit]")
    phone.until(lambda: phone.all(".qd-callout"), ANSWER_S)
    shoot(phone, "7-preflight-refused")
    phone.find("#id_confirm").clear()
    phone.find("#id_confirm").send_keys(leader)
    phone.tap("main form button[type=submit]")
    phone.until(lambda: "/operations/" in phone.driver.current_url, ANSWER_S)
    operation = int(phone.driver.current_url.rstrip("/").rpartition("/")[2])
    shoot(phone, "8-operation")
    done = ended(sandbox, operation, 150)
    assert (done["kind"], done["state"]) == ("failover", "succeeded"), done
    assert f"INC-{one['id']}" in done["reason"]
    phone.until(lambda: "succeeded" in phone.text("main").lower(), ANSWER_S)
    shoot(phone, "9-operation-done")

    # It ends by itself, and the other end was told exactly twice: that it is, and that it is over.
    sandbox.wait(lambda: incident(sandbox, KEY) is None, 90, "the end of the incident")
    over_s = time.time() - began
    sandbox.wait(lambda: "resolve" in actions(pages(sandbox, KEY, began)), 30, "the resolve")
    phone.open(path, size=PHONE)
    assert "resolved" in phone.text("main")
    shoot(phone, "10-over")
    assert actions(pages(sandbox, KEY, began)) == ["trigger", "acknowledge", "resolve"]
    print(f"page {_at(trigger) - began:.1f} s after the kill, resolved {over_s:.1f} s after it; "
          f"{sum(took.values())} bytes over the wire")  # fmt: skip

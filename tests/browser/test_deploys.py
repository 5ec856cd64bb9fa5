"""A deploy half done in a real browser: its lanes, its dialogs, its forms; both themes, desktop and phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Thread
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from console.operations.models import Operation
from tests.browser.page import DESKTOP, PHONE, THEMES, Page
from tests.deploys import story

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.fixture(scope="module")
def told(console_server: str, django_db_blocker: Any) -> Iterator[Callable[[], Operation]]:
    """The story, in the database that the server reads; each call freshens what would be too old by then."""
    from django.core.management import call_command

    with django_db_blocker.unblock():
        now = timezone.now()
        story.ended(now)
        operation = story.half_done(now, overdue=True)

    def freshen() -> Operation:
        def write() -> None:
            story.freshen(operation, timezone.now())
            connection.close()

        writer = Thread(target=write)
        writer.start()
        writer.join()
        return operation

    yield freshen
    with django_db_blocker.unblock():
        call_command("flush", verbosity=0, interactive=False)


def judge(told: Callable[[], Operation], page: Page, path: str, name: str, theme: str) -> None:
    for size in (DESKTOP, PHONE):
        told()
        page.open(path, theme, size)
        page.shoot(f"{name}-{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"at {size[0]} px"
    page.assert_no_console_errors()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("deploys-list", "/deploys/"),
        ("deploys-new", "/deploys/new/?queues=cpu&on_deadline=stop"),
        ("deploys-fleet", "/fleets/cpu/"),
        ("deploys-drain", f"/fleets/cpu/drain/?workers={story.instance(10)}&replace=1"),
        ("deploys-resize", "/fleets/cpu/resize/"),
    ],
)
def test_has_no_fault(
    told: Callable[[], Operation], sign_in: Callable[..., Page], name: str, path: str, theme: str
) -> None:
    judge(told, sign_in(), path, name, theme)


@pytest.mark.parametrize("theme", THEMES)
def test_a_lane_per_worker(told: Callable[[], Operation], sign_in: Callable[..., Page], theme: str) -> None:
    page = sign_in()
    judge(told, page, f"/deploys/{told().pk}/", "deploys-one", theme)
    assert len(page.all(".qd-lane:not(.qd-lane-head)")) == 12


def test_on_a_phone_it_is_a_list(told: Callable[[], Operation], sign_in: Callable[..., Page]) -> None:
    page = sign_in().open(f"/deploys/{told().pk}/", size=PHONE)
    assert not any(track.is_displayed() for track in page.all(".qd-lane-track"))
    assert "ends" in page.text(".qd-lane-tasks")


def test_force_names_what_it_loses_and_waits_for_the_name(
    told: Callable[[], Operation], sign_in: Callable[..., Page]
) -> None:
    page = sign_in().open(f"/deploys/{told().pk}/")
    name = story.instance(7)
    page.js("document.querySelector(arguments[0]).click()", f"#tasks-{name} .btn-outline-danger")
    page.until(lambda: page.find("#qd-sheet").is_displayed())
    assert "pricing.elasticity_model" in page.text("#qd-sheet")
    button = page.find("#qd-sheet [data-confirm-button]")
    page.find("#ask-why").send_keys("it hangs")
    assert not button.is_enabled()
    page.shoot("deploys-force", whole=False)
    assert page.axe() == []
    page.find("#ask-confirm").send_keys(name)
    assert button.is_enabled()


def test_chosen_workers_are_drained_together(told: Callable[[], Operation], sign_in: Callable[..., Page]) -> None:
    told()
    page = sign_in().open("/fleets/cpu/")
    assert not page.find("#drain-form").is_displayed()
    for number in (1000, 1001):
        page.js("document.getElementById(arguments[0]).click()", f"tick-{story.instance(number)}")
    assert page.find("#drain-form").is_displayed()
    assert page.text("[data-bulk-count]") == "2 workers selected"
    page.shoot("deploys-chosen", whole=False)
    page.find("#drain-form .btn-caution").click()
    page.until(lambda: page.text("h1") == "Drain")
    assert page.text(".qd-head h2") == "Drain 2\N{NO-BREAK SPACE}workers of cpu"
    assert "works on the whole fleet cpu" in page.text("#offer")

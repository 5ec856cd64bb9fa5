"""Accounts in a real browser: tokens, the audit, and Django's admin under our content security policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from console.accounts import audit, tokens
from console.accounts.actor import Actor
from console.accounts.models import ApiToken, User
from console.accounts.roles import Role
from tests.browser.page import DESKTOP, PHONE, THEMES, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.fixture(scope="module", autouse=True)
def accounts(sessions: dict[str, str], django_db_blocker: Any) -> Iterator[dict[str, int]]:
    """A token and two pages of audit that the server sees; removed after the module."""
    with django_db_blocker.unblock():
        root = User.objects.get(username="admin-in-browser")
        token, _ = tokens.mint(root, Role.OPERATOR, "nightly-report", timezone.now(), None)
        actor = Actor("mira.okafor", None, Role.OPERATOR, "session", "10.0.0.1")
        for number in range(60):
            audit.record(actor, "fleet.resized", f"fleet {number}", reason="more backfill than usual", details={"n": 1})
    yield {"root": root.pk, "token": token.pk}
    with django_db_blocker.unblock():
        ApiToken.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE accounts_auditentry, accounts_audithead, django_admin_log")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("path", ["/accounts/tokens/", "/accounts/password/", "/audit/"])
def test_a_filled_page_has_no_fault(sign_in: Callable[..., Page], path: str, theme: str) -> None:
    page = sign_in("admin").open(path, theme)
    for size in (DESKTOP, PHONE):
        page.size(size)
        page.shoot(f"accounts{path.replace('/', '-')}{size[0]}-{theme}")
        page.assert_fits()
        assert page.axe() == [], f"at {size[0]} px"
    page.assert_no_console_errors()


def test_a_refusal_has_no_fault(sign_in: Callable[..., Page]) -> None:
    page = sign_in("viewer").open("/audit/")
    assert "operator (or admin)" in page.text("main")
    assert page.axe() == []


def test_a_token_is_made_shown_and_revoked(sign_in: Callable[..., Page]) -> None:
    page = sign_in("operator").open("/accounts/tokens/")
    page.find("#id_name").send_keys("from the browser")
    page.find("main .btn-primary").click()
    page.until(lambda: page.all("#token-text"))
    assert str(page.find("#token-text").get_property("value")).startswith("qd_")
    assert page.axe() == []
    page.find("tbody .btn-outline-danger").click()
    page.until(lambda: "revoked" in page.text("tbody tr"))
    assert not page.all("#token-text")
    page.assert_no_console_errors()


def test_the_audit_is_filtered_and_paged(sign_in: Callable[..., Page]) -> None:
    page = sign_in("operator").open("/audit/?action=fleet")
    assert len(page.all("tbody tr")) == 50
    page.find("a[rel=next]").click()
    page.until(lambda: len(page.all("tbody tr")) == 10)
    page.find("#f-target").send_keys("fleet 7")
    page.find(".qd-filters .btn").click()
    page.until(lambda: len(page.all("tbody tr")) == 1)
    page.assert_no_console_errors()


ADMIN = [
    "/admin/",
    "/admin/accounts/user/",
    "/admin/accounts/user/add/",
    "/admin/accounts/user/{root}/change/",
    "/admin/accounts/user/{root}/password/",
    "/admin/accounts/apitoken/",
    "/admin/accounts/apitoken/{token}/change/",
    "/admin/accounts/auditentry/",
    "/admin/accounts/auditentry/1/change/",
]


@pytest.mark.parametrize("path", ADMIN)
def test_the_admin_works_under_the_policy(sign_in: Callable[..., Page], accounts: dict[str, int], path: str) -> None:
    page = sign_in("admin").open(path.format(**accounts))
    assert page.js("return performance.getEntriesByType('navigation')[0].responseStatus") == 200
    assert page.all("#content")
    page.assert_no_console_errors()


def test_the_admins_own_scripts_run(sign_in: Callable[..., Page]) -> None:
    """Its theme switch and its action counter are scripts: alive under the policy, or dead without a word."""
    page = sign_in("admin").open("/admin/accounts/apitoken/")
    before = page.js("return document.documentElement.dataset.theme")
    page.find("#header .theme-toggle").click()
    assert page.js("return document.documentElement.dataset.theme") != before
    page.find("#action-toggle").click()
    rows = len(page.all("#result_list tbody tr"))
    assert page.text(".action-counter").startswith(f"{rows} of {rows}")
    page.assert_no_console_errors()


def test_a_session_that_ends_takes_the_whole_page_to_the_sign_in(
    sign_in: Callable[..., Page], django_db_blocker: Any
) -> None:
    page = sign_in("viewer").open("/style/")
    page.driver.delete_cookie(settings.SESSION_COOKIE_NAME)
    page.js("document.body.dispatchEvent(new Event('qd:refresh'))")
    page.until(lambda: "/accounts/login/" in page.driver.current_url)
    assert page.driver.current_url.endswith("?next=%2Fstyle%2F")

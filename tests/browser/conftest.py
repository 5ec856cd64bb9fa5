"""A headless Chromium for the tests of pages. Where there is none they are skipped, and say so;
`REQUIRE_BROWSER=1` makes that a failure. `QD_SCREENSHOTS=folder` keeps a picture of every page that is shot."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.core.management import call_command

from tests.browser.page import Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def _found() -> tuple[str, str] | None:
    browser = next((path for name in CHROMIUM if (path := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


@pytest.fixture(scope="session")
def webdriver_session() -> Iterator[Page]:
    """One Chromium for all browser tests: starting it is the slow part."""
    found = _found()
    if found is None:
        reason = "Chromium and ChromeDriver were not found (Debian: apt-get install chromium chromium-driver)"
        if os.environ.get("REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    from selenium import webdriver

    with tempfile.TemporaryDirectory(prefix="qd-chromium-") as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = found[0]
        for flag in (
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage", "--force-prefers-reduced-motion", "--hide-scrollbars",
            f"--user-data-dir={profile}",
        ):  # fmt: skip
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=found[1]))
        driver.set_page_load_timeout(30)
        driver.set_script_timeout(30)
        try:
            yield Page(driver)
        finally:
            driver.quit()


@pytest.fixture(scope="session")
def collected_static(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Static files as they are served: collected, with hashed names. A broken url() in CSS fails here."""
    from django.test import override_settings

    root = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=root, STORAGES=HASHED):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


HASHED = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}


@pytest.fixture
def browser(webdriver_session: Page, collected_static: Path, live_server: object, settings: object) -> Iterator[Page]:
    """A page of a signed-out browser on the live server, with hashed static files and the real CSP."""
    from django.conf import settings as django_settings

    settings.STATIC_ROOT = collected_static  # type: ignore[attr-defined]
    settings.STORAGES = {**django_settings.STORAGES, "staticfiles": HASHED["staticfiles"]}  # type: ignore[attr-defined]
    page = webdriver_session
    page.base = str(live_server.url)  # type: ignore[attr-defined]
    page.reset()
    yield page
    page.leave()


@pytest.fixture
def sign_in(browser: Page, transactional_db: None) -> Callable[..., Page]:
    """`sign_in("operator")`: a browser with a session of such a user, without filling in the form."""
    from django.test import Client

    from console.accounts.models import User

    def enter(role: str = "operator") -> Page:
        user = User.objects.create_user(username=f"{role}-in-browser", role=role)
        client = Client()
        client.force_login(user)
        browser.cookie("sessionid", client.cookies["sessionid"].value)
        return browser

    return enter

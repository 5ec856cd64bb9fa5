"""A headless Chromium for the tests of pages. Where there is none they are skipped, and say so;
`REQUIRE_BROWSER=1` makes that a failure. `QD_SCREENSHOTS=folder` keeps a picture of every page that is shot."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.test import Client, override_settings
from django.test.testcases import LiveServerThread

pytest.register_assert_rewrite("tests.browser.page")
from tests.browser.page import Page  # noqa: E402 - after the line that makes its assertions speak
from tests.flush import empty  # noqa: E402

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
    root = tmp_path_factory.mktemp("static")
    with override_settings(STATIC_ROOT=root, STORAGES=HASHED):
        call_command("collectstatic", interactive=False, verbosity=0)
    return root


HASHED = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}


@pytest.fixture(scope="module")
def sessions(django_db_setup: None, django_db_blocker: Any) -> Iterator[dict[str, str]]:
    """A signed-in session per role, `{role: key}`, seen by the server's threads; all is removed after the module.

    So a browser test is marked `django_db` (its own writes are rolled back, and the server never sees them) and costs
    no flush of all tables. What the server is to see, a fixture of the module writes in `django_db_blocker.unblock()`.
    """
    from console.accounts.models import User
    from console.accounts.roles import Role

    keys = {}
    with django_db_blocker.unblock():
        for role in Role:
            client = Client()
            client.force_login(User.objects.create_user(username=f"{role.value}-in-browser", role=role))
            keys[role.value] = str(client.session.session_key)
    yield keys
    with django_db_blocker.unblock():
        empty(connection)  # what the module's fixtures have written too: no other test may find it


@pytest.fixture(scope="module")
def console_server(collected_static: Path, sessions: dict[str, str], django_db_blocker: Any) -> Iterator[str]:
    """The console as it is served: every middleware, the real CSP, hashed static files by whitenoise. Its address.

    pytest-django's own live server serves static files from their sources, which would hide a missing one.
    """
    served = override_settings(STATIC_ROOT=collected_static, STORAGES=HASHED, ALLOWED_HOSTS=["127.0.0.1"], DEBUG=False)
    with served, django_db_blocker.unblock():
        thread = LiveServerThread("127.0.0.1", static_handler=lambda application: application)
        thread.daemon = True
        thread.start()
        thread.is_ready.wait()
        if thread.error:
            raise thread.error
        yield f"http://127.0.0.1:{thread.port}"
        thread.terminate()


@pytest.fixture
def browser(webdriver_session: Page, console_server: str) -> Iterator[Page]:
    """A signed-out browser on the console."""
    page = webdriver_session
    page.base = console_server
    page.reset()
    yield page
    page.leave()


@pytest.fixture
def sign_in(browser: Page, sessions: dict[str, str]) -> Callable[..., Page]:
    """`sign_in("operator")`: a browser with a session of such a user, without filling in the form."""

    def enter(role: str = "operator") -> Page:
        browser.cookie(django_settings.SESSION_COOKIE_NAME, sessions[role])
        return browser

    return enter

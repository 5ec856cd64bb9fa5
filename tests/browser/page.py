"""What a browser test does with a page: open it, size it, read its console, have axe judge it, shoot it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
DESKTOP, PHONE = (1440, 900), (390, 844)
THEMES = ("dark", "light")
T = TypeVar("T")


class Page:
    """A browser with manners. `base` is the live server's address."""

    def __init__(self, driver: WebDriver) -> None:
        self.driver = driver
        self.base = ""

    def reset(self) -> None:
        """Signed out, no remembered theme, empty console, desktop size."""
        self.driver.get(f"{self.base}/static/nothing-here")  # an address of the same origin, to reach its storage
        self.driver.delete_all_cookies()
        self.js("localStorage.clear()")
        self.size(DESKTOP)
        self.console()

    def leave(self) -> None:
        """Stop the page's refreshes before the server goes away."""
        self.driver.get("about:blank")

    def cookie(self, name: str, value: str) -> None:
        self.driver.add_cookie({"name": name, "value": value, "path": "/"})

    def size(self, size: tuple[int, int]) -> None:
        """The viewport, not the window: a headless window is never narrower than 500 px."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": size[0] < 600},
        )

    def open(self, path: str, theme: str = "dark", size: tuple[int, int] = DESKTOP) -> Page:
        self.size(size)
        self.js("try { localStorage.setItem('qd-theme', arguments[0]) } catch (e) {}", theme)
        self.driver.get(self.base + path)
        self.until(lambda: self.js("return document.fonts.status === 'loaded'"))
        return self

    def js(self, script: str, *args: object) -> Any:
        return self.driver.execute_script(script, *args)

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def tap(self, selector: str) -> None:
        """Scroll to it as a person would, out from under what is fixed, and touch it."""
        found = self.find(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        found.click()

    def text(self, selector: str) -> str:
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector)).strip()

    def press(self, *keys: str) -> None:
        from selenium.webdriver import ActionChains

        ActionChains(self.driver).send_keys(*keys).perform()

    def until(self, check: Callable[[], T], timeout_s: float = 10) -> T:
        """Wait for a truth; fails with the last answer."""
        deadline = time.monotonic() + timeout_s
        while True:
            answer = None
            with suppress(StaleElementReferenceException):  # the page was refreshed while it was looked at: look again
                answer = check()
            if answer:
                return answer
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"not within {timeout_s:g} s; last answer {answer!r}, at {self.driver.current_url}"
                )
            time.sleep(0.05)

    def console(self) -> list[str]:
        """Errors and warnings since the last call; CSP violations are among them."""
        return [
            str(entry["message"])
            for entry in self.driver.get_log("browser")  # type: ignore[no-untyped-call]
            if entry["level"] in ("SEVERE", "WARNING")
        ]

    def assert_no_console_errors(self) -> None:
        assert self.console() == []

    def assert_fits(self) -> None:
        """Nothing sticks out sideways: the page itself never scrolls horizontally (charts may take a moment); and what
        is typed into a field can be read there."""

        def sticking_out() -> list[str]:
            found = self.js(
                "const w = document.documentElement.clientWidth;"
                "if (document.documentElement.scrollWidth <= w) return [];"
                "const scrolls = '.qd-tablewrap, .qd-lanes, dialog';"
                "return Array.from(document.querySelectorAll('body *'))"
                ".filter(n => n.getBoundingClientRect().right > w + 1 && !n.closest(scrolls))"
                ".slice(0, 5).map(n => n.outerHTML.slice(0, 120)).concat('page scrolls sideways')"
            )
            return list(found)

        deadline = time.monotonic() + 2
        while (found := sticking_out()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert found == []
        assert self._squeezed() == []

    def _squeezed(self, least: int = 110) -> list[str]:
        """Text fields in which not even a short name could be read."""
        found = self.js(
            "return Array.from(document.querySelectorAll('main input:is(:not([type]), [type=text], [type=search])'))"
            ".filter(n => n.checkVisibility() && n.getBoundingClientRect().width < arguments[0])"
            ".map(n => `${Math.round(n.getBoundingClientRect().width)} px: ${n.outerHTML.slice(0, 120)}`)",
            least,
        )
        return list(found)

    def scripts(self, on: bool) -> None:
        """Let pages run their scripts, or not (those of the tests run all the same)."""
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not on})

    def too_small_for_a_thumb(self, least: int = 44) -> list[str]:
        """What is to be touched and is lower or narrower than `least` px; links in running text are not meant."""
        found = self.js(
            "const least = arguments[0] - 0.5;"
            "return Array.from(document.querySelectorAll("
            "'main :is(a, button, summary, select, textarea, input:not([type=hidden]))'))"
            ".filter(n => n.checkVisibility() && getComputedStyle(n).display !== 'inline')"
            ".map(n => [n, n.getBoundingClientRect()])"
            ".filter(([n, box]) => box.height < least || box.width < least)"
            ".map(([n, box]) => `${Math.round(box.width)}x${Math.round(box.height)} ${n.outerHTML.slice(0, 120)}`)",
            least,
        )
        return list(found)

    def bytes_of(self, path: str) -> dict[str, int]:
        """What a browser with an empty cache takes over the wire for a page, heads of answers included, by address."""
        self.driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        self.driver.get(self.base + path)
        took = self.js(
            "return [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
            ".map(e => [e.name, e.transferSize])"
        )
        return {str(name): int(size) for name, size in took}

    def axe(self) -> list[str]:
        """Serious and critical faults that axe-core finds, as `rule: first place`."""
        if not self.js("return typeof window.axe === 'object'"):
            self.js(AXE)
        result = self.driver.execute_async_script(
            "const done = arguments[0];"
            "axe.run(document, {resultTypes: ['violations']}).then(done, e => done({error: String(e)}))"
        )
        assert "error" not in result, result
        return [
            f"{fault['id']}: {place['target']} {place['failureSummary'].splitlines()[-1].strip()}"
            for fault in result["violations"]
            if fault["impact"] in ("serious", "critical")
            for place in fault["nodes"]
        ]

    def shoot(self, name: str, whole: bool = True) -> None:
        """A picture of the page in the folder that QD_SCREENSHOTS names; nothing where it names none."""
        folder = os.environ.get("QD_SCREENSHOTS")
        if not folder:
            return
        import base64

        Path(folder).mkdir(parents=True, exist_ok=True)
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        (Path(folder) / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

"""The style sheet in a real browser: both themes, desktop and phone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.browser.page import DESKTOP, PHONE, THEMES, Page

pytestmark = [pytest.mark.browser, pytest.mark.django_db]


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_has_no_fault_in_any_theme_or_size(sign_in: Callable[..., Page], theme: str, size: tuple[int, int]) -> None:
    page = sign_in().open("/style/", theme, size)
    page.until(lambda: page.all("#demo-chart canvas"))
    page.shoot(f"style-{size[0]}-{theme}")
    page.assert_no_console_errors()
    page.assert_fits()
    assert page.axe() == []
    page.assert_no_console_errors()

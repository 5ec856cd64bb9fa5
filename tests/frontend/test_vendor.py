"""What others wrote says its version and licence, and fetches nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

VENDOR = Path(__file__).parents[2] / "static/vendor"
README = (VENDOR / "README.md").read_text(encoding="utf-8")
FILES = [path for path in VENDOR.rglob("*") if path.is_file() and path.suffix not in {".md", ".txt"}]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_is_listed_with_a_licence_that_is_there(path: Path) -> None:
    row = next(line for line in README.splitlines() if line.startswith("|") and path.name in line)
    licence = re.findall(r"`((?:fonts/)?LICENSE-[\w-]+\.txt)`", row)
    assert licence
    assert (VENDOR / licence[0]).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in FILES if p.suffix == ".css"], ids=lambda path: path.name)
def test_style_sheets_load_nothing_from_elsewhere(path: Path) -> None:
    urls = re.findall(r"url\((['\"]?)(?!['\"]?data:)([^)'\"]+)", path.read_text(encoding="utf-8"))
    assert [url for _, url in urls if not url.startswith("#")] == []


def test_htmx_is_the_version_that_the_page_is_configured_for() -> None:
    assert "this.version='4.0.1'" in (VENDOR / "htmx.min.js").read_text(encoding="utf-8").replace('"', "'")

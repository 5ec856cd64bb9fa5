"""Runbooks: `docs/runbooks/DETECTOR.md`, rendered for the console. Raw HTML in them is shown, never interpreted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

from console.incidents.detectors import DETECTORS

# Without raw HTML, and with the library's own refusal of javascript: and data: links, the output is safe as it is.
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Runbook:
    """One page of `docs/runbooks`. `html` is safe to show."""

    slug: str
    title: str
    html: SafeString

    @property
    def url(self) -> str:
        return url_of(self.slug)


def folder() -> Path:
    return Path(settings.BASE_DIR) / "docs" / "runbooks"


def url_of(slug: str) -> str:
    return f"/incidents/runbooks/{slug}/"


def exists(slug: str) -> bool:
    """Only names of detectors are looked for: no path from outside reaches the disk."""
    return slug in DETECTORS and (folder() / f"{slug}.md").is_file()


def runbook(slug: str) -> Runbook | None:
    """The runbook of a detector; None where there is none."""
    if not exists(slug):
        return None
    path = folder() / f"{slug}.md"
    return _rendered(slug, path.read_text(encoding="utf-8"))


@lru_cache(maxsize=64)
def _rendered(slug: str, text: str) -> Runbook:
    first, _, rest = text.partition("\n")
    # A long command scrolls in its block: reachable by keyboard. In text the library writes &lt;, so only tags match.
    html = _MARKDOWN.render(rest).replace("<pre>", '<pre tabindex="0">')
    return Runbook(slug, first.lstrip("# ").strip(), mark_safe(html))  # noqa: S308

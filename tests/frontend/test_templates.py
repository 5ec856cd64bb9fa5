"""Every template: nothing that the content security policy would block, nothing that points nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.template.loader import get_template
from django.test import RequestFactory

ROOT = Path(__file__).parents[2]
ADMIN = sorted((ROOT / "templates/django").rglob("*.html"))  # of Django's own engine
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
OURS = [path for path in TEMPLATES if path not in ADMIN]
SPRITE = (ROOT / "static/img/icons.svg").read_text(encoding="utf-8")
ICONS = set(re.findall(r'<symbol id="i-([a-z0-9-]+)"', SPRITE))
FORBIDDEN = {
    r"\sstyle\s*=": "an inline style",
    r"<style\b": "an inline style sheet",
    r"\son[a-z]+\s*=": "an inline event handler",
    r"\shx-on[:-]": "hx-on, which needs eval",
    r"hx-trigger=\"[^\"]*\[": "a filter in hx-trigger, which needs eval",
    r"(?:js|javascript):": "a js: value, which needs eval",
    r"<script(?![^>]*\bsrc=)(?![^>]*application/json)": "an inline script",
    r"(?:src|href)=\"(?:https?:)?//": "something loaded from elsewhere",
}


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT / "templates"))


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_holds_nothing_that_the_content_security_policy_blocks(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [f"{what}: {match.group(0)}" for rx, what in FORBIDDEN.items() for match in re.finditer(rx, text)]
    assert found == []


@pytest.mark.parametrize("path", TEMPLATES, ids=ids)
def test_compiles(path: Path) -> None:
    engine = "django" if path in ADMIN else "jinja2"
    get_template(str(path.relative_to(ROOT / "templates" / ("django" if path in ADMIN else ""))), using=engine)


SAFE = {"{{ field.help_text|safe }}"}  # words of a form, which stand in its class


@pytest.mark.parametrize("path", OURS, ids=ids)
def test_it_escapes_what_it_is_given(path: Path) -> None:
    """Nothing in it says that a value is safe: only components do, which escape by themselves."""
    found = re.findall(r"{{[^}]*\|\s*safe\b[^}]*}}|autoescape|Markup", path.read_text(encoding="utf-8"))
    assert set(found) <= SAFE


def test_every_icon_that_is_named_is_in_the_sprite() -> None:
    named: dict[str, str] = {}
    asked_for = r'\bsymbol="([^"]+)"|\bicon\("([^"]+)"'
    for path in TEMPLATES:
        for name in re.findall(asked_for, path.read_text(encoding="utf-8")):
            named["".join(name)] = ids(path)
    for path in (ROOT / "static/js").glob("*.js"):
        for name in re.findall(r'\bicon\("([a-z0-9-]+)"', path.read_text(encoding="utf-8")):
            named[name] = path.name
    for path in (ROOT / "console").rglob("*.py"):
        for name in re.findall(r'\bicon(?:=|": )"([a-z0-9-]+)"', path.read_text(encoding="utf-8")):
            named[name] = path.name
    from console.lib.nav import ENTRIES
    from console.lib.vocabulary import _LOOKS

    named |= {look.icon: "vocabulary" for look in _LOOKS.values()} | {entry.icon: "nav" for entry in ENTRIES}
    assert {name: where for name, where in named.items() if name not in ICONS} == {}


def test_every_partial_says_what_it_takes() -> None:
    plain = {"_logo.html", "_theme_toggle.html"}
    silent = [
        path.name
        for path in (ROOT / "templates/partials").iterdir()
        if path.name not in plain and not path.read_text(encoding="utf-8").startswith("{#")
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_errors_render_with_nothing_in_their_context(name: str) -> None:
    assert "Quarterdeck" in get_template(f"{name}.html").render({})
    assert "Quarterdeck" in get_template(f"{name}.html").render({}, RequestFactory().get("/"))

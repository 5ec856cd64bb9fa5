"""Every kind of fault has a runbook with commands, it is shown in the console, and what it links to is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.test import Client
from django.urls import Resolver404, resolve

from console.accounts.roles import Role
from console.incidents import runbooks
from console.incidents.detectors import DETECTORS
from console.incidents.runbooks import _rendered
from tests.api.asking import user_of

CONSOLE = Path(__file__).parents[2] / "console"


@pytest.mark.parametrize("slug", DETECTORS)
def test_it_is_there_with_commands_and_links_that_lead_somewhere(slug: str) -> None:
    found = runbooks.runbook(slug)
    assert found is not None, f"docs/runbooks/{slug}.md is missing"
    assert found.title
    assert len(found.html) > 400
    assert '<pre tabindex="0"><code>' in found.html, "no command"
    for link in re.findall(r'href="([^"]+)"', found.html):
        path = link.partition("#")[0]
        assert path.startswith("/"), link
        try:
            resolve(path)
        except Resolver404:
            pytest.fail(f"{slug} links to {link}, which is nowhere")
        other = re.fullmatch(r"/incidents/runbooks/([\w-]+)/", path)
        assert other is None or runbooks.exists(other[1]), link


def test_no_runbook_is_about_nothing() -> None:
    assert {path.stem for path in runbooks.folder().glob("*.md")} == set(DETECTORS)


def test_every_detector_that_the_sections_name_is_declared() -> None:
    """Whatever is written as `detector=` or stands in a table of rules, anywhere in the console."""
    named = set()
    for path in [*CONSOLE.glob("*/findings.py"), *CONSOLE.glob("*/*_findings.py"), CONSOLE / "overview" / "detect.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "detector":
                named |= {leaf.value for leaf in ast.walk(node.value) if isinstance(leaf, ast.Constant)}
    assert named
    assert {str(one) for one in named} <= set(DETECTORS)


def test_html_in_a_runbook_is_shown_and_not_interpreted() -> None:
    found = _rendered("x", "# Title\n<script>alert(1)</script>\n\n[go](javascript:alert(1)) <b>bold</b>")
    assert "<script>" not in found.html
    assert "href" not in found.html
    assert "&lt;b&gt;" in found.html


@pytest.mark.django_db
def test_they_are_pages_of_the_console(client: Client) -> None:
    assert client.get("/incidents/runbooks/scheduler-down/").status_code == 302, "only for those signed in"
    client.force_login(user_of(Role.VIEWER))
    text = client.get("/incidents/runbooks/scheduler-down/").content.decode()
    assert "manage.py scheduler failover" in text
    assert 'href="/incidents/runbooks/scheduler-down/"' in client.get("/incidents/runbooks/").content.decode()
    assert client.get("/incidents/runbooks/nothing-such/").status_code == 404

"""EMAIL_URL becomes Django's mail settings; a pager that mails needs it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console import checks
from console.env import Env
from console.platform.declared import PagerDeclared, declaration


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 25, "", "", False, False)),
        ("smtp://u%40x:p%2Fw@mail:587?tls=1", ("mail", 587, "u@x", "p/w", False, True)),
        ("smtps://u:p@mail", ("mail", 465, "u", "p", True, False)),
        ("", ("", 25, "", "", False, False)),
    ],
)
def test_a_url_becomes_settings(url: str, expected: tuple[Any, ...]) -> None:
    env = Env({"EMAIL_URL": url})
    found = env.mail("EMAIL_URL")
    names = ("HOST", "PORT", "HOST_USER", "HOST_PASSWORD", "USE_SSL", "USE_TLS")
    assert tuple(found[f"EMAIL_{name}"] for name in names) == expected
    assert env.problems == []


@pytest.mark.parametrize("url", ["mail.example.com", "http://mail:s3cret@x", "smtp://", "smtp://u:s3cret@mail:port"])
def test_a_malformed_one_is_a_problem_that_does_not_repeat_it(url: str) -> None:
    env = Env({"EMAIL_URL": url})
    env.mail("EMAIL_URL")
    assert [problem.name for problem in env.problems] == ["EMAIL_URL"]
    assert "s3cret" not in str(env.problems)
    assert "smtps://" in env.problems[0].hint


def test_a_pager_that_mails_needs_a_server(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    mails = replace(declaration(), pagers=(PagerDeclared("archive", "email", to=("a@example.com",)),))
    monkeypatch.setattr(checks, "declaration", lambda: mails)
    settings.EMAIL_HOST = ""
    (fault,) = checks.mail(None)
    assert fault.id == "quarterdeck.E005"
    assert "archive" in fault.msg
    assert "EMAIL_URL" in fault.hint
    settings.EMAIL_HOST = "mail.example.com"
    assert checks.mail(None) == []

"""Behind https the deploy checks are clean, and what can't work says so in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCTION = {
    "DEBUG": "0",
    "BASE_URL": "https://deck.example.com",
    "ALLOWED_HOSTS": "deck.example.com",
    "SECRET_KEY": "k3y-" + "Xy7!" * 20,
}


def run(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | env, capture_output=True, text=True, timeout=120
    )


def test_the_deploy_checks_are_clean() -> None:
    checked = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **PRODUCTION)
    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout + checked.stderr


def test_cookies_are_for_https_only() -> None:
    code = (
        "from django.conf import settings as s; "
        "print(s.SESSION_COOKIE_SECURE, s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_NAME, s.SECURE_SSL_REDIRECT)"
    )
    shown = run("-c", code, DJANGO_SETTINGS_MODULE="console.settings", **PRODUCTION)
    assert shown.stdout.split() == ["True", "True", "__Host-quarterdeck-0-session", "True"]


def test_passwords_are_hashed_at_djangos_price() -> None:
    code = (
        "import django; django.setup(); from django.contrib.auth.hashers import make_password; "
        "print(make_password('x' * 12).split('$')[1:4])"
    )
    shown = run("-c", code, DJANGO_SETTINGS_MODULE="console.settings", **PRODUCTION)
    assert "'argon2id'" in shown.stdout
    assert "m=102400,t=2" in shown.stdout


def test_an_address_that_is_not_answered_is_said() -> None:
    checked = run("manage.py", "check", **PRODUCTION | {"ALLOWED_HOSTS": "other.example.com"})
    assert "quarterdeck.W001" in checked.stdout + checked.stderr


def test_a_malformed_network_is_said() -> None:
    checked = run("manage.py", "check", METRICS_ALLOWED="10.0.0.0/8,nonsense")
    assert checked.returncode == 1
    assert "METRICS_ALLOWED holds 'nonsense'" in checked.stderr


@pytest.mark.parametrize(
    "command",
    [
        ("manage.py", "migrate"),
        ("manage.py", "token", "list"),
        ("-m", "uvicorn", "console.asgi:application", "--port", "0"),
        ("-m", "celery", "-A", "console", "worker", "--pool", "threads"),
        ("-m", "celery", "-A", "console", "beat", "-S", "redbeat.RedBeatScheduler", "--pidfile="),
    ],
    ids=["migrate", "command", "web", "worker", "beat"],
)
def test_a_wrong_database_is_one_sentence_and_never_the_password(command: tuple[str, ...]) -> None:
    failed = run(*command, DATABASE_URL="postgresql://deck:hunter2-secret@127.0.0.1:9/deck")
    said = failed.stdout + failed.stderr
    assert failed.returncode == 1, said
    assert said.count("no PostgreSQL answers at 127.0.0.1 port 9.") == 1
    assert "Start it, or correct host and port in DATABASE_URL." in said
    assert "Traceback" not in said
    assert "hunter2" not in said


def test_a_missing_variable_is_one_sentence() -> None:
    failed = run("-m", "uvicorn", "console.asgi:application", "--port", "0", DATABASE_URL="", REDIS_URL="nonsense")
    lines = failed.stderr.strip().splitlines()
    assert failed.returncode == 1
    assert sorted(line.split(" ")[3] for line in lines) == ["DATABASE_URL", "REDIS_URL"], lines

"""A database or Redis out of reach is one sentence with a remedy, without a password."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import OperationalError, connection

from console import reach

SETTINGS = {"HOST": "db.internal", "PORT": 5433, "USER": "deck", "NAME": "deckdb", "PASSWORD": "hunter2"}


@pytest.mark.parametrize(
    ("error", "sentence", "remedy"),
    [
        ('could not translate host name "db.internal" to address', "no host is called db.internal.", "host"),
        (
            "connection to server at … failed: Connection refused",
            "no PostgreSQL answers at db.internal port 5433",
            "Start",
        ),
        ("timeout expired", "does not answer in time", "firewall"),
        ('FATAL:  password authentication failed for user "deck"', "refuses the password of user deck", "PASSWORD"),
        ('FATAL:  role "deck" does not exist', "does not let user deck in", "role"),
        ('FATAL:  database "deckdb" does not exist', "has no database deckdb", "create"),
        ("FATAL:  no pg_hba.conf entry for host", "does not admit user deck to deckdb", "pg_hba.conf"),
        ("FATAL:  the database system is starting up", "starting or stopping", "again"),
        ("FATAL:  sorry, too many clients already", "no connection left", "max_connections"),
        ("server does not support SSL, but SSL was required", "no encrypted connection", "sslmode"),
        ("something new: hunter2\nsecond line", "something new: [redacted].", "DATABASE_URL"),
        ("", "no reason given", "DATABASE_URL"),
    ],
)
def test_each_way_to_fail_has_its_sentence(error: str, sentence: str, remedy: str) -> None:
    told = reach.explain_database(error, SETTINGS)
    assert sentence in told.message
    assert remedy in told.hint
    assert "hunter2" not in str(told)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"dbname": "no_such_database"}, "has no database"),
        ({"user": "no_such_user"}, "does not let user|refuses the password|does not admit"),
        ({"host": "no-such-host.invalid"}, "no host is called"),
        ({"host": "127.0.0.1", "port": "9"}, "no PostgreSQL answers"),
    ],
)
def test_what_postgresql_really_says_is_known(change: dict[str, str], sentence: str) -> None:
    parameters = connection.get_connection_params() | {"connect_timeout": 2} | change
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    with pytest.raises(psycopg2.OperationalError) as failed:
        psycopg2.connect(**parameters)
    told = reach.explain_database(str(failed.value), SETTINGS)
    import re

    assert re.search(sentence, told.message), failed.value


@pytest.mark.django_db
def test_a_database_that_answers_is_fine() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    assert reach.connection_failed(ValueError()) is None


@pytest.mark.django_db
def test_a_failing_statement_is_no_failing_connection() -> None:
    with pytest.raises(Exception) as failed, connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(0); SELECT 1/0")
    assert reach.connection_failed(failed.value) is None


def test_a_failing_connection_is_one() -> None:
    error = OperationalError("connection to server failed: Connection refused")
    error.__cause__ = psycopg2.OperationalError("…")
    assert reach.connection_failed(error) is not None


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_redis_that_answers_is_fine(settings: Any) -> None:
    assert reach.redis_server(settings.REDIS_URL) is None


def test_redis_that_is_away(silent_port: int) -> None:
    for url, sentence in (
        ("redis://:hunter2@127.0.0.1:9/0", "is out of reach"),
        (f"redis://:hunter2@127.0.0.1:{silent_port}/0", "does not answer in time"),
        ("redis://:hunter2@no-such-host.invalid:6379/0", "is out of reach"),
    ):
        told = reach.redis_server(url)
        assert told is not None
        assert sentence in told.message
        assert "hunter2" not in str(told)


def test_redis_with_a_wrong_password(settings: Any) -> None:
    told = reach.redis_server(settings.REDIS_URL.replace("redis://", "redis://:hunter2@"))
    assert told is None or "refuses the password" in told.message

"""No secret that can be recognised reaches a log, through any handler."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from console.lib.redaction import GONE, RedactedRecord, Redaction, redact

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0aSJ9.c2lnbmF0dXJlLXBhcnQ"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (f"token {JWT} used", JWT),
        (f'{{"token": "{JWT}"}}', JWT),
        (f"cut short {JWT[:30]}", JWT[:30]),
        (f"args=['{JWT}']", "c2lnbmF0dXJl"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("'Authorization': 'Bearer abcdef123456'", "abcdef123456"),
        ("{'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("authorization=abcdef123456", "abcdef123456"),
        ("sent bearer abcdef123456==", "abcdef123456"),
        ("redis://:s3cret@host:6379/0", "s3cret"),
        ("postgresql://user:s3cret@host/db", "s3cret"),
        ("postgresql://user:s3c@ret@host/db", "s3c@ret"),
        ("could not connect to amqp://a:b%40c@h//", "b%40c"),
        ("password=s3cret host=x", "s3cret"),
        ("PGPASSWORD='s3cret'", "s3cret"),
        ("{'AWS_SECRET_ACCESS_KEY': 's3cret/+='}", "s3cret"),
        ('"client_secret": "s3cret"', "s3cret"),
        ("qd_0a1b2c3d_" + "Z" * 43, "Z" * 43),
    ],
)
def test_secrets_go(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert GONE in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "airflow.scheduler: Airflow's API does not answer (timeout, 3.0 s)",
        "http://127.0.0.1:8080/api/v2/monitor/health",
        "redis://127.0.0.1:6379/0",
        "postgresql://user@host:5432/db?sslmode=require",
        "token 12 of user ada is revoked",
        "12:30:45 the password is wrong",
        "at user@example.com",
        "audit 3 token.created 'ada' by 'root' hash 0123456789abcdef",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert redact(text) == text


def test_the_user_and_host_of_an_address_stay() -> None:
    assert redact("postgresql://deck:s3cret@db:5432/x") == f"postgresql://deck:{GONE}@db:5432/x"


@pytest.fixture
def heard() -> Any:
    """A logger with a handler of its own, as uvicorn's and Celery's are; what it wrote."""
    stream, handler = io.StringIO(), logging.StreamHandler()
    handler.setStream(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("somebody.elses")
    logger.propagate = False
    logger.addHandler(handler)
    yield logger, stream
    logger.removeHandler(handler)


def test_records_are_made_redacted_for_every_handler(heard: Any) -> None:
    logger, stream = heard
    logger.error("calling with %s and %r", JWT, {"Authorization": f"Bearer {JWT}"})
    assert logging.getLogRecordFactory() is RedactedRecord
    assert "eyJ" not in stream.getvalue()
    assert "calling with" in stream.getvalue()


def test_arguments_too_for_formatters_that_use_them() -> None:
    """uvicorn's access log does not ask for the message."""
    record = logging.getLogRecordFactory()("uvicorn.access", 20, "f.py", 1, '%s "%s"', ("::1", f"/x?t={JWT}"), None)
    assert "eyJ" not in str(record.args)
    assert record.getMessage() == f'::1 "/x?t={GONE}"'


def test_tracebacks_too(heard: Any) -> None:
    logger, stream = heard
    try:
        try:
            raise ValueError(f"bad token {JWT}")
        except ValueError as cause:
            raise RuntimeError("redis://:s3cret@host") from cause
    except RuntimeError:
        logger.exception("failed")
    assert "eyJ" not in stream.getvalue()
    assert "s3cret" not in stream.getvalue()
    assert "ValueError: bad token" in stream.getvalue()


def test_the_filter_does_it_for_records_made_elsewhere() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f.py", 1, "token %s", (JWT,), None)
    assert Redaction().filter(record)
    assert "eyJ" not in record.getMessage()


def test_text_that_is_long_and_hostile_takes_no_time() -> None:
    import time

    began_s = time.monotonic()
    for piece in ("eyJ" + "a" * 50_000, "a:" * 50_000, "://" * 30_000, "authorization " * 10_000, "-" * 50_000):
        redact(piece)
    assert time.monotonic() - began_s < 5

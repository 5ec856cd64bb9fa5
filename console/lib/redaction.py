"""Takes secrets out of text: tokens, `Authorization` headers, passwords in URLs. Every log record passes through it.

It works on the record itself, not on one handler: so uvicorn's, Celery's and Django's own handlers are covered too, and
a traceback as well as a message.
"""

from __future__ import annotations

import logging
import logging.config
import re
import traceback
from typing import Any

GONE = "[redacted]"
_PATTERNS = (
    # A JWT, whole or cut short: its header always begins with {" in base64.
    (re.compile(r"eyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*"), GONE),
    # The console's own API tokens: the prefix may stay, it names the token and proves nothing.
    (re.compile(r"\b(qd_[0-9a-f]{8})_[\w-]{8,}", re.ASCII), rf"\1_{GONE}"),
    # Authorization: Bearer abc · 'Authorization': 'Basic abc' · {"authorization": "abc"}
    (
        re.compile(r"(authorization[\"']?\s*[:=]\s*[\"']?)(?:(?:bearer|basic|token)\s+)?[^\s\"',;}\[]+", re.IGNORECASE),
        rf"\1{GONE}",
    ),
    (re.compile(r"\b(bearer\s+)[\w.~+/-]{8,}=*", re.IGNORECASE), rf"\1{GONE}"),
    # redis://:secret@host · postgresql://user:secret@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s/\"']+@", re.IGNORECASE), rf"\1{GONE}@"),
    # password=secret · 'aws_secret_access_key': 'secret' · "client_secret": "secret"
    (
        re.compile(
            r"(\b[\w-]*(?:password|passwd|pgpass|secret(?:_access)?_key|client_secret|api_?key)[\"']?\s*[=:]\s*[\"']?)"
            r"[^\s\"'&,;)}\[]+",
            re.IGNORECASE,
        ),
        rf"\1{GONE}",
    ),
)


def redact(text: str) -> str:
    """The text without the secrets that can be recognised in it."""
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class RedactedRecord(logging.LogRecord):
    """A log record whose message, arguments and traceback are redacted before any handler sees them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.args, tuple):  # uvicorn's access log formats these by itself
            self.args = tuple(redact(arg) if isinstance(arg, str) else arg for arg in self.args)
        if self.exc_info and self.exc_info[0] is not None:
            # Formatters take a traceback that is already text as it is.
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))

    def getMessage(self) -> str:
        return redact(super().getMessage())


class Redaction(logging.Filter):
    """The same for records that other code made before (or without) `configure`: a filter for the handlers."""

    def filter(self, record: logging.LogRecord) -> bool:
        if not isinstance(record, RedactedRecord):
            record.msg, record.args = redact(record.getMessage()), None
            if record.exc_text:
                record.exc_text = redact(record.exc_text)
        return True


def configure(config: dict[str, Any]) -> None:
    """Django's `LOGGING_CONFIG`: redact from now on, then set the handlers up."""
    logging.setLogRecordFactory(RedactedRecord)
    logging.config.dictConfig(config)

"""One poll of one source: claim it, read, save, remember how it went. The shell that every poll task uses."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from console.live.changes import publish_reading
from console.live.topics import fed_by
from console.platform.models import Source, remember_failure, remember_success
from console.platform.ports import PlatformError
from console.platform.sources import SourceSpec

log = logging.getLogger(__name__)

T = TypeVar("T")


def take(
    spec: SourceSpec,
    read: Callable[[], T],
    save: Callable[[T, datetime], None],
    *,
    now: Callable[[], datetime] = timezone.now,
) -> bool:
    """Read a source once and save it; True when it succeeded.

    `as_of` is the moment the reading *began*, so that an age is never flattered by a slow answer. What is saved and
    the note that it was saved are one transaction. A poll that another process has under way is left to it; its lease
    ends by itself if that process died.
    """
    as_of = now()
    if not Source.objects.claim(spec.name, as_of, lease_s=max(3 * spec.interval_s, 10.0)):
        return False
    began_s = time.monotonic()
    try:
        reading = read()
    except PlatformError as error:
        took_s = time.monotonic() - began_s
        log.warning("%s: %s (%s, %.1f s)", spec.name, error.message, error.code, took_s)
        remember_failure(spec.name, as_of, took_s, error=error.message, code=error.code, remedy=error.remedy)
        publish_reading(spec.name, fed_by(spec.name), (error.code, error.message))
        return False
    except Exception:
        remember_failure(
            spec.name,
            as_of,
            time.monotonic() - began_s,
            error="the console itself failed while reading it",
            code="internal",
            remedy="Look for the traceback in the log of the console's worker.",
        )
        raise
    with transaction.atomic():
        save(reading, as_of)
        remember_success(spec.name, as_of, time.monotonic() - began_s)
        publish_reading(spec.name, fed_by(spec.name), reading)
    return True

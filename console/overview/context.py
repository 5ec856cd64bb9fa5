"""What every page's frame shows: the environment, the navigation's flags, the verdict, what the console is blind to."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.utils import Error as DatabaseError
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from console.overview.models import last_verdict
from console.overview.parts import Flag
from console.overview.rules import STALE_S, Blind, blindness, clock
from console.platform.declared import DeclarationError, declaration
from console.platform.models import Source
from console.platform.sources import SOURCES

HOME = "/"
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Environment:
    name: str
    region: str
    airflow_version: str


@dataclass(frozen=True)
class Flags:
    """Exceptions beside the navigation's words; None: nothing to say."""

    scheduler: Flag | None = None
    fleets: Flag | None = None
    freshness: Flag | None = None
    pools: Flag | None = None
    datastores: Flag | None = None
    storage: Flag | None = None
    deploys: Flag | None = None
    incidents: Flag | None = None
    operations: Flag | None = None


@dataclass(frozen=True)
class Strip:
    """The verdict in one line: `tone` is bad, warn or unk."""

    tone: str
    text: str
    url: str
    url_text: str


@dataclass(frozen=True)
class Shell:
    """The frame of one page. What could not be found out is None or empty."""

    now: datetime
    environment: Environment | None = None
    flags: Flags = Flags()
    blind: tuple[Blind, ...] = ()
    verdict: Strip | None = None


def shell(request: HttpRequest) -> dict[str, Any]:
    """`shell` for templates: built when a template first looks at it, so that pages without a frame pay nothing."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {"shell": None}
    return {"shell": SimpleLazyObject(lambda: build(timezone.now(), request.path))}


def build(now: datetime, path: str = "") -> Shell:
    """Two queries. Never raises: a page that explains a fault needs a frame too."""
    try:
        return _shell(now, path)
    except DeclarationError as error:
        first = error.faults[0]
        return Shell(now, blind=(Blind("what it operates", None, f"{first.path}: {first.message}", first.hint),))
    except DatabaseError:
        log.exception("the frame of a page could not be read")
        return Shell(now, blind=(Blind("everything", None, "its own database does not answer"),))
    except Exception:
        log.exception("the frame of a page failed")
        return Shell(now, blind=(Blind("its own verdict", None, "it failed; its log has the cause"),))


def _shell(now: datetime, path: str) -> Shell:
    platform = declaration()
    # The overview says both by itself, large: blindness in its headline, and the verdict.
    blind = () if path == HOME else blindness(Source.objects.sights(now), SOURCES.values())
    row = last_verdict.first()
    environment = Environment(platform.name, platform.region, row.airflow_version if row else "")
    if row is None:
        return Shell(now, environment, blind=blind)
    if abs((now - row.as_of).total_seconds()) > STALE_S:
        text = f"The platform has not been judged since {clock(row.as_of, now)}: the console's worker or beat is behind"
        stale = Flags(**{section: Flag("unk", "unknown") for section in row.flags if section in _SECTIONS})
        return Shell(now, environment, stale, blind, _strip(Strip("unk", text, "/#sources", "Overview"), path))
    flags = Flags(**{section: Flag(*flag) for section, flag in row.flags.items() if section in _SECTIONS})
    verdict = Strip(row.tone, row.text, row.url, row.url_text) if row.tone else None
    return Shell(now, environment, flags, blind, _strip(verdict, path))


_SECTIONS = frozenset(Flags.__dataclass_fields__)


def _strip(verdict: Strip | None, path: str) -> Strip | None:
    """Not on the overview, nor where the strip would lead to the page it is on."""
    return None if verdict is None or path in (HOME, verdict.url) else verdict

"""System checks: everything that is wrong with the configuration, each with an id and a remedy.

`quarterdeck.E001` an environment variable · `quarterdeck.E002` the declaration (`platform.yaml`)
· `quarterdeck.E003` the database · `quarterdeck.E004` Redis (only said) · `quarterdeck.E005` mail
· `quarterdeck.W001` addresses.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register, run_checks
from django.http.request import validate_host

from console import reach
from console.platform.declared import DeclarationError, declaration

log = logging.getLogger(__name__)


@register()
def environment(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each missing or malformed environment variable."""
    return [
        Error(problem.message, hint=problem.hint, obj=problem.name, id="quarterdeck.E001")
        for problem in settings.ENV_PROBLEMS
    ]


@register()
def platform_file(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """Each fault of the declaration, by the path of its line."""
    try:
        declaration()
    except DeclarationError as error:
        return [Error(fault.message, hint=fault.hint, obj=fault.path, id="quarterdeck.E002") for fault in error.faults]
    return []


@register()
def mail(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """A pager of kind email needs a mail server."""
    try:
        names = [pager.name for pager in declaration().pagers if pager.kind == "email"]
    except DeclarationError:
        return []
    if not names or settings.EMAIL_HOST:
        return []
    hint = "Set EMAIL_URL, such as smtp://USER:PASSWORD@HOST:587?tls=1, in the environment of the console's workers."
    return [Error(f"EMAIL_URL is not set, but the pager {names[0]} sends mail.", hint=hint, id="quarterdeck.E005")]


@register()
def addresses(app_configs: Sequence[AppConfig] | None, **kwargs: Any) -> list[CheckMessage]:
    """The address in pages must be one that this console answers."""
    host = urlsplit(settings.BASE_URL).hostname or ""
    if not host or validate_host(host, settings.ALLOWED_HOSTS):
        return []
    hint = f"Add {host} to ALLOWED_HOSTS: the links in pages lead there."
    return [Warning(f"BASE_URL is at {host}, which ALLOWED_HOSTS does not hold.", hint=hint, id="quarterdeck.W001")]


@register(Tags.database)
def database(
    app_configs: Sequence[AppConfig] | None, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Does the database answer? Asked by `migrate` and `check --database default`."""
    if not databases or settings.ENV_PROBLEMS:  # a wrong DATABASE_URL is E001 already
        return []
    fault = reach.database()
    return [Error(fault.message, hint=fault.hint, obj="DATABASE_URL", id="quarterdeck.E003")] if fault else []


def refuse_to_start_misconfigured() -> None:
    """End this process, with one line per fault, when it could not work (servers call it first).

    Redis may be away for a moment: that is only said. A worker waits for it, pages do without.
    """
    faults = [_line(message) for message in run_checks() if message.is_serious()]
    if not faults and (fault := reach.database() or reach.migrations()):
        faults = [f"{fault} [quarterdeck.E003]"]
    if faults:
        print("\n".join(f"Quarterdeck can't start. {fault}" for fault in faults), file=sys.stderr, flush=True)
        raise SystemExit(1)
    if fault := reach.redis_server(settings.REDIS_URL):
        log.warning("%s Going on without it for now. [quarterdeck.E004]", fault)


def _line(message: CheckMessage) -> str:
    where = f"{message.obj}: " if isinstance(message.obj, str) and message.obj not in message.msg else ""
    return " ".join(filter(None, [f"{where}{message.msg}", message.hint, f"[{message.id}]"]))

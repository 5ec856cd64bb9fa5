"""System checks: everything that is wrong with the configuration, each with an id and a remedy.

`quarterdeck.E001` an environment variable · `quarterdeck.E002` the declaration (`platform.yaml`)
· `quarterdeck.E003` the database · `quarterdeck.E004` Redis.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register, run_checks

from console.platform.declared import DeclarationError, declaration


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


def refuse_to_start_misconfigured() -> None:
    """End this process with a clear message when the configuration is wrong (servers call it first)."""
    faults = [message for message in run_checks() if message.is_serious()]
    if faults:
        print("\n".join(str(fault) for fault in faults), file=sys.stderr)
        raise SystemExit(1)

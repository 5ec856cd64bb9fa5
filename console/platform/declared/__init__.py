"""`platform.yaml`: the declaration of what is operated, parsed into frozen values."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from console.platform.declared.parser import parse
from console.platform.declared.values import (
    AirflowDeclared,
    AutoscalingDeclared,
    BrokerDeclared,
    DatastoreDeclared,
    DeadManDeclared,
    Declaration,
    DeclarationError,
    Fault,
    FleetDeclared,
    HooksDeclared,
    HoursDeclared,
    PagerDeclared,
    RouteDeclared,
    SourceDeclared,
    StorageDeclared,
    TableDeclared,
    TaskDeclared,
)

__all__ = [
    "AirflowDeclared",
    "AutoscalingDeclared",
    "BrokerDeclared",
    "DatastoreDeclared",
    "DeadManDeclared",
    "Declaration",
    "DeclarationError",
    "Fault",
    "FleetDeclared",
    "HoursDeclared",
    "HooksDeclared",
    "PagerDeclared",
    "RouteDeclared",
    "SourceDeclared",
    "StorageDeclared",
    "TableDeclared",
    "TaskDeclared",
    "declaration",
    "parse",
]


@lru_cache(maxsize=1)
def declaration() -> Declaration:
    """The declaration of `settings.PLATFORM_FILE`, read once per process. Raises DeclarationError."""
    from django.conf import settings

    path = Path(settings.PLATFORM_FILE)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        reason = error.strerror or type(error).__name__
        remedy = "Set PLATFORM_FILE to the declaration; start from docs/platform.example.yaml."
        raise DeclarationError((Fault(str(path), f"can't be read: {reason}", remedy),)) from None
    except UnicodeDecodeError:
        fault = Fault(str(path), "is not UTF-8 text", "Save it as UTF-8.")
        raise DeclarationError((fault,)) from None
    return parse(text, os.environ)

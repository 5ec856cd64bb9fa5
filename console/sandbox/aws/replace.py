"""Puts methods of our own into moto's classes."""

from __future__ import annotations

from typing import Any


def replace(target: type[Any], **attributes: Any) -> None:
    """Set attributes of one of moto's classes. Moto has no plugin hook; what is set here is routed and serialised."""
    for name, value in attributes.items():
        setattr(target, name, value)

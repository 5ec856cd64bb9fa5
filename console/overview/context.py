"""What every page's frame shows: the environment, the navigation's flags, what the console is blind to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def shell(request: HttpRequest) -> dict[str, Any]:
    return {"shell": None}

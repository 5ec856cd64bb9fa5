"""A page is about one moment: what several of its sections look at is read once."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.platform.models import sources_read_once


def one_reading(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """For requests that only look; what changes something reads again each time."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return get_response(request)
        with sources_read_once():
            return get_response(request)

    return middleware

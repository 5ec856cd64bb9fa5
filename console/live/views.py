"""What answers in place of the stream where there is no ASGI server before Django (`console.live.events`)."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse


def no_stream(request: HttpRequest) -> HttpResponse:
    """204: a browser's EventSource gives up without a word, and the page polls."""
    return HttpResponse(status=204)

"""What every request and answer gets: an id, safe headers, and problem+json wherever the API fails."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from console.lib.api import CONTENT_TYPE, Problem, internal

Answer = Callable[[HttpRequest], HttpResponseBase]
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
HEADERS = {
    "Permissions-Policy": "accelerometer=(), browsing-topics=(), camera=(), display-capture=(), geolocation=(), "
    "gyroscope=(), magnetometer=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Nothing of this may stay in a cache: it is about people who sign in, and it is old in seconds.
    "Cache-Control": "no-store",
}
_SANE_ID = re.compile(r"[\w.-]{8,64}", re.ASCII)
_DETAILS = {
    400: ("It can't be read: is there a NUL (%00) in its address, or a host that is not ours?", "bad-request"),
    404: ("There is nothing at this address: see /api/v1/openapi.json.", "not-found"),
    405: ("This address does not take this method: see Allow.", "method-not-allowed"),
}


def _around(
    before: Callable[[HttpRequest], None], after: Callable[[HttpRequest, HttpResponseBase], HttpResponseBase]
) -> Callable[[Answer], Answer]:
    """A middleware of two pure halves."""

    def middleware(get_response: Answer) -> Answer:
        def answer(request: HttpRequest) -> HttpResponseBase:
            before(request)
            return after(request, get_response(request))

        return answer

    return middleware


def _identify(request: HttpRequest) -> None:
    """The id that a proxy in front gave, when it looks like one; else a new one."""
    given = request.headers.get("X-Request-ID", "")
    request.request_id = given if _SANE_ID.fullmatch(given) else uuid.uuid4().hex  # type: ignore[attr-defined]
    if request.path in PROBES:
        # Load balancers and Prometheus ask by address, which ALLOWED_HOSTS does not name. No probe uses the host.
        named = [host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"]
        request.META["HTTP_HOST"] = named[0] if named else "localhost"


def _dress(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["X-Request-ID"] = request.request_id  # type: ignore[attr-defined]
    return response


def _explain(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Errors that Django and not the API made: an unknown path, a wrong method, a crash before the API was reached."""
    failed = response.status_code >= 400 and response.headers.get("Content-Type") != CONTENT_TYPE
    if not failed or not request.path.startswith("/api/"):
        return response
    if response.status_code >= 500:
        return internal(request).response()
    phrase = HTTPStatus(response.status_code).phrase
    detail, code = _DETAILS.get(response.status_code, (f"{phrase}.", ""))
    headers = {name: value for name, value in response.headers.items() if name in {"Allow", "Retry-After"}}
    return Problem(response.status_code, detail, code=code, headers=headers).response()


def readable(get_response: Answer) -> Answer:
    """Refuses an address with a NUL in it (400), before any name out of it reaches PostgreSQL, which has none."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if "\x00" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            raise BadRequest("A NUL (%00) in the address: take it out.")
        return get_response(request)

    return middleware


frame = _around(_identify, _dress)
api_errors = _around(lambda request: None, _explain)

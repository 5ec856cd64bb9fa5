"""What every answer of the JSON API has in common: remembered figures, reasons, and errors as problem+json.

Errors (RFC 9457): `type title status detail`, `errors` by field where a request is invalid, and members of their own
(a conflict names the `operation` in its way). An app raises `Problem`, or `not_found` for a name nobody knows.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from http import HTTPStatus
from typing import Annotated, Any, NoReturn

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, HttpError, ValidationError
from ninja.renderers import JSONRenderer
from ninja.responses import NinjaJSONEncoder
from pydantic import AfterValidator, ConfigDict

from console.lib.status import Status
from console.lib.words import listed, storable

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
REASON_LIMIT = 1000


class Remembered(Schema):
    """The base of everything that was seen earlier and is told now.

    `reason` is one sentence. `as_of` is when the reading behind the figures was begun, `age_s` how long ago that is
    now (seconds); both None when nothing was ever read. Past the source's limit `status` is `unknown`.
    """

    status: Status
    reason: str
    as_of: datetime | None
    age_s: float | None


def _said(text: str) -> str:
    text = storable(text)
    if not text:
        raise ValueError("Say why: a reason is required and may not be blank.")
    if len(text) > REASON_LIMIT:
        raise ValueError(f"At most {REASON_LIMIT} characters.")
    return text


Reason = Annotated[str, AfterValidator(_said)]
"""Why somebody wants a change: required, not blank, kept for ever."""


class Change(Schema):
    """The base of every request that changes something: takes a reason, and no field that it doesn't know."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


class Problem(Exception):
    """An error for the caller. `code` is stable (part of `type`), `detail` one sentence that names the remedy.

    `errors` is `{field: [sentence, …]}`; further keyword arguments become members of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str = "",
        errors: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.code = code or HTTPStatus(status).phrase.lower().replace(" ", "-")
        self.errors = errors
        self.headers = dict(headers or {})
        self.members = members

    def response(self) -> HttpResponse:
        body: dict[str, Any] = {
            "type": f"urn:quarterdeck:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        content = json.dumps(body | self.members, cls=Encoder, allow_nan=False)
        return HttpResponse(content, status=self.status, content_type=CONTENT_TYPE, headers=self.headers)


def not_found(kind: str, name: str, known: Iterable[str]) -> NoReturn:
    """404 for a name that nobody declared, naming the nearest: `not_found("fleet", "cpuu", queues)`."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        hint = f"Did you mean {near[0]}?"
    else:
        hint = f"There is {listed(names, limit=6)}." if names else f"No {kind} is known yet."
    raise Problem(404, f"No {kind} is called {name[:100]}. {hint}", code="not-found")


def moment(at: datetime) -> str:
    """In UTC with a Z, to the millisecond, whatever zone it came in. A time without a zone is a bug and fails."""
    if at.tzinfo is None:
        raise TypeError(f"a time without a zone can't be told: {at!r}")
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Encoder(NinjaJSONEncoder):
    """Times as `moment` tells them."""

    def default(self, o: Any) -> Any:
        return moment(o) if isinstance(o, datetime) else super().default(o)


class Renderer(JSONRenderer):
    encoder_class = Encoder
    json_dumps_params = {"allow_nan": False, "ensure_ascii": False, "separators": (",", ":")}

    @classmethod
    def response(cls, body: Mapping[str, Any]) -> HttpResponse:
        """An answer that is written already, as the API writes them all, but not checked against its schema."""
        content = json.dumps(body, cls=cls.encoder_class, **cls.json_dumps_params)
        return HttpResponse(content, content_type="application/json; charset=utf-8")


def _field(location: tuple[Any, ...]) -> str:
    """`reason` of `("body", "payload", "reason")`, `range` of `("query", "range")`."""
    source, *path = location
    if source == "body":
        path = path[1:] or ["body"]  # the first is the view's own name for the body
    return ".".join(str(part) for part in path) or str(source)


def by_field(errors: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Pydantic's errors as sentences by field."""
    found: dict[str, list[str]] = {}
    for error in errors:
        message = str(error["msg"]).removeprefix("Value error, ")
        if error.get("type") == "extra_forbidden":
            message = "This field is not known here."
        elif error.get("type") == "missing":
            message = "This field is required."
        found.setdefault(_field(tuple(error["loc"])), []).append(message)
    return found


def request_id(request: HttpRequest) -> str:
    """The id that the log, the audit and the caller know this request by; "" outside of one."""
    return str(getattr(request, "request_id", ""))


def internal(request: HttpRequest) -> Problem:
    """500 without a word of the cause: that is in the log, under the request's id."""
    detail = f"The console itself failed. Its log has the cause, under request {request_id(request) or '(no id)'}."
    return Problem(500, detail, code="internal", request_id=request_id(request))


def install(api: NinjaAPI) -> None:
    """Let `api` answer every error as problem+json."""

    def problem(request: HttpRequest, error: Any) -> HttpResponse:
        return as_problem(request, error).response()

    kinds = (
        Exception,
        Problem,
        ValidationError,
        HttpError,
        Http404,
        PermissionDenied,
        OperationalError,
        InterfaceError,
    )
    for kind in kinds:
        api.add_exception_handler(kind, problem)


def as_problem(request: HttpRequest, error: Exception) -> Problem:
    """How each kind of exception is told to the caller. What is nobody's fault but ours is logged in full."""
    match error:
        case Problem():
            return error
        case ValidationError():
            return Problem(422, "The request is not valid: see errors.", code="invalid", errors=by_field(error.errors))
        case AuthenticationError():
            return Problem(401, "Sign in, or send a token.", code="unauthenticated")
        case HttpError():
            return Problem(error.status_code, str(error))
        case Http404():
            return Problem(404, str(error) or "There is nothing here.", code="not-found")
        case PermissionDenied():
            return Problem(403, str(error) or "You may not do this.", code="forbidden")
        case RequestDataTooBig():
            return Problem(
                413, f"The body is larger than {settings.DATA_UPLOAD_MAX_MEMORY_SIZE:,} bytes.", code="large"
            )
        case SuspiciousOperation():
            return Problem(400, "The request is not one that this console understands.", code="invalid")
        case OperationalError() | InterfaceError():
            log.error("the database failed during %s: %s", request.path, error)
            return Problem(
                503, "The console's database is out of reach. Try again.", code="blind", headers={"Retry-After": "2"}
            )
        case _:
            log.error("%s %s failed [%s]", request.method, request.path, request_id(request), exc_info=error)
            return internal(request)

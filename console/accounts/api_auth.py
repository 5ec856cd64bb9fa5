"""Who may call the JSON API: a bearer token, or the browser's session (with its CSRF token for what changes things).

@router.get("", response=FleetsOut)                 # every call needs a reader, by the API's default
@router.post("/{queue}/drain", auth=operator, …)    # and request.auth is the Actor
"""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja.security.base import AuthBase
from ninja.utils import check_csrf

from console.accounts import audit, tokens
from console.accounts.actor import Actor, session_actor, token_actor
from console.accounts.models import User
from console.accounts.roles import Role, needs
from console.lib.api import Problem

CHALLENGE = 'Bearer realm="quarterdeck"'
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


def identify(request: HttpRequest) -> Actor:
    """Who calls. Raises Problem 401, or 403 for a session without its CSRF token.

    A token that was sent decides alone: a wrong one is never made good by a session beside it.
    """
    header = request.headers.get("Authorization")
    if header is not None:
        scheme, _, text = header.partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise _unauthenticated("Send the token as: Authorization: Bearer TOKEN.", 'error="invalid_request"')
        now = timezone.now()
        token = tokens.find(text.strip(), now)
        if token is None:
            raise _unauthenticated("This token is not valid: unknown, expired or revoked.", 'error="invalid_token"')
        tokens.note_use(token, now)
        return token_actor(request, token)
    if not isinstance(request.user, User):
        raise _unauthenticated("Send a token (Authorization: Bearer TOKEN), or sign in.")
    if request.method not in SAFE and check_csrf(request) is not None:
        raise Problem(403, "The CSRF token is missing or wrong: reload the page.", code="csrf")
    return session_actor(request, request.user)


def _unauthenticated(detail: str, why: str = "") -> Problem:
    challenge = f"{CHALLENGE}, {why}" if why else CHALLENGE
    return Problem(401, detail, code="unauthenticated", headers={"WWW-Authenticate": challenge})


class RoleAuth(AuthBase):
    """Lets in who holds the role; `request.auth` becomes the Actor."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, role: Role) -> None:
        self.role = role
        super().__init__()

    def __call__(self, request: HttpRequest) -> Actor:
        actor = identify(request)
        if not actor.can(self.role):
            if request.method not in SAFE:
                audit.denied(actor, request, self.role)
            raise Problem(403, f"{needs(self.role)} {actor.name} is {actor.role} here.", code="forbidden")
        return actor


reader = RoleAuth(Role.VIEWER)
operator = RoleAuth(Role.OPERATOR)
admin = RoleAuth(Role.ADMIN)

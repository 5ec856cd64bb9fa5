"""Who asks: the same answer for a page, an API call, a command and the console itself."""

from __future__ import annotations

import getpass
from dataclasses import dataclass

from django.http import HttpRequest

from console.accounts.models import ApiToken, User
from console.accounts.roles import Role


@dataclass(frozen=True)
class Actor:
    """Somebody who asks for something, by which proof (`via`), and what they may do at this moment."""

    name: str
    user_id: int | None
    role: Role
    via: str  # session, "token NAME", command, console
    ip: str = ""
    request_id: str = ""

    def can(self, role: Role | str) -> bool:
        return self.role.covers(Role(role))


CONSOLE = Actor("quarterdeck", None, Role.OPERATOR, "console")
"""The console itself: autoscaling, an automatic failover, an override that ends."""


def client_ip(request: HttpRequest) -> str:
    """The client's address; behind a proxy that uvicorn trusts (FORWARDED_ALLOW_IPS) the one it names."""
    return str(request.META.get("REMOTE_ADDR") or "")[:45]


def actor_of(request: HttpRequest) -> Actor:
    """Who is behind a request that was let in. Raises LookupError for an anonymous one."""
    found = getattr(request, "auth", None)
    if isinstance(found, Actor):
        return found
    if not isinstance(request.user, User):
        raise LookupError("nobody is signed in")
    return session_actor(request, request.user)


def session_actor(request: HttpRequest, user: User) -> Actor:
    return Actor(user.username, user.pk, Role(user.role), "session", client_ip(request), _request_id(request))


def token_actor(request: HttpRequest, token: ApiToken) -> Actor:
    return Actor(
        token.user.username,
        token.user_id,
        token.effective_role,
        f"token {token.name}",
        client_ip(request),
        _request_id(request),
    )


def _request_id(request: HttpRequest) -> str:
    return str(getattr(request, "request_id", ""))


def command_actor() -> Actor:
    """Who runs a management command: the machine's own account. Whoever can run one holds the database anyway."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "unknown"
    return Actor(f"{name} (command line)", None, Role.ADMIN, "command")

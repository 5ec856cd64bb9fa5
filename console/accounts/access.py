"""`@require_role("operator")`: who may open a page or send its form."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from console.accounts import audit
from console.accounts.actor import actor_of
from console.accounts.api_auth import SAFE
from console.accounts.roles import Role, needs

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def require_role(role: Role | str) -> Callable[[View[P]], View[P]]:
    """Let only holders of the role (or a stronger one) in; the others get a 403 page that names it.

    A refused change is audited. Anonymous requests never get here: LoginRequiredMiddleware sends them to sign in.
    """
    wanted = Role(role)

    def decorate(view: View[P]) -> View[P]:
        @wraps(view)
        def guarded(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            actor = actor_of(request)
            if actor.can(wanted):
                return view(request, *args, **kwargs)
            if request.method not in SAFE:
                audit.denied(actor, request, wanted)
            return refuse(request, wanted, actor.role)

        return guarded

    return decorate


def refuse(request: HttpRequest, wanted: Role, has: Role) -> HttpResponse:
    """The 403 page: which role it takes, which one you have, and who can change that."""
    context = {"needs": needs(wanted), "wanted": wanted, "has": has}
    return render(request, "accounts/denied.html", context, status=403)

"""GET /api/v1/me: who the caller is."""

from __future__ import annotations

from django.http import HttpRequest
from ninja import Router, Schema

from console.accounts.actor import Actor, actor_of
from console.accounts.roles import Role

router = Router(tags=["accounts"])


class Me(Schema):
    """Who the console takes the caller for. `via`: `session` or `token NAME`."""

    name: str
    role: Role
    via: str


@router.get("", response=Me, summary="Who am I, and what may I do")
def me(request: HttpRequest) -> Actor:
    return actor_of(request)

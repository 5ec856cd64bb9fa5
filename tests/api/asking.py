"""How tests ask the API: users and tokens of each role."""

from __future__ import annotations

from django.utils import timezone

from console.accounts import tokens
from console.accounts.models import User
from console.accounts.roles import Role


def user_of(role: Role) -> User:
    """The user of this role, called like it; made when there is none."""
    return User.objects.filter(username=role.value).first() or User.objects.create_user(role.value, role=role)


def token_for(role: Role) -> str:
    """The text of a fresh token for a user of this role."""
    return tokens.mint(user_of(role), role, "tests", timezone.now(), None)[1]


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}

"""API tokens: `qd_PREFIX_SECRET`. The prefix finds the row, the SHA-256 of the whole proves it.

A fast hash is right here, unlike for passwords: the secret holds 256 random bits, so there is nothing to guess, and an
API call should not cost the 50 ms that a password hash takes by design.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from datetime import datetime, timedelta

from django.db.models import Q

from console.accounts.models import ApiToken, User
from console.accounts.roles import Role

DEFAULT_LIFE = timedelta(days=90)
USED_EVERY = timedelta(minutes=1)
_SHAPE = re.compile(r"qd_([0-9a-f]{8})_[\w-]{43}", re.ASCII)
_NOTHING = "0" * 64


def digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def mint(user: User, role: Role, name: str, now: datetime, expires_at: datetime | None) -> tuple[ApiToken, str]:
    """A new token and its text, which is kept nowhere. Raises ValueError when the role is more than the user's."""
    if not user.can(role):
        raise ValueError(f"{user.username} is {user.role} and can't hold a token for {role}.")
    prefix = secrets.token_hex(4)
    text = f"qd_{prefix}_{secrets.token_urlsafe(32)}"
    row = ApiToken.objects.create(
        user=user,
        name=name or "unnamed",
        role=role.value,
        prefix=prefix,
        digest=digest(text),
        created_at=now,
        expires_at=expires_at,
    )
    return row, text


def find(text: str, now: datetime) -> ApiToken | None:
    """The usable token of this text, with its user, or None. One query; compared in constant time."""
    shape = _SHAPE.fullmatch(text)
    prefix = shape[1] if shape else ""
    row = ApiToken.objects.usable(now).select_related("user").filter(prefix=prefix).first()
    matches = hmac.compare_digest(row.digest if row else _NOTHING, digest(text))
    return row if row and matches else None


def note_use(token: ApiToken, now: datetime) -> None:
    """Remember that it was used: at most one write a minute, however busy it is."""
    before = now - USED_EVERY
    if token.last_used_at is None or token.last_used_at <= before:
        stale = Q(last_used_at=None) | Q(last_used_at__lte=before)
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)

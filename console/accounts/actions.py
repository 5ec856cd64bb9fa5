"""What is done to accounts: each change and its audit row in one transaction."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from console.accounts import audit, tokens
from console.accounts.actor import Actor
from console.accounts.models import ApiToken, User
from console.accounts.roles import Role


class LastAdmin(Exception):
    """The change would leave nobody who can manage accounts."""

    def __init__(self) -> None:
        super().__init__("This is the last active admin: make somebody else an admin first.")


def create_user(by: Actor, username: str, role: Role, password: str | None, *, reason: str = "") -> User:
    user = User(username=User.normalize_username(username), role=role.value)
    user.set_password(password)
    save_new_user(by, user, reason=reason)
    return user


def save_new_user(by: Actor, user: User, *, reason: str = "") -> None:
    """Save a user that a form made, its password already set."""
    with transaction.atomic():
        user.save()
        audit.record(by, "user.created", user.username, reason=reason, details={"role": user.role})


def save_user(by: Actor, user: User, *, reason: str = "") -> None:
    """Save a changed user; what became of role, activity and name is audited. Raises LastAdmin."""
    with transaction.atomic():
        # All admins, in one order: two that demote each other at once must not both succeed.
        admins = list(User.objects.select_for_update().filter(role=Role.ADMIN.value, is_active=True).order_by("pk"))
        before = User.objects.get(pk=user.pk)
        if admins == [before] and not user.can_administer:
            raise LastAdmin
        user.save()
        fields = {"username", "name", "role", "is_active"}
        changed = {
            field: [getattr(before, field), getattr(user, field)]
            for field in sorted(fields)
            if getattr(before, field) != getattr(user, field)
        }
        if "role" in changed:
            audit.record(by, "role.changed", user.username, reason=reason, details=changed)
        elif changed:
            audit.record(by, "user.changed", user.username, reason=reason, details=changed)


def set_password(by: Actor, user: User, password: str | None, *, reason: str = "") -> None:
    """A new password ends the user's sessions; None means that nobody can sign in as them."""
    with transaction.atomic():
        user.set_password(password)
        user.save(update_fields=["password"])
        audit.record(by, "password.changed", user.username, reason=reason)


def create_token(
    by: Actor, user: User, role: Role, name: str, now: datetime, expires_at: datetime | None
) -> tuple[ApiToken, str]:
    """A new token and its text, shown once. Raises ValueError when the role is more than the user's."""
    with transaction.atomic():
        token, text = tokens.mint(user, role, name, now, expires_at)
        details = {
            "id": token.pk,
            "name": token.name,
            "prefix": token.prefix,
            "role": role.value,
            "expires_at": expires_at,
        }
        audit.record(by, "token.created", user.username, details=details)
    return token, text


def revoke_token(by: Actor, token: ApiToken, now: datetime) -> bool:
    """End a token at once; False when it had ended before."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=now):
            return False
        details = {"id": token.pk, "name": token.name, "prefix": token.prefix}
        audit.record(by, "token.revoked", token.user.username, details=details)
    return True

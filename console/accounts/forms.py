"""Sign-in, and new API tokens."""

from __future__ import annotations

import math
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.utils import timezone

from console.accounts import audit, lockout
from console.accounts.actor import Actor, client_ip
from console.accounts.models import ROLES, User
from console.accounts.roles import Role
from console.lib.words import count

UNKNOWN = "(no such account)"


class SignInForm(AuthenticationForm):
    """Name and password. Counts the attempt first, audits a failed one; says the same whether the name exists."""

    error_messages = {
        "invalid_login": "Account and password don't match. Both are case-sensitive.",
        "inactive": "Account and password don't match. Both are case-sensitive.",
    }
    wait_s = 0.0

    def clean(self) -> dict[str, Any]:
        name = str(self.cleaned_data.get("username") or "")
        if not name or not self.cleaned_data.get("password"):
            return self.cleaned_data
        ip = client_ip(self.request) if self.request else ""
        attempt = lockout.count(name, ip, timezone.now())
        if attempt.wait_s > 0:
            self.wait_s = attempt.wait_s
            wait = count(math.ceil(attempt.wait_s / 60), "minute")
            raise ValidationError(f"Too many failed sign-ins. Try again in {wait}.", code="locked")
        try:
            cleaned: dict[str, Any] = super().clean()
        except ValidationError:
            self._failed(name, ip, locked=attempt.last)
            raise
        lockout.forgive(name, ip)
        return cleaned

    def _failed(self, name: str, ip: str, *, locked: bool) -> None:
        # A name nobody has may be a password in the wrong field: not kept.
        user = User.objects.filter(username=name).first()
        request_id = str(getattr(self.request, "request_id", ""))
        by = Actor(
            user.username if user else UNKNOWN, user.pk if user else None, Role.VIEWER, "sign-in", ip, request_id
        )
        audit.record(by, "sign-in.failed", by.name)
        if locked:
            audit.record(by, "sign-in.locked", by.name, details={"for_s": lockout.WINDOW_S})


class TokenForm(forms.Form):
    """A new token of one's own: never for more than one's own role."""

    LIVES = [("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), ("", "no end")]

    name = forms.CharField(max_length=100, label="Name", help_text="What uses it: a script, a dashboard, a machine.")
    role = forms.ChoiceField(choices=ROLES)
    life = forms.ChoiceField(choices=LIVES, initial="90", required=False, label="Expires after")

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        choices = [choice for choice in ROLES if user.can(choice[0])]
        self.fields["role"] = forms.ChoiceField(choices=choices, initial=Role.VIEWER.value, label="Role")

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        # Sending the form again (a reload of the page that showed the token) must not make a second one.
        if self.user.tokens.usable(timezone.now()).filter(name=name).exists():
            raise ValidationError("You have an active token of this name already. Revoke it first, or choose another.")
        return name

    @property
    def expires_in(self) -> timedelta | None:
        days = self.cleaned_data["life"]
        return timedelta(days=int(days)) if days else None

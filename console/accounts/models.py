"""Who may do what, what proves it, and what was done: users, API tokens, failed sign-ins, the audit's rows."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.validators import UnicodeUsernameValidator
from django.db import models
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower

from console.accounts.chain import Link
from console.accounts.roles import MEANING, Role, lesser
from console.lib.kept import kept

ROLES = [(role.value, f"{role}: {MEANING[role]}") for role in Role]


class UserManager(BaseUserManager["User"]):
    def create_user(self, username: str, password: str | None = None, *, role: Role | str = Role.VIEWER) -> User:
        """A new user; without a password nobody can sign in as them (tokens still work)."""
        user = User(username=User.normalize_username(username), role=Role(role).value)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None) -> User:
        """For `manage.py createsuperuser`: an admin."""
        return self.create_user(username, password, role=Role.ADMIN)

    def get(self, *args: Any, **kwargs: Any) -> User:
        """Django's. By the key alone, as its sign-in asks on every page for who that is, by a kept queryset."""
        if args or kwargs.keys() != {"pk"} or kwargs["pk"] is None:
            return super().get(*args, **kwargs)
        found = _by_key.first(kwargs["pk"])
        if found is None:
            raise User.DoesNotExist("There is no user of this number.")
        return found


@kept
def _by_key(pk: int) -> QuerySet[User]:
    return User.objects.filter(pk=pk).order_by()


class User(AbstractBaseUser):
    """A person or a machine. The role is the only authority: no groups, no permissions, no superuser flag."""

    username = models.CharField(
        max_length=150,
        unique=True,
        validators=[UnicodeUsernameValidator()],
        error_messages={"unique": "There is a user of this name already."},
    )
    name = models.CharField("full name", max_length=150, blank=True, default="")
    role = models.CharField(max_length=10, choices=ROLES, default=Role.VIEWER.value)
    is_active = models.BooleanField(
        "active", default=True, help_text="Switch off instead of deleting: sessions and tokens end at once."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "username"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [
            models.UniqueConstraint(
                Lower("username"),
                name="one_user_per_name",
                violation_error_message="There is a user of this name already.",
            )
        ]
        ordering = ["username"]

    def get_full_name(self) -> str:
        return self.name

    def get_short_name(self) -> str:
        return self.name or self.username

    def can(self, role: Role | str) -> bool:
        """May this user do what `role` may? In templates: `user.can_operate`, `user.can_administer`."""
        return self.is_active and Role(self.role).covers(Role(role))

    @property
    def can_operate(self) -> bool:
        return self.can(Role.OPERATOR)

    @property
    def can_administer(self) -> bool:
        return self.can(Role.ADMIN)

    # What Django's admin asks.
    @property
    def is_staff(self) -> bool:
        return self.can_administer

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.can_administer

    def has_module_perms(self, app_label: str) -> bool:
        return self.can_administer


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def usable(self, now: datetime) -> ApiTokenQuerySet:
        """Neither revoked nor expired, and of an active user."""
        lasting = Q(expires_at=None) | Q(expires_at__gt=now)
        return self.filter(lasting, revoked_at=None, user__is_active=True)


class ApiToken(models.Model):
    """One API token: only its hash is kept (`console.accounts.tokens`)."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="tokens")
    name = models.CharField(max_length=100)
    role = models.CharField(max_length=10, choices=ROLES)
    prefix = models.CharField(max_length=8, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)  # to the minute
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = ApiTokenQuerySet.as_manager()

    class Meta:
        verbose_name = "API token"
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def effective_role(self) -> Role:
        """What it may do now: never more than its user."""
        return lesser(Role(self.role), Role(self.user.role))

    def state(self, now: datetime) -> str:
        """`active`, `expired`, `revoked` or `suspended` (its user is switched off)."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and self.expires_at <= now:
            return "expired"
        return "active" if self.user.is_active else "suspended"


class SignInWindow(models.Model):
    """Failed sign-ins of one name from one address, or of one address altogether (`console.accounts.lockout`)."""

    key = models.CharField(max_length=64, primary_key=True)  # SHA-256: what was typed as a name may be a password
    attempts = models.PositiveIntegerField(default=0)
    began_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.key[:12]

    def ends_at(self, window_s: float) -> datetime:
        return self.began_at + timedelta(seconds=window_s)


class AuditEntry(models.Model):
    """One line of the audit. The database refuses UPDATE, DELETE and TRUNCATE (migration 0003).

    `details` is canonical JSON as text and not jsonb, which would reformat numbers and so break the hash.
    """

    seq = models.BigIntegerField(primary_key=True)  # 1, 2, 3, …: a gap is a missing row
    at = models.DateTimeField(db_index=True)
    actor = models.CharField(max_length=200, db_index=True)
    actor_id = models.BigIntegerField(null=True)  # no foreign key: a user's end must not touch the audit
    via = models.CharField(max_length=120)  # session, token NAME, command, console
    action = models.CharField(max_length=60, db_index=True)
    target = models.CharField(max_length=200, db_index=True)
    reason = models.TextField()
    details = models.TextField()
    ip = models.CharField(max_length=45)
    request_id = models.CharField(max_length=64)
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        verbose_name_plural = "audit entries"
        ordering = ["-seq"]

    def __str__(self) -> str:
        return f"{self.seq} {self.action} {self.target}"

    def link(self) -> Link:
        """This row as a link of the chain."""
        return Link(
            seq=self.seq,
            at=self.at,
            actor=self.actor,
            actor_id=self.actor_id,
            via=self.via,
            action=self.action,
            target=self.target,
            reason=self.reason,
            details=self.details,
            ip=self.ip,
            request_id=self.request_id,
            previous=self.previous,
            hash=self.hash,
        )

    @property
    def detail(self) -> dict[str, Any]:
        return dict(json.loads(self.details))


class AuditHead(models.Model):
    """The last link of the chain, kept apart: shows when rows were cut off the end. One row, id 1."""

    seq = models.BigIntegerField()
    hash = models.CharField(max_length=64)

    def __str__(self) -> str:
        return f"{self.seq} {self.hash}"

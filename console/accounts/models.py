"""Who may do what."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.db import models


class Role(models.TextChoices):
    """Each role holds the ones before it."""

    VIEWER = "viewer", "viewer: reads"
    OPERATOR = "operator", "operator: changes the platform"
    ADMIN = "admin", "admin: manages users, tokens and declared configuration"


class User(AbstractUser):
    """A person or a machine that signs in."""

    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

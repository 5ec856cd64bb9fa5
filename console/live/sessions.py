"""Which sessions still belong to somebody who is signed in: two queries, however many."""

from __future__ import annotations

from collections.abc import Collection

from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db import connections
from django.utils import timezone
from django.utils.crypto import constant_time_compare


def living(keys: Collection[str]) -> set[str]:
    """Of some session keys those that are not expired, not signed out, and whose user is active with that password."""
    sessions = {
        row.session_key: row.get_decoded()
        for row in Session.objects.filter(session_key__in=keys, expire_date__gt=timezone.now())
    }
    sessions = {key: data for key, data in sessions.items() if SESSION_KEY in data and BACKEND_SESSION_KEY in data}
    users = get_user_model()._default_manager.in_bulk({int(data[SESSION_KEY]) for data in sessions.values()})
    return {
        key
        for key, data in sessions.items()
        if (user := users.get(int(data[SESSION_KEY]))) and user.is_active and _same_password(user, data)
    }


def living_apart(keys: Collection[str]) -> set[str]:
    """`living` for a thread outside of any request: its connection is given back."""
    try:
        return living(keys)
    finally:
        connections.close_all()


def _same_password(user: AbstractBaseUser, data: dict[str, object]) -> bool:
    given = str(data.get(HASH_SESSION_KEY, ""))
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return any(constant_time_compare(given, known) for known in hashes)

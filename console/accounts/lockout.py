"""Failed sign-ins are counted, and bounded: by name and address, and by address.

Counted *before* the password is looked at, so that attempts sent at once can't outrun the count. By name *and* address,
so that nobody can lock a colleague out from elsewhere. The same for names that exist and names that don't, so that it
tells nothing about who has an account. The names are stored hashed: people type passwords into the wrong field.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import F

from console.accounts.models import SignInWindow

WINDOW_S = 15 * 60.0
PER_NAME = 5
PER_ADDRESS = 50

_COUNT = """
INSERT INTO accounts_signinwindow AS w (key, attempts, began_at) VALUES (%(key)s, 1, %(now)s)
ON CONFLICT (key) DO UPDATE SET
  attempts = CASE WHEN w.began_at <= %(before)s OR w.began_at > %(now)s THEN 1 ELSE w.attempts + 1 END,
  began_at = CASE WHEN w.began_at <= %(before)s OR w.began_at > %(now)s THEN %(now)s ELSE w.began_at END
RETURNING attempts, began_at
"""


@dataclass(frozen=True)
class Attempt:
    """One attempt, counted. `wait_s` > 0: it is refused, and for that long; `last`: one more will be refused."""

    wait_s: float
    last: bool


def _keys(name: str, ip: str) -> tuple[tuple[str, int], ...]:
    def key(*parts: str) -> str:
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()

    return (key("name", name.casefold(), ip), PER_NAME), (key("address", ip), PER_ADDRESS)


def count(name: str, ip: str, now: datetime) -> Attempt:
    """Count an attempt to sign in, before its password is checked."""
    before = now - timedelta(seconds=WINDOW_S)
    SignInWindow.objects.filter(began_at__lte=before).delete()
    wait_s, last = 0.0, False
    with connection.cursor() as cursor:
        for key, limit in _keys(name, ip):
            cursor.execute(_COUNT, {"key": key, "now": now, "before": before})
            attempts, began_at = cursor.fetchone()
            if attempts > limit:
                wait_s = max(wait_s, (began_at - before).total_seconds())
            last = last or attempts == limit
    return Attempt(wait_s, last)


def forgive(name: str, ip: str) -> None:
    """The attempt succeeded: the name is free again; its address keeps what others failed."""
    (by_name, _), (by_address, _) = _keys(name, ip)
    SignInWindow.objects.filter(pk=by_name).delete()
    SignInWindow.objects.filter(pk=by_address, attempts__gt=0).update(attempts=F("attempts") - 1)

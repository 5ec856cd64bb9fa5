"""Sessions in the database, as Django's own keeps them; found by a kept queryset, because every page asks for one."""

from __future__ import annotations

from datetime import datetime

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from console.lib.kept import kept


@kept
def _living(key: str, now: datetime) -> QuerySet[Session]:
    return Session.objects.filter(session_key=key, expire_date__gt=now)


class SessionStore(db.SessionStore):
    """Its name is part of what a session is signed with: under another one everybody would be signed out."""

    def _get_session_from_db(self) -> Session | None:
        key = self.session_key
        found = _living.first(key, timezone.now()) if key else None
        if found is None:
            self._session_key = None
        return found

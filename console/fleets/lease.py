"""Which watcher acts: a lease in PostgreSQL, by compare-and-set, on the database's clock.

Each holder has a fence, higher than that of any holder before it. Every write of a holder is one transaction that
begins by renewing: that locks the row, and is refused once anybody else has taken over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import connection

from console.fleets.models import Watch

TTL_S = 3.0
"""A holder that was killed is followed after at most this long, and the time to notice it."""

_ACQUIRE = """
UPDATE fleets_watch SET holder = %s, fence = fence + 1, acquired_at = clock_timestamp(),
    expires_at = clock_timestamp() + %s * interval '1 second', events = 0, missed = 0, gaps = 0, nodes = 0,
    listening_since = NULL, lag_s = NULL, write_s = NULL, noted_at = NULL
WHERE id = 1 AND (expires_at IS NULL OR expires_at <= clock_timestamp()
                  OR expires_at > clock_timestamp() + %s * interval '10 second')
RETURNING fence
"""
# A holder whose lease has just run out, and whom nobody has followed, may go on: the fence is still its own.
_RENEW = """
UPDATE fleets_watch SET expires_at = clock_timestamp() + %s * interval '1 second', noted_at = clock_timestamp(){notes}
WHERE id = 1 AND fence = %s AND holder = %s
"""
_RELEASE = "UPDATE fleets_watch SET expires_at = clock_timestamp() WHERE id = 1 AND fence = %s AND holder = %s"
NOTES = ("listening_since", "lag_s", "events", "missed", "gaps", "nodes", "write_s")


class Lease:
    """One process' part in it. `fence` is None while another one acts."""

    def __init__(self, holder: str, ttl_s: float = TTL_S) -> None:
        self.holder = holder[:200]
        self.ttl_s = ttl_s
        self.fence: int | None = None

    def acquire(self) -> bool:
        """Take it when it is free or has run out (or ends in an impossible future: a clock was set back)."""
        Watch.objects.bulk_create([Watch(id=1)], ignore_conflicts=True)
        with connection.cursor() as cursor:
            cursor.execute(_ACQUIRE, [self.holder, self.ttl_s, self.ttl_s])
            row = cursor.fetchone()
        self.fence = row[0] if row else None
        return row is not None

    def renew(self, notes: Mapping[str, Any]) -> bool:
        """Go on for another `ttl_s`, and note how the work goes (`NOTES`). False: somebody else acts."""
        names = [name for name in NOTES if name in notes]
        with connection.cursor() as cursor:
            statement = _RENEW.format(notes="".join(f", {name} = %s" for name in names))
            cursor.execute(statement, [self.ttl_s, *(notes[name] for name in names), self.fence, self.holder])
            held = bool(cursor.rowcount == 1)
        if not held:
            self.fence = None
        return held

    def release(self) -> None:
        """Let another one act at once."""
        if self.fence is not None:
            with connection.cursor() as cursor:
                cursor.execute(_RELEASE, [self.fence, self.holder])
            self.fence = None

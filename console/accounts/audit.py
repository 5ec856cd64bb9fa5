"""The audit's pen: `record` appends one row, chained to the one before it, in the caller's transaction.

Call it last in a short transaction: from then to the commit every other writer of the audit waits, which is what gives
the chain one order.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from django.db import connection, transaction
from django.http import HttpRequest

from console.accounts.actor import Actor
from console.accounts.chain import GENESIS, Head, Link, sealed
from console.accounts.models import AuditEntry, AuditHead
from console.accounts.roles import Role

log = logging.getLogger(__name__)

LOCK = 0x51_44_41_55  # "QDAU": the advisory lock of the audit's writers


def record(
    actor: Actor,
    action: str,
    target: str = "",
    *,
    reason: str = "",
    details: Mapping[str, Any] | None = None,
) -> AuditEntry:
    """Append a row. `action` is `noun.verb` ("token.created"); `details` must hold no secret."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        cursor.execute("SELECT clock_timestamp()")  # on one clock, and only once it is our turn: rows are in order
        at = cursor.fetchone()[0]
        head = read_head() or Head(0, GENESIS)
        link = sealed(
            Link(
                seq=head.seq + 1,
                at=at,
                actor=_text(actor.name, 200),
                actor_id=actor.user_id,
                via=_text(actor.via, 120),
                action=_text(action, 60),
                target=_text(target, 200),
                reason=_text(reason, 5000),
                details=json.dumps(details or {}, sort_keys=True, separators=(",", ":"), default=str),
                ip=_text(actor.ip, 45),
                request_id=_text(actor.request_id, 64),
                previous=head.hash,
            )
        )
        entry = AuditEntry(**vars(link))
        entry.save(force_insert=True)
        AuditHead.objects.update_or_create(pk=1, defaults={"seq": link.seq, "hash": link.hash})
    # Wherever the logs are collected, this is a witness that a rewritten chain can't change.
    transaction.on_commit(
        lambda: log.info("audit %d %s %r by %r hash %s", link.seq, link.action, link.target, link.actor, link.hash)
    )
    return entry


def denied(actor: Actor, request: HttpRequest, role: Role) -> None:
    """Somebody tried to change what their role doesn't allow."""
    details = {"method": request.method, "needs": role.value, "has": actor.role.value}
    record(actor, "access.denied", request.path, details=details)


def read_head() -> Head | None:
    row = AuditHead.objects.filter(pk=1).first()
    return Head(row.seq, row.hash) if row else None


def _text(value: str, limit: int) -> str:
    """PostgreSQL takes no NUL and no lone surrogate."""
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:limit]

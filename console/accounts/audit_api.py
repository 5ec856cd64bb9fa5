"""GET /api/v1/audit: for operators and admins, newest first, by pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Query, Router, Schema

from console.accounts.api_auth import operator
from console.accounts.audit_log import PAGE, read
from console.lib.api import Problem

router = Router(tags=["audit"])


class AuditEntryOut(Schema):
    """One row. `hash` covers it and `previous`: `manage.py audit verify` checks the chain."""

    seq: int
    at: datetime
    actor: str
    via: str
    action: str
    target: str
    reason: str
    detail: dict[str, Any]
    ip: str
    request_id: str
    previous: str
    hash: str


class AuditOut(Schema):
    """`next_before`: send it as `before` for the next page; None on the last."""

    entries: list[AuditEntryOut]
    next_before: int | None


class AuditIn(Schema):
    """Parts of names, the beginning of an action, times in ISO 8601 (UTC where no zone is given)."""

    who: str = ""
    action: str = ""
    target: str = ""
    since: str = ""
    until: str = ""
    before: str = ""


@router.get("", response=AuditOut, auth=operator, summary="What was done, by whom, and why")
def audit(request: HttpRequest, query: Query[AuditIn]) -> dict[str, Any]:
    filters, errors = read(query.dict())
    if errors:
        by_field = {name: [text] for name, text in errors.items()}
        raise Problem(422, "The request is not valid: see errors.", code="invalid", errors=by_field)
    found = list(filters.rows()[: PAGE + 1])
    return {"entries": found[:PAGE], "next_before": found[PAGE - 1].seq if len(found) > PAGE else None}

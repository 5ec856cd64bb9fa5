"""GET /api/v1/pools, and GET, PUT, DELETE /api/v1/pools/NAME."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Status
from pydantic import StrictInt

from console.accounts.api_auth import operator
from console.lib.api import Change, Problem, Remembered, not_found
from console.operations.schemas import OperationOut, submitted
from console.platform.rules import Sight
from console.pools.edit_kind import Stale
from console.pools.pages import PoolRow, pool_rows

router = Router(tags=["pools"])


class PoolOut(Remembered):
    """One pool of Airflow, in slots as Airflow counts them; `slots` and `open` are -1 for a pool without a limit.

    `waiting` are slots that scheduled tasks wait for, `queued` hold theirs and wait for a worker. `revision` names the
    settings (slots, description, include_deferred). `declared` and `drift` are null while pools are not declared as
    code. All figures are null while Airflow's pools can't be seen.
    """

    name: str
    slots: int | None
    running: int | None
    queued: int | None
    deferred: int | None
    waiting: int | None
    open: int | None
    occupied: int | None
    description: str
    include_deferred: bool
    revision: str
    declared: None
    drift: None


class PoolEdit(Change):
    """New settings of a pool; what is left out stays. `revision` is the one you looked at, "" for a new pool.

    With `until` it is an override that reverts by itself at that time. `plan` is the id of a preflight you were shown.
    """

    slots: StrictInt
    description: str | None = None
    include_deferred: bool | None = None
    revision: str = ""
    until: datetime | None = None
    plan: str | None = None


class PoolRemoval(Change):
    """Never `default_pool`; one in use only with `override`."""

    revision: str
    override: bool = False
    plan: str | None = None


@router.get("", response=list[PoolOut], summary="Airflow's pools and who waits for them")
def pools(request: HttpRequest) -> list[PoolOut]:
    rows, sight = pool_rows(timezone.now())
    return [_out(row, sight) for row in rows]


@router.get("/{path:name}", response=PoolOut, summary="One pool")
def pool(request: HttpRequest, name: str) -> PoolOut:
    rows, sight = pool_rows(timezone.now())
    row = next((row for row in rows if row.name == name), None)
    if row is None:
        not_found("pool", name, [row.name for row in rows])
    return _out(row, sight)


@router.put("/{path:name}", response={202: OperationOut}, auth=operator, summary="Make or change a pool")
def put_pool(request: HttpRequest, name: str, body: PoolEdit) -> Status[dict[str, Any]]:
    sent = body.model_dump(exclude={"reason", "plan"}) | {"name": name, "action": "put"}
    return _submitted(request, sent, body.reason, body.plan)


@router.delete("/{path:name}", response={202: OperationOut}, auth=operator, summary="Remove a pool")
def delete_pool(request: HttpRequest, name: str, body: PoolRemoval) -> Status[dict[str, Any]]:
    sent = body.model_dump(exclude={"reason", "plan"}) | {"name": name, "action": "delete"}
    return _submitted(request, sent, body.reason, body.plan)


def _submitted(request: HttpRequest, sent: dict[str, Any], reason: str, plan: str | None) -> Status[dict[str, Any]]:
    try:
        return submitted(request, "pool", sent, reason=reason, plan=plan)
    except Stale as stale:
        row = stale.current
        current = row and {
            "revision": row.revision,
            "slots": row.slots,
            "description": row.description,
            "include_deferred": row.include_deferred,
        }
        raise Problem(409, str(stale), code="stale-revision", yours=stale.yours or None, current=current) from stale


def _out(row: PoolRow, sight: Sight) -> PoolOut:
    return PoolOut(
        status=row.verdict.status,
        reason=row.verdict.reason,
        as_of=sight.as_of,
        age_s=sight.age_s,
        name=row.name,
        slots=row.slots,
        running=row.running,
        queued=row.queued,
        deferred=row.deferred,
        waiting=row.waiting,
        open=row.open,
        occupied=row.occupied,
        description=row.description,
        include_deferred=row.include_deferred,
        revision=row.revision,
        declared=None,
        drift=None,
    )

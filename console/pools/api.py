"""GET /api/v1/pools and /api/v1/pools/NAME."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router

from console.lib.api import Remembered, not_found
from console.platform.rules import Sight
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

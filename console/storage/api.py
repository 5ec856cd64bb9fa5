"""GET /api/v1/storage and /api/v1/storage/ID; POST /api/v1/storage/ID/expire."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from ninja import Router, Schema, Status

from console.accounts.api_auth import operator
from console.lib.api import Change, Remembered, not_found
from console.operations.schemas import OperationOut, submitted
from console.storage.pages import Row, StoreView, storage_page, storage_summary

router = Router(tags=["storage"])


class StorageOut(Remembered):
    """Where tasks hand files to each other. Figures are null while it can't be seen; sizes are in bytes.

    `complete`: was all of it read? Else each count is "at least". `missed`: past their expiry, and no reader ever came.
    `late`: not fetched within what is declared. `past`: past their expiry; `left`: so long that housekeeping should
    have removed them.
    """

    id: str
    place: str
    remedy: str
    complete: bool | None
    files: int | None
    bytes: int | None
    newest_at: datetime | None
    newest_age_s: float | None
    newest_key: str | None
    handoffs: int | None
    waiting: int | None
    fetched: int | None
    late: int | None
    missed: int | None
    expired: int | None
    past: int | None
    past_bytes: int | None
    left: int | None
    left_bytes: int | None


class ShareOut(Schema):
    """What one DAG's hand-offs take (`kind` dag), what lies in a folder beside them (folder), or all others (rest)."""

    kind: str
    name: str
    files: int
    bytes: int
    handoffs: int
    missed: int
    newest_at: datetime | None


class HandoffOut(Schema):
    """`stage`: waiting, late, fetched, expired (fetched before), missed."""

    stage: str
    dag_id: str
    run_id: str
    task: str
    name: str
    bytes: int
    handed_at: datetime | None
    expires_at: datetime | None
    read_at: datetime | None


class StorageWhole(StorageOut):
    """With its largest shares, and the hand-offs that need a look first (at most 200)."""

    shares: list[ShareOut]
    listed: list[HandoffOut]


class Expire(Change):
    """`plan`: the id of the preflight that was shown, where one was."""

    plan: str | None = None


@router.get("", response=list[StorageOut], summary="The files that tasks hand to each other")
def storages(request: HttpRequest) -> list[StorageOut]:
    return [StorageOut(**_figures(row)) for row in storage_summary(timezone.now()).rows]


@router.get("/{id}", response=StorageWhole, summary="One storage, by DAG and by hand-off")
def storage(request: HttpRequest, id: str) -> StorageWhole:
    page = storage_page(timezone.now())
    store = next((store for store in page.stores if store.row.id == id), None)
    if store is None:
        not_found("storage", id, [each.row.id for each in page.stores])
    return _whole(store)


@router.post("/{id}/expire", response={202: OperationOut}, auth=operator, summary="Remove expired hand-offs")
def expire(request: HttpRequest, id: str, body: Expire) -> Status[dict[str, Any]]:
    return submitted(request, "expire", {"storage": id}, reason=body.reason, plan=body.plan)


def _whole(store: StoreView) -> StorageWhole:
    shares = [ShareOut(**{name: getattr(share, name) for name in ShareOut.model_fields}) for share in store.shares]
    listed = [HandoffOut(**{name: getattr(each, name) for name in HandoffOut.model_fields}) for each in store.handoffs]
    return StorageWhole(**_figures(store.row), shares=shares, listed=listed)


def _figures(row: Row) -> dict[str, Any]:
    told = ("status", "reason", "remedy", "as_of", "age_s", "newest_key")
    figures = {name: getattr(row, name) for name in StorageOut.model_fields if name not in told}
    return figures | {
        "status": row.verdict.status,
        "reason": row.verdict.reason,
        "remedy": row.verdict.remedy,
        "as_of": row.sight.as_of,
        "age_s": row.sight.age_s,
        "newest_key": row.newest_key or None,
    }

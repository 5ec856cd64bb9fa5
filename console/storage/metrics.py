"""The storages' figures for Prometheus: three queries, and labels that are bounded however many DAGs hand over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from prometheus_client.metrics_core import Metric

from console.lib.metrics import gauge
from console.lib.status import Status
from console.storage.pages import ShareRow, StoreView, storage_page

DAGS = 30
"""The largest DAGs have a sample each; what the others take is summed up under an empty name."""
STAGES = ("waiting", "late", "fetched", "expired", "missed")


def collect(now: datetime) -> Iterable[Metric]:
    """What can't be seen has no sample, but for its status, which is unknown."""
    stores = storage_page(now).stores
    rows = [store.row for store in stores]
    yield gauge(
        "quarterdeck_storage_status",
        "1 for the status that the storage has.",
        ["storage", "status"],
        [([row.id, status.value], float(row.verdict.status is status)) for row in rows for status in Status],
    )
    for name, text, field in (
        ("bytes", "Bytes that its files take.", "bytes"),
        ("files", "Files in it.", "files"),
        ("newest_age_seconds", "Seconds since the newest file was written.", "newest_age_s"),
        ("expired_bytes", "Bytes of hand-offs past their expiry.", "past_bytes"),
        ("overdue_handoffs", "Hand-offs so long past their expiry that they should be gone.", "left"),
    ):
        yield gauge(
            f"quarterdeck_storage_{name}", text, ["storage"], [([row.id], _float(getattr(row, field))) for row in rows]
        )
    yield gauge(
        "quarterdeck_storage_handoffs",
        "Hand-offs by stage; missed: expired, and no reader ever came.",
        ["storage", "stage"],
        [([row.id, stage], _float(getattr(row, stage))) for row in rows for stage in STAGES],
    )
    yield gauge(
        "quarterdeck_storage_dag_bytes",
        "Bytes of a DAG's hand-offs, for the largest; all others under an empty name.",
        ["storage", "dag"],
        [sample for store in stores for sample in _dags(store)],
    )


def _dags(store: StoreView) -> Iterable[tuple[list[str], float | None]]:
    dags = [share for share in store.shares if share.kind == "dag"]
    for share in dags[:DAGS]:
        yield [store.row.id, share.name], float(share.bytes)
    if len(dags) > DAGS:
        yield [store.row.id, ""], float(_sum(dags[DAGS:]))


def _sum(shares: Iterable[ShareRow]) -> int:
    return sum(share.bytes for share in shares)


def _float(value: float | None) -> float | None:
    return None if value is None else float(value)

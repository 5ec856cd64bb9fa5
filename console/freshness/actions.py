"""What people tell the console about freshness: cutoffs that somebody waits for, and that a source's state is right."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction

from console.accounts import audit
from console.accounts.actor import Actor
from console.freshness import store
from console.freshness.judge import one_at_a_time
from console.freshness.models import Heartbeat
from console.freshness.records import CutoffRow
from console.freshness.watermark import attest


class Settled(Exception):
    """There is nothing to attest to: the source's epoch is settled."""


@transaction.atomic
def register_cutoff(by: Actor, table: str, at: datetime, deadline: datetime, dag_id: str, reason: str) -> CutoffRow:
    """Wait for a table to be complete to `at` by `deadline`; once, however often it is asked for."""
    row, made = CutoffRow.objects.select_for_update().get_or_create(
        table=table, at=at, defaults={"deadline": deadline, "origin": CutoffRow.Origin.API}
    )
    row.deadline, row.dag_id, row.asked_by, row.reason = deadline, dag_id, by.name, reason
    row.origin = CutoffRow.Origin.API
    row.save()
    details = {"cutoff": at.isoformat(), "deadline": deadline.isoformat(), "dag_id": dag_id}
    audit.record(by, "cutoff.registered" if made else "cutoff.changed", table, reason=reason, details=details)
    return row


@transaction.atomic
def attest_epoch(by: Actor, task: str, reason: str) -> Heartbeat:
    """Take a source's new epoch as right: what it holds now is what the warehouse shall follow.

    Raises Heartbeat.DoesNotExist, Settled.
    """
    one_at_a_time()
    row = Heartbeat.objects.select_for_update().get(task=task)
    if not row.unsettled:
        raise Settled
    row.track = store.dump_track(attest(row.epoch, row.seq))
    row.commit_at = row.row_at = None
    was, row.unsettled = row.unsettled, ""
    row.save(update_fields=["track", "commit_at", "row_at", "unsettled"])
    audit.record(by, "epoch.attested", task, reason=reason, details={"epoch": row.epoch, "because": was})
    return row

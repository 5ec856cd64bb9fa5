"""What AWS says of RDS and ElastiCache → what is remembered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime

from console.datastores.models import Change, Datastore
from console.datastores.rules import What, changes
from console.history import series
from console.platform.declared import declaration
from console.platform.readings import DatastoreReading

URL = "/datastores/"
_SEEN = [
    "kind",
    "identifier",
    "present",
    "engine",
    "status",
    "multi_az",
    "primary",
    "primary_zone",
    "standby_zone",
    "replicas",
    "endpoint",
    "as_of",
]


def wanted() -> list[tuple[str, str, str]]:
    """What is declared, as `(id, kind, identifier)`."""
    return [(one.id, one.kind, one.identifier) for one in declaration().datastores]


def save_datastores(readings: Iterable[DatastoreReading], as_of: datetime) -> None:
    """Remember each declared datastore, and what changed. Those no longer declared are forgotten."""
    before = {row.id: row.reading() for row in Datastore.objects.all()}
    found = {reading.id: reading for reading in readings}
    rows, changed = [], []
    for id, kind, identifier in wanted():
        reading = found.get(id)
        told = asdict(reading) if reading else {"id": id, "kind": kind, "identifier": identifier}
        rows.append(Datastore(**told, present=reading is not None, as_of=as_of))
        changed += [
            Change(at=as_of, datastore=id, what=change.what, was=change.was, became=change.became)
            for change in changes(before.get(id), reading)
        ]
    Datastore.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=_SEEN)
    Datastore.objects.exclude(pk__in=[row.id for row in rows]).delete()
    if changed:
        Change.objects.bulk_create(changed)
        Change.objects.forget(as_of)
    for row in changed:
        if row.what == What.ROLE:
            series.mark(as_of, "takeover", f"{row.datastore} failed over to {row.became}", URL, row.datastore)

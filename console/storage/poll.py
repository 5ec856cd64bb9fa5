"""A look into a storage → what is remembered of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from console.history import series
from console.platform.declared import StorageDeclared
from console.platform.models import Source
from console.platform.readings import FilesReading
from console.storage.ledger import Survey, survey
from console.storage.models import Store
from console.storage.sources import PREFIX, source_of

URL = "/storage/"


def look(declared: StorageDeclared, reading: FilesReading, now: datetime) -> Survey:
    """What was read, as it is judged at `now`."""
    return survey(
        reading,
        now,
        unread_after_s=declared.unread_after_s,
        swept_within_s=declared.swept_within_s,
        readers_optional=declared.readers_optional,
    )


def save(declared: StorageDeclared, seen: Survey, as_of: datetime) -> None:
    """Remember it. The newest file stays the newest when it is removed; another place begins anew."""
    before = Store.objects.filter(pk=declared.id, location=declared.place).defer("shares", "listed").first()
    newest_key, newest_at = seen.newest_key, seen.newest_at
    if before and before.newest_at and (newest_at is None or before.newest_at > newest_at):
        newest_key, newest_at = before.newest_key, before.newest_at
    Store(
        id=declared.id,
        location=declared.place,
        watched_since=before.watched_since if before else as_of,
        as_of=as_of,
        complete=seen.complete,
        files=seen.files,
        bytes=seen.bytes,
        newest_key=_text(newest_key),
        newest_at=newest_at,
        **{stage.value: number for stage, number in seen.stages},
        past=seen.past,
        past_bytes=seen.past_bytes,
        left=seen.left,
        left_bytes=seen.left_bytes,
        shares=[_plain(asdict(share)) for share in seen.shares],
        listed=[_plain({"stage": stage.value, **asdict(each)}) for stage, each in seen.listed],
    ).save()
    series.record(
        [
            (held_series(declared.id), float(seen.bytes)),
            (f"storage.{declared.id}.files", float(seen.files)),
            (f"storage.{declared.id}.unfetched", float(sum(number for stage, number in seen.stages if stage in _OPEN))),
        ],
        as_of,
    )


_OPEN = frozenset({"late", "missed"})


def held_series(storage: str) -> str:
    """The series of how much a storage holds."""
    return f"storage.{storage}.held_bytes"


def forget(declared: Sequence[StorageDeclared]) -> None:
    """Drop what is remembered of storages that are no longer declared."""
    ids = [one.id for one in declared]
    Store.objects.exclude(pk__in=ids).delete()
    names = [source_of(id).name for id in ids]
    Source.objects.filter(name__startswith=PREFIX).exclude(name__in=names).delete()


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: _word(value) for key, value in values.items()}


def _word(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return _text(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """As PostgreSQL takes it: names of files may hold what is no text."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()

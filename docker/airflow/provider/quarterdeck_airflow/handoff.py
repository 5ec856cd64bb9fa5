"""Hand a file from one task to another, on whatever machine that runs.

    @task(queue="io")
    def extract():
        ...
        return handoff.put("/tmp/orders.csv", "orders.csv", expires_in=timedelta(hours=6))

    @task(queue="default")
    def send(file):
        with tempfile.TemporaryDirectory() as folder:
            path = handoff.get(file, into=folder)

A reference is what `put` returned (it goes by XCom), or the name of the task of this run that handed it over:
`handoff.get("extract", "orders.csv", into=folder)`. Files lie in S3 by the connection `quarterdeck_files`, or in the
local twin's folder where there is none.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from quarterdeck_airflow.files import ledger
from quarterdeck_airflow.files.keys import clean, segment
from quarterdeck_airflow.files.ledger import HandoffError, HandoffExpired, HandoffMissing, Note, Place
from quarterdeck_airflow.files.store import FileMissing, FileStore, Source, digest, opened

__all__ = ["HandoffError", "HandoffExpired", "HandoffMissing", "drop", "get", "link", "put", "read", "sweep"]

Reference = Mapping[str, Any]
KEPT = timedelta(days=1)
log = logging.getLogger(__name__)


def put(
    source: Source,
    name: str,
    *,
    expires_in: timedelta = KEPT,
    store: FileStore | None = None,
    place: Place | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Hand over a file (a path, bytes or an open file) under a name of this task. Returns its reference (JSON).

    A second put of the same name, as by a retried task, replaces the first. Raises FileError.
    """
    now = now or datetime.now(UTC)
    where, files = place or _here(name), store or _store()
    last = ledger.until(now, expires_in)
    with opened(source) as file:
        size, sha256 = digest(file)
        note = Note(where, where.data(last, sha256), size, sha256, now, last)
        older = {info.key for info in files.list(f"{where.folder}/")}
        files.put(note.key, file)
    files.put(where.note, note.text())  # from here on readers get the new one
    for key in older - {note.key, where.note}:
        files.delete(key)
    return {
        "dag_id": where.dag_id, "run_id": where.run_id, "task_id": where.task_id, "map_index": where.map_index,
        "name": where.name, "size": size, "sha256": sha256, "expires_at": last.isoformat(),
    }  # fmt: skip


def get(
    reference: Reference | str,
    name: str | None = None,
    *,
    into: str | os.PathLike[str],
    map_index: int = -1,
    store: FileStore | None = None,
    now: datetime | None = None,
) -> Path:
    """Fetch it into a folder, under its name, or to a path; whole and verified, or not at all.

    Raises HandoffMissing, HandoffExpired or FileError.
    """
    files = store or _store()
    place = _place(reference, name, map_index)
    target = Path(into)
    if target.is_dir():
        target = target / segment(place.name)
    for last in (False, True):
        note = _note(files, place, now)
        try:
            files.get(note.key, target, sha256=note.sha256)
            break
        except FileMissing:
            if last:  # once may be a put that replaced it at this moment
                raise HandoffMissing(f"{place} is noted, but its file is gone: clear the task.") from None
    _receipt(files, place, now)
    return target


def read(
    reference: Reference | str,
    name: str | None = None,
    *,
    map_index: int = -1,
    store: FileStore | None = None,
    now: datetime | None = None,
) -> bytes:
    """The contents of a small one. Raises as `get`."""
    files = store or _store()
    place = _place(reference, name, map_index)
    for last in (False, True):
        note = _note(files, place, now)
        try:
            found = files.read(note.key, sha256=note.sha256)
            break
        except FileMissing:
            if last:
                raise HandoffMissing(f"{place} is noted, but its file is gone: clear the task.") from None
    _receipt(files, place, now)
    return found


def link(
    reference: Reference | str,
    name: str | None = None,
    *,
    expires_in: timedelta = timedelta(hours=1),
    map_index: int = -1,
    store: FileStore | None = None,
    now: datetime | None = None,
) -> str:
    """An address that anybody can fetch it from, for a while. Raises as `get`.

    Who asks for the address counts as its reader: whether the address is then used, the store does not tell.
    """
    files = store or _store()
    place = _place(reference, name, map_index)
    address = files.link(_note(files, place, now).key, expires_in)
    _receipt(files, place, now)
    return address


def drop(
    reference: Reference | str, name: str | None = None, *, map_index: int = -1, store: FileStore | None = None
) -> None:
    """Remove it: nobody needs it any more. One that is gone is no error."""
    files = store or _store()
    place = _place(reference, name, map_index)
    for info in sorted(files.list(f"{place.folder}/"), key=lambda info: info.key == place.note):  # the note last
        files.delete(info.key)


def sweep(*, store: FileStore | None = None, now: datetime | None = None) -> int:
    """Remove what is past its time, and what writers that died left behind; how many files. For a daily task."""
    files = store or _store()
    keys = ledger.to_sweep(files.list(f"{ledger.ROOT}/"), now or datetime.now(UTC))
    for key in keys:
        files.delete(clean(key))
    return len(keys) + files.abort_stale()


def _note(files: FileStore, place: Place, now: datetime | None) -> Note:
    try:
        note = Note.of(files.read(place.note))
    except FileMissing:
        raise HandoffMissing(f"{place} was not handed over, or was dropped: has the task run in this run?") from None
    return ledger.usable(note, now or datetime.now(UTC))


def _receipt(files: FileStore, place: Place, now: datetime | None) -> None:
    """Note that somebody came for it: the console tells by it which hand-offs nobody fetched.

    The reader has its file already: a note that can't be written (a role that may only read, a store that is away just
    now) is a warning in the task's log, and never its failure.
    """
    try:
        files.put(place.receipt, json.dumps({"at": (now or datetime.now(UTC)).isoformat()}).encode())
    except Exception as error:  # whatever it is: the task's work is done
        log.warning("The console can't be told that %s was fetched: %s", place, error)


def _store() -> FileStore:
    from quarterdeck_airflow.hooks.s3 import S3Hook

    return S3Hook()


def _instance() -> Any:
    from airflow.providers.common.compat.sdk import get_current_context

    return get_current_context()["ti"]


def _here(name: str) -> Place:
    task = _instance()
    return Place(task.dag_id, task.run_id, task.task_id, name, -1 if task.map_index is None else task.map_index)


def _place(reference: Reference | str, name: str | None, map_index: int) -> Place:
    if not isinstance(reference, str):
        return ledger.place_of(reference)
    if not name:
        raise HandoffError(f"Which file of the task {reference}? Give its name.")
    task = _instance()
    return Place(task.dag_id, task.run_id, reference, name, map_index)

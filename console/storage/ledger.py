"""What lies in a storage, from a listing alone: hand-offs by DAG, who was fetched, what is past its time. Pure.

The provider (`docker/airflow/provider`, its `files/ledger.py`) keeps a hand-off so, each part quoted as in a URL:

    handoff/DAG/RUN/TASK/NAME/note.json                 what was handed over
    handoff/DAG/RUN/TASK/NAME/data/UNTIL-CHECKSUM       the file; UNTIL in seconds since 1970
    handoff/DAG/RUN/TASK/NAME/read.json                 that somebody came for it

Invariant: only what is plainly named so is a hand-off; everything else in the storage is somebody else's, is counted
and never taken for something that may be removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from urllib.parse import unquote

from console.platform.readings import FileReading, FilesReading

ROOT = "handoff"
GRACE = timedelta(days=1)
"""So long after its time a hand-off's note stays, so that who comes too late is told that it expired."""
SHARES = 100
"""DAGs and folders that are told one by one, the largest; the rest is one line."""
LISTED = 200
"""Hand-offs that are told one by one, those first that need a look."""
_DATA = re.compile(r"data/(\d{1,11})-[0-9a-f]{16}")
_MAPPED = re.compile(r"(.*)\[(\d+)\]", re.DOTALL)


class Stage(StrEnum):
    """How far a hand-off is, as the page says it."""

    WAITING = "waiting"  # nobody has come for it yet, and there is time
    LATE = "late"  # nobody has come within the time that was declared
    FETCHED = "fetched"
    EXPIRED = "expired"  # fetched, and past its time
    MISSED = "missed"  # past its time, and nobody ever came


WORST = (Stage.MISSED, Stage.LATE, Stage.WAITING, Stage.FETCHED, Stage.EXPIRED)


@dataclass(frozen=True)
class Handoff:
    """A file from one task for others. `read_at`: when a reader last left its receipt."""

    folder: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int  # -1: not mapped
    name: str
    size: int  # bytes
    handed_at: datetime
    expires_at: datetime
    read_at: datetime | None

    def stage(self, now: datetime, unread_after_s: float | None = None, *, reader_optional: bool = False) -> Stage:
        if now >= self.expires_at:
            return Stage.EXPIRED if self.read_at or reader_optional else Stage.MISSED
        if self.read_at:
            return Stage.FETCHED
        waited_s = (now - self.handed_at).total_seconds()
        late = unread_after_s is not None and waited_s > unread_after_s and not reader_optional
        return Stage.LATE if late else Stage.WAITING


@dataclass(frozen=True)
class Share:
    """What one DAG's hand-offs take, or what lies in a folder beside them. `kind`: dag, folder or rest."""

    kind: str
    name: str
    files: int
    bytes: int
    newest_at: datetime | None
    handoffs: int = 0
    missed: int = 0


@dataclass(frozen=True)
class Survey:
    """One look into a storage, at `now`. Where it is not `complete` each count is "at least"."""

    complete: bool
    files: int
    bytes: int
    newest_key: str
    newest_at: datetime | None
    stages: tuple[tuple[Stage, int], ...]
    past: int  # hand-offs past their expiry
    past_bytes: int
    left: int  # of these, past also the time within which they should have been removed
    left_bytes: int
    shares: tuple[Share, ...]
    listed: tuple[tuple[Stage, Handoff], ...]


@dataclass
class _Folder:
    """The files of one hand-off."""

    data: list[FileReading] = field(default_factory=list)
    receipt: FileReading | None = None
    rest: list[FileReading] = field(default_factory=list)


def expiry(key: str) -> datetime | None:
    """Until when a hand-off's file is kept, from its key; None where it is not one."""
    parts = key.split("/", 5)
    hit = _DATA.fullmatch(parts[5]) if len(parts) == 6 and parts[0] == ROOT else None
    return datetime.fromtimestamp(int(hit[1]), UTC) if hit else None


def folder_of(key: str) -> str | None:
    """The hand-off that a file belongs to; None where it belongs to none."""
    parts = key.split("/", 5)
    if len(parts) < 6 or parts[0] != ROOT or not all(parts):
        return None
    return "/".join(parts[:5]) if parts[5] in ("note.json", "read.json") or _DATA.fullmatch(parts[5]) else None


def _folders(reading: FilesReading) -> dict[str, _Folder]:
    """The hand-offs of a look. One in whose midst the look ended is left out: its receipt may lie behind the end."""
    cut = folder_of(reading.files[-1].key) if reading.files and not reading.complete else None
    found: dict[str, _Folder] = {}
    for file in reading.files:
        name = folder_of(file.key)
        if name is None or name == cut:
            continue
        folder = found.setdefault(name, _Folder())
        if expiry(file.key):
            folder.data.append(file)
        else:
            folder.rest.append(file)
            if file.key.endswith("/read.json"):
                folder.receipt = file
    return found


def _handoff(name: str, folder: _Folder) -> Handoff | None:
    """None for a note whose file is gone."""
    if not folder.data:
        return None
    newest = max(folder.data, key=lambda file: (file.modified_at, file.key))
    until = expiry(newest.key)
    assert until is not None
    _, dag_id, run_id, task_id, file_name = (unquote(part) for part in name.split("/"))
    mapped = _MAPPED.fullmatch(task_id)
    receipt = folder.receipt
    # A receipt that is older than the file was for the one before it: a retried task handed over anew.
    read_at = receipt.modified_at if receipt and receipt.modified_at >= newest.modified_at else None
    return Handoff(
        folder=name,
        dag_id=dag_id,
        run_id=run_id,
        task_id=mapped[1] if mapped else task_id,
        map_index=int(mapped[2]) if mapped else -1,
        name=file_name,
        size=sum(file.size for file in folder.data),
        handed_at=newest.modified_at,
        expires_at=until,
        read_at=read_at,
    )


@dataclass(frozen=True)
class Past:
    """A hand-off that is past its expiry."""

    folder: str
    bytes: int


def past(reading: FilesReading, before: datetime) -> tuple[Past, ...]:
    """The hand-offs of a look that had expired at `before`. One that was handed over anew since is none."""
    found = []
    for name, folder in _folders(reading).items():
        each = _handoff(name, folder)
        if each and _all_over(folder, before):
            found.append(Past(name, each.size))
    return tuple(found)


def removable(reading: FilesReading, before: datetime, *, notes_before: datetime | None = None) -> tuple[str, ...]:
    """Which files of one hand-off's folder may go: its data, once all of it had expired at `before`.

    With `notes_before` what is left of a hand-off whose data is gone: where none of it was written after that moment.
    """
    keys: list[str] = []
    for folder in _folders(reading).values():
        if folder.data and notes_before is None and _all_over(folder, before):
            keys += [file.key for file in folder.data]
        elif not folder.data and notes_before and all(file.modified_at < notes_before for file in folder.rest):
            keys += [file.key for file in folder.rest]
    return tuple(keys)


def _all_over(folder: _Folder, before: datetime) -> bool:
    return all((until := expiry(file.key)) is not None and until <= before for file in folder.data)


def survey(
    reading: FilesReading,
    now: datetime,
    *,
    unread_after_s: float | None = None,
    swept_within_s: float = 172800.0,
    readers_optional: Sequence[str] = (),
) -> Survey:
    """Everything that is remembered of one look."""
    optional = frozenset(readers_optional)
    handoffs = [each for name, folder in _folders(reading).items() if (each := _handoff(name, folder))]
    staged = [(each.stage(now, unread_after_s, reader_optional=each.dag_id in optional), each) for each in handoffs]
    past = [each for each in handoffs if now >= each.expires_at]
    left = [each for each in past if (now - each.expires_at).total_seconds() > swept_within_s]
    newest = max(reading.files, key=lambda file: (file.modified_at, file.key), default=None)
    lies = frozenset(each.folder for each in left)
    # Missed ones first, then what should be gone; the newest of each stage first.
    staged.sort(
        key=lambda pair: (
            WORST.index(Stage.LATE) if pair[1].folder in lies and pair[0] is Stage.EXPIRED else WORST.index(pair[0]),
            -pair[1].handed_at.timestamp(),
            pair[1].folder,
        )
    )
    return Survey(
        complete=reading.complete,
        files=len(reading.files),
        bytes=sum(file.size for file in reading.files),
        newest_key=newest.key if newest else "",
        newest_at=newest.modified_at if newest else None,
        stages=tuple((stage, sum(each is stage for each, _ in staged)) for stage in Stage),
        past=len(past),
        past_bytes=sum(each.size for each in past),
        left=len(left),
        left_bytes=sum(each.size for each in left),
        shares=_shares(reading.files, staged),
        listed=tuple(staged[:LISTED]),
    )


def _shares(files: Iterable[FileReading], staged: Sequence[tuple[Stage, Handoff]]) -> tuple[Share, ...]:
    """By DAG, and by folder what is no hand-off; the largest first, and what is beyond `SHARES` in one."""
    sums: dict[tuple[str, str], list[FileReading]] = {}
    for file in files:
        folder = folder_of(file.key)
        if folder:
            key = ("dag", unquote(folder.split("/")[1]))
        else:
            key = ("folder", f"{file.key.split('/', 1)[0]}/" if "/" in file.key else "")
        sums.setdefault(key, []).append(file)
    counts: dict[str, list[Stage]] = {}
    for stage, each in staged:
        counts.setdefault(each.dag_id, []).append(stage)
    shares = [
        Share(
            kind=kind,
            name=name,
            files=len(those),
            bytes=sum(file.size for file in those),
            newest_at=max(file.modified_at for file in those),
            handoffs=len(counts.get(name, ())) if kind == "dag" else 0,
            missed=counts.get(name, []).count(Stage.MISSED) if kind == "dag" else 0,
        )
        for (kind, name), those in sums.items()
    ]
    shares.sort(key=lambda share: (-share.bytes, share.kind, share.name))
    return (*shares[:SHARES], *_rest(shares[SHARES:]))


def _rest(shares: Sequence[Share]) -> Iterable[Share]:
    if shares:
        yield Share(
            kind="rest",
            name="",
            files=sum(share.files for share in shares),
            bytes=sum(share.bytes for share in shares),
            newest_at=max((share.newest_at for share in shares if share.newest_at), default=None),
            handoffs=sum(share.handoffs for share in shares),
            missed=sum(share.missed for share in shares),
        )

"""A hand-off: where its files lie and what its note says. Pure.

    handoff/DAG/RUN/TASK/NAME/note.json                 what was handed over, by whom, until when
    handoff/DAG/RUN/TASK/NAME/data/UNTIL-CHECKSUM       the file; UNTIL in seconds since 1970
    handoff/DAG/RUN/TASK/NAME/read.json                 that somebody came for it

The file's name says until when it is kept: a listing alone tells what is past it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from quarterdeck_airflow.files.keys import segment
from quarterdeck_airflow.files.store import Info

ROOT = "handoff"
SHORTEST, LONGEST = timedelta(minutes=1), timedelta(days=365)
GRACE = timedelta(days=1)
"""What is past its time is swept after this: until then a reader that comes too late is told so."""


class HandoffError(Exception):
    """A file could not be handed over. The message is a sentence for the task's log."""


class HandoffMissing(HandoffError):
    """Nobody has handed it over."""


class HandoffExpired(HandoffError):
    """It was handed over, and kept no longer."""


@dataclass(frozen=True)
class Place:
    """What a hand-off is known by: the run and task that hand over, and a name."""

    dag_id: str
    run_id: str
    task_id: str
    name: str
    map_index: int = -1

    @property
    def folder(self) -> str:
        task = self.task_id if self.map_index < 0 else f"{self.task_id}[{self.map_index}]"
        return "/".join([ROOT, *(segment(part) for part in (self.dag_id, self.run_id, task, self.name))])

    @property
    def note(self) -> str:
        return f"{self.folder}/note.json"

    @property
    def receipt(self) -> str:
        return f"{self.folder}/read.json"

    def data(self, until: datetime, sha256: str) -> str:
        return f"{self.folder}/data/{int(until.timestamp())}-{sha256[:16]}"

    def __str__(self) -> str:
        return f"{self.name} of task {self.task_id} in {self.dag_id}, run {self.run_id}"


@dataclass(frozen=True)
class Note:
    """What was handed over."""

    place: Place
    key: str
    size: int
    sha256: str
    handed_at: datetime
    expires_at: datetime

    def text(self) -> bytes:
        said = asdict(self)
        said |= {"handed_at": self.handed_at.isoformat(), "expires_at": self.expires_at.isoformat()}
        return json.dumps(said, indent=1).encode()

    @classmethod
    def of(cls, text: bytes) -> Note:
        """Raises HandoffError where it is no note."""
        try:
            said = json.loads(text)
            for name in ("handed_at", "expires_at"):
                said[name] = datetime.fromisoformat(said[name])
            return cls(**{**said, "place": Place(**said["place"])})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise HandoffError(f"The hand-off's note can't be read ({error}).") from error


def until(now: datetime, expires_in: timedelta) -> datetime:
    """When it expires, to the second. Raises ValueError."""
    if not SHORTEST <= expires_in <= LONGEST:
        raise ValueError(f"expires_in is {expires_in}: give between a minute and a year.")
    return datetime.fromtimestamp(int((now + expires_in).timestamp()), UTC)


def place_of(reference: Mapping[str, Any]) -> Place:
    """The place that a reference (what `handoff.put` returned) names. Raises HandoffError."""
    try:
        return Place(**{name: reference[name] for name in ("dag_id", "run_id", "task_id", "name", "map_index")})
    except (KeyError, TypeError) as error:
        raise HandoffError(f"This is no reference of a hand-off: {str(reference)[:200]}.") from error


def usable(note: Note, now: datetime) -> Note:
    """The note itself, while it lasts. Raises HandoffExpired."""
    if now >= note.expires_at:
        raise HandoffExpired(
            f"{note.place} expired at {note.expires_at:%Y-%m-%d %H:%M} UTC: clear the task {note.place.task_id} to "
            "have it handed over again, or give it a longer expires_in."
        )
    return note


def to_sweep(files: Iterable[Info], now: datetime) -> tuple[str, ...]:
    """The keys that may go: hand-offs whose file is past its time by GRACE, and notes that long have none."""
    folders: dict[str, list[Info]] = {}
    for info in files:
        parts = info.key.split("/")
        if len(parts) >= 6 and parts[0] == ROOT:
            folders.setdefault("/".join(parts[:5]), []).append(info)
    gone: list[str] = []
    for found in folders.values():
        data = {info.key: last for info in found if (last := expiry(info.key))}
        over = [key for key, last in data.items() if last + GRACE <= now]
        gone += over
        if len(over) == len(data):
            rest = [info for info in found if info.key not in data]
            gone += [info.key for info in rest if data or info.modified_at + GRACE <= now]
    return tuple(sorted(gone))


def expiry(key: str) -> datetime | None:
    """Until when a hand-off's file is kept, from its key; None where the key is not of one."""
    hit = re.search(r"/data/(\d{1,11})-[0-9a-f]{16}$", key)
    return datetime.fromtimestamp(int(hit[1]), UTC) if hit and key.startswith(f"{ROOT}/") else None

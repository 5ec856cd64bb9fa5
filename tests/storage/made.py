"""Made-up storages, as a listing tells them."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.platform.declared import declaration
from console.platform.models import remember_success
from console.platform.readings import FileReading, FilesReading
from console.storage.poll import look, save
from console.storage.sources import source_of

HOUR = timedelta(hours=1)
SUM = "0123456789abcdef"


def handed(
    dag: str,
    at: datetime,
    *,
    run: str = "scheduled__2026-11-22T00:00:00+00:00",
    task: str = "extract",
    name: str = "orders.csv",
    size: int = 1000,
    kept: timedelta = timedelta(hours=6),
    read_at: datetime | None = None,
) -> list[FileReading]:
    """The files of one hand-off."""
    folder = f"handoff/{dag}/{run}/{task}/{name}"
    files = [
        FileReading(f"{folder}/data/{int((at + kept).timestamp())}-{SUM}", size, at),
        FileReading(f"{folder}/note.json", 300, at),
    ]
    return files + ([FileReading(f"{folder}/read.json", 40, read_at)] if read_at else [])


def listing(*groups: list[FileReading], complete: bool = True) -> FilesReading:
    return FilesReading(
        tuple(sorted((file for group in groups for file in group), key=lambda file: file.key)), complete
    )


def polled(at: datetime, *groups: list[FileReading], complete: bool = True) -> None:
    """A good look into the tests' one storage, begun at `at`."""
    declared = declaration().storage[0]
    save(declared, look(declared, listing(*groups, complete=complete), at), at)
    remember_success(source_of(declared.id).name, at, 0.1)


def well(at: datetime) -> None:
    """One hand-off that was fetched."""
    polled(at, handed("load", at - HOUR, read_at=at - HOUR / 2))

"""What every store of files does, in S3 or in a folder.

Invariant: a key holds a whole file or none. Who writes is never seen half done; who reads gets what was written, or an
error and nothing.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Protocol

CHUNK = 1 << 20
LONGEST_LINK_S = 7 * 24 * 3600

Source = bytes | str | os.PathLike[str] | IO[bytes]
"""Bytes are the contents themselves; text is a path."""


class FileError(Exception):
    """A file could not be written or read. The message is a sentence for the task's log."""


class FileMissing(FileError):
    """There is no such file."""


class FileDamaged(FileError):
    """What was read is not what was written."""


@dataclass(frozen=True)
class Info:
    """A file. `sha256` is None where the store doesn't say: in listings, and on disks that can't note it."""

    key: str
    size: int
    modified_at: datetime
    sha256: str | None = None


class FileStore(Protocol):
    """Keys are checked by `keys.clean` (BadKey); everything else raises FileError."""

    def put(self, key: str, source: Source) -> Info:
        """Write a file, replacing one that is there, whole or not at all."""
        ...

    def get(self, key: str, path: str | os.PathLike[str], *, sha256: str | None = None) -> Info:
        """Read a file to a local path, whole or not at all; with `sha256`, only if it is that one."""
        ...

    def read(self, key: str, *, sha256: str | None = None) -> bytes:
        """The contents of a small file."""
        ...

    def info(self, key: str) -> Info: ...

    def exists(self, key: str) -> bool: ...

    def list(self, prefix: str = "") -> Iterator[Info]:
        """The files whose keys begin so, in the order of their keys' bytes."""
        ...

    def delete(self, key: str) -> None:
        """Remove a file; one that isn't there is no error."""
        ...

    def link(self, key: str, expires_in: timedelta = timedelta(hours=1)) -> str:
        """An address that anybody may read the file from, for at most seven days."""
        ...

    def abort_stale(self, older_than: timedelta = timedelta(days=1)) -> int:
        """Remove what writers that died half way left behind; how many."""
        ...


def link_seconds(expires_in: timedelta) -> int:
    """How long a link lives. Raises FileError."""
    seconds = int(expires_in.total_seconds())
    if not 1 <= seconds <= LONGEST_LINK_S:
        raise FileError(f"A link lives between a second and seven days, not {expires_in}.")
    return seconds


@contextmanager
def opened(source: Source) -> Iterator[IO[bytes]]:
    """The source as a file that can be read twice."""
    if isinstance(source, bytes):
        import io

        yield io.BytesIO(source)
    elif isinstance(source, str | os.PathLike):
        try:
            file = Path(source).open("rb")  # noqa: SIM115 - closed by the `with` below
        except OSError as error:
            raise FileError(f"{source} can't be read: {error.strerror}.") from error
        with file:
            yield file
    elif source.seekable():
        yield source
    else:  # a pipe or socket: its length and checksum are needed before the first byte is sent
        import tempfile

        with tempfile.TemporaryFile() as spool:
            while chunk := source.read(CHUNK):
                spool.write(chunk)
            spool.seek(0)
            yield spool


def digest(file: IO[bytes]) -> tuple[int, str]:
    """Size and SHA-256 from here to the end; the file is then where it was."""
    start, hasher, size = file.tell(), hashlib.sha256(), 0
    while chunk := file.read(CHUNK):
        hasher.update(chunk)
        size += len(chunk)
    file.seek(start)
    return size, hasher.hexdigest()


@contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file for writing that takes its name at the end, on the disk by then; on an error it never does."""
    target = Path(path)
    part = target.with_name(f".{target.name[:100]}.{secrets.token_hex(6)}.part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666), "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise FileError(f"{target} can't be written: {error.strerror or error}.") from error
    finally:
        part.unlink(missing_ok=True)


def checked(key: str, found: str, *wanted: str | None) -> None:
    """Raises FileDamaged where a checksum is not the wanted one."""
    for one in wanted:
        if one is not None and one != found:
            raise FileDamaged(f"{key} is damaged or was replaced: its SHA-256 is {found[:12]}…, not {one[:12]}….")

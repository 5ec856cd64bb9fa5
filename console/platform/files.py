"""The files that tasks hand to each other: in a bucket, or in a folder (a local twin). Listed within bounds.

Keys are below the storage's own prefix or folder, joined by `/`; files that are not plainly below it do not exist here.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from console.platform.aws import POLL_S, Clients, chunks, reported, utc
from console.platform.budget import Budget
from console.platform.ports import PlatformError
from console.platform.readings import FileReading, FilesReading

MOST = 50_000
"""Files that one look reads at most: fifty requests to S3. Beyond it the reading says that it is not complete."""
AT_ONCE = 500
"""Keys in one request of deletion (S3 takes 1,000)."""
TWINS_OWN = ".quarterdeck"
"""The folder in which the local twin keeps its unfinished parts."""
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class BucketFiles:
    """Files in S3, below a prefix. Safe for threads. Raises PlatformError."""

    def __init__(
        self, clients: Clients, bucket: str, prefix: str = "", *, poll_s: float = POLL_S, most: int = MOST
    ) -> None:
        self._clients = clients
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._poll_s = poll_s
        self._most = most

    def files(self, below: str = "") -> FilesReading:
        """Those whose keys begin with `below`, in the order of their keys, up to the bounds of number and time."""
        found: list[FileReading] = []
        budget = Budget(f"the bucket {self._bucket}", self._poll_s)
        pages = self._clients("s3").get_paginator("list_objects_v2")
        with reported("s3", "s3:ListBucket"):
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + below):
                if "KeyCount" not in page:
                    raise _no_listing(self._bucket)
                for row in page.get("Contents", ()):
                    if len(found) == self._most:
                        return FilesReading(tuple(found), complete=False)
                    found.append(_object(row, len(self._prefix)))
                if found and budget.left_s() <= 0:  # what is known by now is worth more than nothing
                    return FilesReading(tuple(found), complete=not page.get("IsTruncated"))
                budget.spend(0)
        return FilesReading(tuple(found), complete=True)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files; one that is gone already is no error."""
        client = self._clients("s3", change=True)
        for some in chunks([self._prefix + key for key in keys], AT_ONCE):
            with reported("s3", "s3:DeleteObject"):
                answer = client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            for refused in answer.get("Errors", ()):
                code = str(refused.get("Code") or "unknown")
                raise PlatformError(
                    "AWS S3",
                    "forbidden" if code == "AccessDenied" else "rejected",
                    f"AWS S3 refused s3:DeleteObject in the bucket {self._bucket}: {code}",
                    remedy="Allow s3:DeleteObject on its objects in the console's IAM policy.",
                    permanent=code == "AccessDenied",
                )


def _object(row: dict[str, Any], skip: int) -> FileReading:
    at = utc(row["LastModified"])
    assert at is not None
    return FileReading(row["Key"][skip:], int(row.get("Size") or 0), at)


def _no_listing(bucket: str) -> PlatformError:
    return PlatformError(
        "AWS S3",
        "malformed",
        f"AWS S3 answered s3:ListBucket of {bucket} without a count",
        remedy="Is it AWS that answers there (a proxy, a stand-in without this call)?",
    )


class FolderFiles:
    """Files in a folder of the console's own machine: the local twin of development. Follows no link."""

    def __init__(self, folder: str, *, poll_s: float = POLL_S, most: int = MOST) -> None:
        self._folder = Path(folder)
        self._poll_s = poll_s
        self._most = most

    def files(self, below: str = "") -> FilesReading:
        found: list[FileReading] = []
        budget = Budget(f"the folder {self._folder}", self._poll_s)
        try:
            top = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._told(error) from None
        try:
            for reading in _below(top, "", below):
                if len(found) == self._most:
                    return FilesReading(tuple(found), complete=False)
                if len(found) % 1000 == 999 and budget.left_s() <= 0:
                    return FilesReading(tuple(found), complete=False)
                found.append(reading)
        except OSError as error:
            raise self._told(error) from None
        finally:
            os.close(top)
        return FilesReading(_sorted(found), complete=True)

    def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            *folders, name = key.split("/")
            try:
                self._unlink(folders, name)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise self._told(error) from None
            while folders:  # a folder that is empty now goes too, as in S3 there is none
                *folders, name = folders
                try:
                    self._unlink(folders, name, folder=True)
                except OSError:
                    break

    def _unlink(self, folders: Sequence[str], name: str, *, folder: bool = False) -> None:
        """Every step is opened by its parent's descriptor: no key, and no link put there, leads out of the folder."""
        if any(part in {"", ".", ".."} for part in (*folders, name)):
            raise OSError(errno.EINVAL, "not a file below it")
        here = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                inner = os.open(part, _FOLDER, dir_fd=here)
                os.close(here)
                here = inner
            if folder:
                os.rmdir(name, dir_fd=here)
            else:
                os.unlink(name, dir_fd=here)
        finally:
            os.close(here)

    def _told(self, error: OSError) -> PlatformError:
        system = f"the folder {self._folder}"
        if isinstance(error, FileNotFoundError):
            return PlatformError(
                system,
                "not_found",
                f"{system} is not there",
                remedy="Correct `folder` in platform.yaml, or make it: Airflow's local twin does at its first file.",
            )
        if isinstance(error, PermissionError):
            return PlatformError(
                system,
                "forbidden",
                f"{system} may not be read or changed",
                remedy="Give the console's user the right to it.",
                permanent=True,
            )
        return PlatformError(
            system,
            "unavailable",
            f"{system} failed: {error.strerror or type(error).__name__}",
            remedy="Look at that disk.",
        )


def _sorted(found: list[FileReading]) -> tuple[FileReading, ...]:
    return tuple(sorted(found, key=lambda each: each.key))


def _below(folder: int, path: str, below: str) -> Iterator[FileReading]:
    """What goes away while it is walked through is left out."""
    with os.scandir(folder) as entries:
        for entry in entries:
            key = path + entry.name
            if key == TWINS_OWN or not (key.startswith(below) or below.startswith(f"{key}/")):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    inner = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        yield from _below(inner, f"{key}/", below)
                    finally:
                        os.close(inner)
                elif key.startswith(below):
                    seen = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(seen.st_mode):
                        yield FileReading(key, seen.st_size, datetime.fromtimestamp(seen.st_mtime, UTC))
            except FileNotFoundError:
                continue

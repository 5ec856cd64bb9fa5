"""Files in a folder: the local twin of a store in S3.

Every step below the folder is opened by its parent's descriptor and follows no symlink: a key can't lead out of it,
even while somebody changes the folder.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quarterdeck_airflow.files import links
from quarterdeck_airflow.files.keys import RESERVED, BadKey, clean, clean_prefix
from quarterdeck_airflow.files.store import CHUNK, FileError, FileMissing, Info, Source, checked, opened, whole
from quarterdeck_airflow.files.store import link_seconds as _link_seconds

NAME_TRIES = 50
_NOTE = "user.sha256"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalStore:
    """A FileStore in a folder of this machine. Safe for threads and processes.

    Two limits that S3 has not: a file's key can't be a folder of another's, and a file is there for this machine only.
    `links_url` is where `python -m quarterdeck_airflow.files.links FOLDER` serves links; without it they are `file:`
    addresses, which don't expire.
    """

    def __init__(self, folder: str | os.PathLike[str], *, links_url: str = "") -> None:
        self.folder = Path(folder)
        self._links_url = links_url.rstrip("/")
        try:
            (self.folder / RESERVED / "parts").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(f"The folder {self.folder} can't be made: {error.strerror}.") from error

    def put(self, key: str, source: Source) -> Info:
        *folders, name = clean(key).split("/")
        with opened(source) as file, self._inside([RESERVED, "parts"]) as parts:
            part = f"{secrets.token_hex(16)}.part"
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o640, dir_fd=parts)
            try:
                with os.fdopen(descriptor, "wb") as target:
                    hasher, size = hashlib.sha256(), 0
                    while chunk := file.read(CHUNK):
                        target.write(chunk)
                        hasher.update(chunk)
                        size += len(chunk)
                    target.flush()
                    _note(target.fileno(), hasher.hexdigest())
                    os.fsync(target.fileno())
                    modified = os.fstat(target.fileno()).st_mtime
                self._name(key, part, parts, folders, name)
            except OSError as error:
                raise _told(key, error) from error
            finally:
                _gone(part, parts)
        return Info(key, size, datetime.fromtimestamp(modified, UTC), hasher.hexdigest())

    def _name(self, key: str, part: str, parts: int, folders: list[str], name: str) -> None:
        """Give the finished part its name, durably. Another's delete may remove an empty folder between two steps."""
        for attempt in range(NAME_TRIES):
            try:
                with self._inside(folders, make=True) as folder:
                    os.rename(part, name, src_dir_fd=parts, dst_dir_fd=folder)
                    os.fsync(folder)
                return
            except FileNotFoundError:
                if attempt == NAME_TRIES - 1:
                    raise

    def get(self, key: str, path: str | os.PathLike[str], *, sha256: str | None = None) -> Info:
        with self._open(key) as descriptor, whole(path) as target:
            hasher = hashlib.sha256()
            while chunk := os.read(descriptor, CHUNK):
                target.write(chunk)
                hasher.update(chunk)
            checked(key, hasher.hexdigest(), sha256, _noted(descriptor))
            return _info(key, os.fstat(descriptor), hasher.hexdigest())

    def read(self, key: str, *, sha256: str | None = None) -> bytes:
        with self._open(key) as descriptor:
            found = b"".join(iter(lambda: os.read(descriptor, CHUNK), b""))
            checked(key, hashlib.sha256(found).hexdigest(), sha256, _noted(descriptor))
            return found

    def info(self, key: str) -> Info:
        with self._open(key) as descriptor:
            return _info(key, os.fstat(descriptor), _noted(descriptor))

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except FileMissing:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[Info]:
        start = clean_prefix(prefix).rpartition("/")[0]
        try:
            with self._inside(start.split("/") if start else []) as folder:
                found = sorted(_below(folder, f"{start}/" if start else "", prefix), key=lambda info: info.key.encode())
        except (FileNotFoundError, BadKey):
            found = []
        except OSError as error:
            raise _told(prefix, error) from error
        return iter(found)

    def delete(self, key: str) -> None:
        *folders, name = clean(key).split("/")
        try:
            with self._inside(folders) as folder:
                os.unlink(name, dir_fd=folder)
                os.fsync(folder)
        except FileNotFoundError:
            return
        except OSError as error:
            raise _told(key, error) from error
        while folders:  # folders that are empty now: S3 has none either
            *folders, name = folders
            try:
                with self._inside(folders) as folder:
                    os.rmdir(name, dir_fd=folder)
            except OSError:
                return

    def link(self, key: str, expires_in: timedelta = timedelta(hours=1)) -> str:
        seconds = _link_seconds(expires_in)
        if not self._links_url:
            return (self.folder.resolve() / clean(key)).as_uri()
        until = int(datetime.now(UTC).timestamp()) + seconds
        return links.signed(self._links_url, self.link_secret(), clean(key), until)

    def abort_stale(self, older_than: timedelta = timedelta(days=1)) -> int:
        before, gone = datetime.now(UTC).timestamp() - older_than.total_seconds(), 0
        with self._inside([RESERVED, "parts"]) as parts, os.scandir(parts) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime <= before:
                    _gone(entry.name, parts)
                    gone += 1
        return gone

    def test_connection(self) -> tuple[bool, str]:
        """For a hook's Test button."""
        return True, f"No remote store: files are kept in {self.folder} on this machine."

    def link_secret(self) -> bytes:
        """What links of this folder are signed with; made once, readable by its owner only."""
        with self._inside([RESERVED]) as folder:
            fresh = f"secret.{secrets.token_hex(6)}"
            try:
                with os.fdopen(
                    os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder), "wb"
                ) as file:
                    file.write(secrets.token_bytes(32))
                os.link(fresh, "secret", src_dir_fd=folder, dst_dir_fd=folder)
            except FileExistsError:
                pass  # made before, or by another at this moment
            finally:
                _gone(fresh, folder)
            with os.fdopen(os.open("secret", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as file:
                return file.read()

    @contextmanager
    def _inside(self, folders: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """The descriptor of a folder below ours. Raises OSError where it is not there, BadKey where it is no folder."""
        here = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in folders:
                below = _step(here, name, make)
                os.close(here)
                here = below
            yield here
        finally:
            os.close(here)

    @contextmanager
    def _open(self, key: str) -> Iterator[int]:
        """The descriptor of a file. Raises FileMissing."""
        *folders, name = clean(key).split("/")
        try:
            with self._inside(folders) as folder:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # a pipe must not make it wait
                descriptor = os.open(name, flags, dir_fd=folder)
        except FileNotFoundError as error:
            raise FileMissing(f"There is no file {key}.") from error
        except OSError as error:
            raise _told(key, error) from error
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FileMissing(f"There is no file {key}.")
            yield descriptor
        finally:
            os.close(descriptor)


def _step(here: int, name: str, make: bool) -> int:
    for last in (False, True):
        try:
            return os.open(name, _FOLDER, dir_fd=here)
        except FileNotFoundError:
            if not make or last:
                raise
        except OSError as error:
            if error.errno in {errno.ENOTDIR, errno.ELOOP}:
                raise BadKey(f"{name!r} is a file or a link, not a folder: nothing can lie below it.") from error
            raise
        try:
            os.mkdir(name, 0o750, dir_fd=here)
            os.fsync(here)
        except FileExistsError:
            pass
    raise AssertionError("unreachable")


def _below(folder: int, path: str, prefix: str) -> Iterator[Info]:
    with os.scandir(folder) as entries:
        for entry in entries:
            key = path + entry.name
            if key == RESERVED or not (key.startswith(prefix) or prefix.startswith(f"{key}/")):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    below = os.open(entry.name, _FOLDER, dir_fd=folder)
                    try:
                        yield from _below(below, f"{key}/", prefix)
                    finally:
                        os.close(below)
                elif entry.is_file(follow_symlinks=False) and key.startswith(prefix):
                    yield _info(clean(key), entry.stat(follow_symlinks=False), None)
            except (FileNotFoundError, BadKey):
                continue  # gone meanwhile; or put there by hand, under a name that no key has


def _info(key: str, found: os.stat_result, sha256: str | None) -> Info:
    return Info(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC), sha256)


def _note(descriptor: int, sha256: str) -> None:
    """With the file itself, so that the two can't part. Some disks can't: then only the reader's own checksum tells."""
    try:
        os.setxattr(descriptor, _NOTE, sha256.encode())
    except OSError:
        pass


def _noted(descriptor: int) -> str | None:
    try:
        return os.getxattr(descriptor, _NOTE).decode()
    except OSError:
        return None


def _gone(name: str, folder: int) -> None:
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass


def _told(key: str, error: OSError) -> Exception:
    if error.errno in {errno.EISDIR, errno.ELOOP, errno.ENOTEMPTY, errno.ENXIO}:
        return BadKey(f"The key {key!r} is a folder or a link here, not a file.")
    return FileError(f"{key} failed: {error.strerror}.")

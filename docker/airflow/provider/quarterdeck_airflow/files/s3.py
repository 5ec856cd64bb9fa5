"""Files in S3, by boto3."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

from quarterdeck_airflow.files.keys import BadKey, clean, clean_prefix
from quarterdeck_airflow.files.store import (
    CHUNK,
    FileDamaged,
    FileError,
    FileMissing,
    Info,
    Source,
    checked,
    digest,
    link_seconds,
    opened,
    whole,
)

SMALLEST_PART = 5 << 20
"""S3 takes no smaller one, but for the last."""
MOST_PARTS = 9000
"""S3 takes 10,000."""
IN_FLIGHT = 4
READ_TRIES = 3
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


class S3Store:
    """A FileStore in a bucket, below a prefix. Safe for threads."""

    def __init__(self, client: Any, bucket: str, prefix: str = "", *, part_bytes: int = 8 << 20) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{clean(prefix.strip('/'))}/" if prefix.strip("/") else ""
        self._part_bytes = max(part_bytes, SMALLEST_PART)

    def put(self, key: str, source: Source) -> Info:
        place = self._place(key)
        with opened(source) as file:
            size, sha256 = digest(file)
            with _told("s3:PutObject", key):
                if size <= self._part_bytes:
                    self._client.put_object(
                        **place, Body=file.read(), ChecksumSHA256=_base64(sha256), Metadata={"sha256": sha256}
                    )
                else:
                    self._put_parts(key, place, file, size, sha256)
        return Info(key, size, datetime.now(UTC), sha256)

    def _put_parts(self, key: str, place: dict[str, str], file: IO[bytes], size: int, sha256: str) -> None:
        """A large file, some parts at a time. On any error nothing of it stays: not under its key, not as parts."""
        upload = self._client.create_multipart_upload(
            **place, ChecksumAlgorithm="SHA256", Metadata={"sha256": sha256}
        )["UploadId"]  # fmt: skip
        part_bytes = max(self._part_bytes, -(-size // MOST_PARTS))
        try:
            hasher, done, sent, number = hashlib.sha256(), [], 0, 0
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                running: set[Future[dict[str, Any]]] = set()
                while data := file.read(part_bytes):
                    number, sent = number + 1, sent + len(data)
                    hasher.update(data)
                    running.add(pool.submit(self._put_part, place, upload, number, data))
                    if len(running) >= IN_FLIGHT:  # memory: never more parts than are on their way
                        finished, running = wait(running, return_when=FIRST_COMPLETED)
                        done += [future.result() for future in finished]
                done += [future.result() for future in running]
            if hasher.hexdigest() != sha256:
                raise FileDamaged(f"{key} changed while it was sent ({sent} bytes, {size} before).")
            parts = sorted(done, key=lambda part: part["PartNumber"])
            self._client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
        except BaseException:
            self._client.abort_multipart_upload(**place, UploadId=upload)
            raise

    def _put_part(self, place: dict[str, str], upload: str, number: int, data: bytes) -> dict[str, Any]:
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        said = self._client.upload_part(
            **place, UploadId=upload, PartNumber=number, Body=data, ChecksumSHA256=checksum
        )  # fmt: skip
        return {"PartNumber": number, "ETag": said["ETag"], "ChecksumSHA256": checksum}

    def get(self, key: str, path: str | os.PathLike[str], *, sha256: str | None = None) -> Info:
        for attempt in range(READ_TRIES):
            try:
                with whole(path) as target:
                    return self._copy(key, target, sha256)
            except _Cut as error:
                if attempt == READ_TRIES - 1:
                    raise FileError(f"{key} can't be read: the connection broke each of {READ_TRIES} times.") from error
                time.sleep(2.0**attempt)
        raise AssertionError("unreachable")

    def read(self, key: str, *, sha256: str | None = None) -> bytes:
        import io

        for attempt in range(READ_TRIES):
            target = io.BytesIO()
            try:
                self._copy(key, target, sha256)
                return target.getvalue()
            except _Cut as error:
                if attempt == READ_TRIES - 1:
                    raise FileError(f"{key} can't be read: the connection broke each of {READ_TRIES} times.") from error
                time.sleep(2.0**attempt)
        raise AssertionError("unreachable")

    def _copy(self, key: str, target: IO[bytes], sha256: str | None) -> Info:
        with _told("s3:GetObject", key):
            said = self._client.get_object(**self._place(key))
        hasher, size = hashlib.sha256(), 0
        try:
            while chunk := said["Body"].read(CHUNK):
                target.write(chunk)
                hasher.update(chunk)
                size += len(chunk)
        except (BotoCoreError, HTTPClientError, OSError) as error:
            raise _Cut from error
        if size != said["ContentLength"]:
            raise _Cut
        checked(key, hasher.hexdigest(), sha256, said.get("Metadata", {}).get("sha256"))
        return Info(key, size, said["LastModified"].astimezone(UTC), hasher.hexdigest())

    def info(self, key: str) -> Info:
        with _told("s3:GetObject", key):
            said = self._client.head_object(**self._place(key))
        modified = said["LastModified"].astimezone(UTC)
        return Info(key, said["ContentLength"], modified, said.get("Metadata", {}).get("sha256"))

    def exists(self, key: str) -> bool:
        try:
            self.info(key)
        except FileMissing:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[Info]:
        full = self._prefix + clean_prefix(prefix)
        with _told("s3:ListBucket", prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=full)
            for page in pages:
                for row in page.get("Contents", ()):
                    try:
                        key = clean(row["Key"][len(self._prefix) :])
                    except BadKey:
                        continue  # put there by another program, under a name that no key of ours has
                    yield Info(key, row["Size"], row["LastModified"].astimezone(UTC))

    def delete(self, key: str) -> None:
        with _told("s3:DeleteObject", key):
            self._client.delete_object(**self._place(key))

    def link(self, key: str, expires_in: timedelta = timedelta(hours=1)) -> str:
        seconds = link_seconds(expires_in)
        with _told("s3:GetObject", key):
            return str(self._client.generate_presigned_url("get_object", Params=self._place(key), ExpiresIn=seconds))

    def abort_stale(self, older_than: timedelta = timedelta(days=1)) -> int:
        before, gone = datetime.now(UTC) - older_than, 0
        with _told("s3:ListBucketMultipartUploads", self._prefix):
            pages = self._client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix):
                for row in page.get("Uploads", ()):
                    if row["Initiated"].astimezone(UTC) <= before:
                        self._client.abort_multipart_upload(
                            Bucket=self._bucket, Key=row["Key"], UploadId=row["UploadId"]
                        )  # fmt: skip
                        gone += 1
        return gone

    def test_connection(self) -> tuple[bool, str]:
        """For a hook's Test button."""
        try:
            next(iter(self.list()), None)
        except FileError as error:
            return False, str(error)
        return True, f"s3://{self._bucket}/{self._prefix} can be listed."

    def _place(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + clean(key)}


class _Cut(Exception):
    """The connection broke while a file came in."""


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


@contextmanager
def _told(action: str, key: str) -> Iterator[None]:
    """boto3's errors in our words."""
    try:
        yield
    except ClientError as error:
        found = error.response.get("Error", {})
        code = str(found.get("Code", ""))
        if code in _ABSENT:
            raise FileMissing(f"There is no file {key}.") from error
        if code == "NoSuchBucket":
            raise FileError(f"The bucket {found.get('BucketName', '')} does not exist.") from error
        if code in {"AccessDenied", "403", "Forbidden"}:
            raise FileError(f"{key}: AWS does not allow {action}. Grant it to the role or key in use.") from error
        raise FileError(f"{key}: {action} failed ({code}: {found.get('Message', '')}).") from error
    except BotoCoreError as error:
        raise FileError(f"{key}: S3 can't be reached or used ({error}).") from error

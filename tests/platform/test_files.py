"""The files that tasks hand over: in a bucket of moto's HTTP server, and in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from console.platform.aws import Clients
from console.platform.files import BucketFiles, FolderFiles
from console.platform.ports import PlatformError
from tests.platform.aws_server import REGION, AwsServer
from tests.platform.contracts import FilesContract, Put

BUCKET = "platform-files"
ACCOUNT = "123456789012"


@pytest.fixture
def bucket(aws: AwsServer) -> Any:
    client = aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


class TestABucket(FilesContract):
    @pytest.fixture
    def files(self, bucket: Any) -> BucketFiles:
        return BucketFiles(Clients(REGION), BUCKET, "/team/files/")

    @pytest.fixture
    def put(self, bucket: Any) -> Put:
        bucket.put_object(Bucket=BUCKET, Key="team/files-of-others/x", Body=b"1")
        bucket.put_object(Bucket=BUCKET, Key="x", Body=b"1")
        return lambda key, body: bucket.put_object(Bucket=BUCKET, Key=f"team/files/{key}", Body=body)


class TestAFolder(FilesContract):
    @pytest.fixture
    def files(self, tmp_path: Path) -> FolderFiles:
        (tmp_path / "twin").mkdir()
        return FolderFiles(str(tmp_path / "twin"))

    @pytest.fixture
    def put(self, tmp_path: Path) -> Put:
        def write(key: str, body: bytes) -> None:
            path = tmp_path / "twin" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)

        write(".quarterdeck/parts/1.part", b"half")
        return write


def test_more_than_a_look_may_read_is_said(bucket: Any, tmp_path: Path) -> None:
    for number in range(5):
        bucket.put_object(Bucket=BUCKET, Key=f"{number}", Body=b"1")
        (tmp_path / f"{number}").write_bytes(b"1")
    for made in (BucketFiles(Clients(REGION), BUCKET, most=3), FolderFiles(str(tmp_path), most=3)):
        found = made.files()
        assert (len(found.files), found.complete) == (3, False)
    for made in (BucketFiles(Clients(REGION), BUCKET, most=5), FolderFiles(str(tmp_path), most=5)):
        assert made.files().complete


def test_what_is_known_when_the_time_is_over_is_kept(bucket: Any, tmp_path: Path) -> None:
    from moto.backends import get_backend

    for number in range(1005):
        get_backend("s3")[ACCOUNT]["aws"].put_object(BUCKET, f"{number:04}", b"")
        (tmp_path / f"{number:04}").touch()
    found = BucketFiles(Clients(REGION), BUCKET, poll_s=0).files()
    assert (len(found.files), found.complete) == (1000, False)
    assert not FolderFiles(str(tmp_path), poll_s=0).files().complete


def test_a_thousand_keys_and_more_are_read_and_removed(bucket: Any) -> None:
    from moto.backends import get_backend

    keys = [f"handoff/{number:04}" for number in range(1105)]
    for key in keys:  # not by a thousand requests
        get_backend("s3")[ACCOUNT]["aws"].put_object(BUCKET, key, b"")
    files = BucketFiles(Clients(REGION), BUCKET)
    assert [each.key for each in files.files().files] == keys
    files.delete(keys)
    assert files.files().files == ()


def test_a_bucket_that_is_not_there_is_named(aws: AwsServer) -> None:
    with pytest.raises(PlatformError, match="s3:ListBucket: NoSuchBucket") as told:
        BucketFiles(Clients(REGION), "nobodys-files").files()
    assert told.value.permanent


def test_by_a_host_s_name_too_the_bucket_is_in_the_path(
    aws: AwsServer, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url.replace("127.0.0.1", "localhost"))
    assert BucketFiles(Clients(REGION), BUCKET).files().complete


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match="is not there") as told:
        FolderFiles(str(tmp_path / "gone")).files()
    assert told.value.code == "not_found"


def test_no_link_and_no_key_leads_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "kept").write_text("1")
    (inside / "link").symlink_to(outside)
    (inside / "file").symlink_to(outside / "kept")
    os.mkfifo(inside / "pipe")
    files = FolderFiles(str(inside))
    assert files.files().files == ()
    for key in ("link/kept", "../out/kept", "/out/kept", "link/../../out/kept"):
        with pytest.raises(PlatformError):
            files.delete([key])
    assert (outside / "kept").exists()


def test_a_refusal_in_the_midst_of_an_answer_is_told(bucket: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 answers 200 to DeleteObjects and lists what it refused (moto has no such case: the answer is replaced)."""
    clients = Clients(REGION)
    client = clients("s3", change=True)
    refused = {"Errors": [{"Key": "a", "Code": "AccessDenied", "Message": "no"}]}
    client.meta.events.register("after-call.s3.DeleteObjects", lambda parsed, **_: parsed.update(refused))
    with pytest.raises(PlatformError, match="s3:DeleteObject") as told:
        BucketFiles(clients, BUCKET).delete(["a"])
    assert (told.value.code, told.value.permanent) == ("forbidden", True)

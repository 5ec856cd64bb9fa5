"""One contract, two stores: a folder, and a real S3 API (moto over HTTP)."""

from __future__ import annotations

import io
import os
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer
from quarterdeck_airflow.files import links
from quarterdeck_airflow.files.keys import RESERVED, BadKey
from quarterdeck_airflow.files.local import LocalStore
from quarterdeck_airflow.files.s3 import S3Store
from quarterdeck_airflow.files.store import FileDamaged, FileError, FileMissing

from tests.services import free_port

Store = Any
MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def s3() -> Iterator[Any]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield boto3.client(
        "s3", region_name="eu-north-1", endpoint_url=f"http://{host}:{port}", aws_access_key_id="x",
        aws_secret_access_key="y", config=Config(retries={"max_attempts": 1}, connect_timeout=2, read_timeout=10),
    )  # fmt: skip
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path, s3: Any) -> Iterator[Store]:
    if request.param == "folder":
        made = LocalStore(tmp_path / "root")
        server = links.server(made)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield LocalStore(tmp_path / "root", links_url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
        server.server_close()
        return
    bucket = f"files-{random.randrange(10**9)}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    yield S3Store(s3, bucket, "team/files", part_bytes=5 * MEGABYTE)


def leftovers(store: Store) -> int:
    """What half a write left behind."""
    return int(store.abort_stale(timedelta(0)))


def test_what_is_put_can_be_read_and_fetched(store: Store, tmp_path: Path) -> None:
    (tmp_path / "source.csv").write_bytes(b"1,2\n")
    put = store.put("a/b.csv", tmp_path / "source.csv")
    assert store.read("a/b.csv") == b"1,2\n"
    got = store.get("a/b.csv", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes() == b"1,2\n"
    assert put.sha256 == got.sha256 == store.info("a/b.csv").sha256
    assert put.size == got.size == store.info("a/b.csv").size == 4
    assert abs(store.info("a/b.csv").modified_at - datetime.now(UTC)) < timedelta(seconds=10)


def test_bytes_files_and_pipes_are_sources_too(store: Store, tmp_path: Path) -> None:
    store.put("bytes", b"one")
    store.put("file", io.BytesIO(b"two"))
    read, write = os.pipe()
    os.write(write, b"three")
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        store.put("pipe", pipe)
    store.put("empty", b"")
    assert [store.read(key) for key in ("bytes", "file", "pipe", "empty")] == [b"one", b"two", b"three", b""]


def test_a_second_put_replaces_the_first(store: Store) -> None:
    store.put("a", b"first")
    store.put("a", b"second")
    assert store.read("a") == b"second"
    assert [info.key for info in store.list()] == ["a"]


def test_a_large_file_goes_in_parts_and_comes_back_whole(store: Store, tmp_path: Path) -> None:
    contents = random.Random(1).randbytes(23 * MEGABYTE + 7)
    (tmp_path / "large").write_bytes(contents)
    put = store.put("large", tmp_path / "large")
    store.get("large", tmp_path / "back", sha256=put.sha256)
    assert (tmp_path / "back").read_bytes() == contents
    assert leftovers(store) == 0


def test_what_is_missing_says_so(store: Store, tmp_path: Path) -> None:
    for ask in (store.read, store.info, lambda key: store.get(key, tmp_path / "out")):
        with pytest.raises(FileMissing, match="no file a/b"):
            ask("a/b")
    assert not store.exists("a/b")
    assert list(tmp_path.glob("*out*")) == []


def test_deleting_twice_is_no_error(store: Store) -> None:
    store.put("deep/down/a", b"1")
    store.delete("deep/down/a")
    store.delete("deep/down/a")
    assert not store.exists("deep/down/a")


def test_a_list_is_in_the_order_of_the_keys_bytes(store: Store) -> None:
    keys = ["a", "a-b", "a.b/c", "a/b", "a/b-c", "b/é", "b/z", "b/zz/1"]
    keys = ["x/1", *[key for key in keys if key != "a"], "Z"]  # in a folder a file can't be another's folder
    for key in random.Random(2).sample(keys, len(keys)):
        store.put(key, b"1")
    assert [info.key for info in store.list()] == sorted(keys, key=str.encode)
    assert [info.key for info in store.list("a/")] == ["a/b", "a/b-c"]
    assert [info.key for info in store.list("b/z")] == ["b/z", "b/zz/1"]
    assert [info.key for info in store.list("nowhere/")] == []
    assert [info.key for info in store.list("a/b/c")] == []


def test_a_list_goes_past_one_page(s3: Any) -> None:
    s3.create_bucket(Bucket="many", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    store = S3Store(s3, "many")
    for number in range(25):
        store.put(f"{number:04}", b"")

    def small_pages(params: dict[str, Any], **_: object) -> None:
        params["MaxKeys"] = 10

    s3.meta.events.register("provide-client-params.s3.ListObjectsV2", small_pages)
    try:
        assert [info.key for info in store.list()] == [f"{number:04}" for number in range(25)]
    finally:
        s3.meta.events.unregister("provide-client-params.s3.ListObjectsV2", small_pages)


@pytest.mark.parametrize("key", ["../a", "/a", "a/../../b", "a\0", "．．/a", "a//b", "", f"{RESERVED}/parts/a"])
def test_keys_that_could_lead_elsewhere_are_refused_by_every_call(store: Store, key: str, tmp_path: Path) -> None:
    for call in (lambda: store.put(key, b"1"), lambda: store.get(key, tmp_path / "o"), lambda: store.read(key),
                 lambda: store.info(key), lambda: store.exists(key), lambda: store.delete(key),
                 lambda: store.link(key)):  # fmt: skip
        with pytest.raises(BadKey):
            call()


def test_another_checksum_is_refused_and_leaves_nothing(store: Store, tmp_path: Path) -> None:
    store.put("a", b"1")
    with pytest.raises(FileDamaged):
        store.get("a", tmp_path / "out", sha256="0" * 64)
    with pytest.raises(FileDamaged):
        store.read("a", sha256="0" * 64)
    assert list(tmp_path.glob("*out*")) == []


def test_what_was_changed_behind_its_back_is_damaged(store: Store) -> None:
    store.put("a", b"right")
    if isinstance(store, LocalStore):
        (store.folder / "a").write_bytes(b"wrong")  # in place: the note of its checksum stays
        if store.info("a").sha256 is None:
            pytest.skip("this disk keeps no extended attributes")
    else:
        place, metadata = store._place("a"), store._client.head_object(**store._place("a"))["Metadata"]
        store._client.put_object(**place, Body=b"wrong", Metadata=metadata)
    with pytest.raises(FileDamaged):
        store.read("a")


def test_who_fetches_over_a_file_keeps_the_old_one_on_an_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"old")
    with pytest.raises(FileMissing):
        store.get("nothing", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == b"old"
    store.put("a", b"1")
    with pytest.raises(FileError, match="can't be written"):
        store.get("a", tmp_path / "no" / "such" / "folder")


class Breaking(io.BytesIO):
    """Fails on its second reading, after some megabytes."""

    readings = 0

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() == 0:
            self.readings += 1
        if self.readings > 1 and self.tell() > 6 * MEGABYTE:
            raise OSError(5, "the disk is gone")
        return super().read(size)


class Changing(io.BytesIO):
    """Has other contents each time it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        found = super().read(size)
        return found[:-8] + os.urandom(8) if len(found) > 8 else found


def test_a_write_that_breaks_off_leaves_nothing(store: Store) -> None:
    store.put("a", b"old")
    source = Breaking(b"x" * 20 * MEGABYTE)
    source.readings = 1 if isinstance(store, LocalStore) else 0  # a folder reads it once, S3 twice
    with pytest.raises((OSError, FileError)):
        store.put("a", source)
    assert store.read("a") == b"old"
    assert leftovers(store) == 0


def test_readers_see_one_whole_file_while_it_is_written_again_and_again(store: Store) -> None:
    whole = [bytes([letter]) * 300_000 for letter in b"abc"]
    store.put("a", whole[0])
    stop, seen, errors = threading.Event(), set(), []

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(store.read("a"))
            except Exception as error:
                errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(30):
        store.put("a", whole[number % 3])
    stop.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen <= set(whole)


def test_a_link_opens_the_file_until_it_expires(store: Store) -> None:
    store.put("a/æ b.csv", b"1,2\n")
    link = store.link("a/æ b.csv", timedelta(seconds=60))
    assert httpx.get(link).content == b"1,2\n"
    for bad in (timedelta(0), timedelta(days=8)):
        with pytest.raises(FileError, match="seven days"):
            store.link("a/æ b.csv", bad)


# What only a folder can get wrong, and what only S3 can.


def test_a_symlink_leads_nowhere(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (store.folder / "out").symlink_to(outside)
    (store.folder / "file").symlink_to(outside / "secret")
    for call in (lambda: store.read("out/secret"), lambda: store.put("out/new", b"1"), lambda: store.read("file"),
                 lambda: store.info("out/secret")):  # fmt: skip
        with pytest.raises((BadKey, FileError)):
            call()
    assert [info.key for info in store.list()] == []
    assert [path.name for path in outside.iterdir()] == ["secret"]
    store.put("file", b"mine")  # takes the link's place, does not follow it
    assert (outside / "secret").read_bytes() == b"secret"
    with pytest.raises(BadKey):
        store.delete("out/secret")
    assert (outside / "secret").exists()


def test_a_folder_and_a_pipe_are_no_files(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root")
    store.put("a/b", b"1")
    os.mkfifo(store.folder / "pipe")
    for key in ("a", "pipe"):
        with pytest.raises((FileMissing, BadKey)):
            store.read(key)
    with pytest.raises(BadKey):
        store.put("a", b"1")
    with pytest.raises(BadKey):
        store.put("a/b/c", b"1")
    assert store.read("a/b") == b"1"


def test_empty_folders_go_with_their_last_file(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "root")
    store.put("a/b/c", b"1")
    store.put("a/d", b"1")
    store.delete("a/b/c")
    assert sorted(path.name for path in (store.folder / "a").iterdir()) == ["d"]


def test_puts_and_deletes_in_one_folder_at_once_lose_nothing(tmp_path: Path) -> None:
    store, errors = LocalStore(tmp_path / "root"), []

    def work(number: int) -> None:
        try:
            for turn in range(60):
                store.put(f"shared/{number}/file", str(turn).encode())
                assert store.read(f"shared/{number}/file") == str(turn).encode()
                store.delete(f"shared/{number}/file")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_a_wrong_or_old_link_to_a_folder_is_refused() -> None:
    secret, now = b"s" * 32, 1_000_000.0
    good = links.signed("http://h", secret, "a/b", 1_000_060).removeprefix("http://h")
    assert links.allowed(secret, good, now) == "a/b"
    assert links.allowed(secret, good, now + 61) is None
    for bad in (good.replace("a/b", "a/c"), good.replace("60&", "99&"), good[:-1], "/a/b", "/a/b?until=x&signature=",
                good.replace("signature=", "signature=é")):  # fmt: skip
        assert links.allowed(secret, bad, now) is None
    assert links.allowed(b"other", good, now) is None


def test_a_file_that_changes_while_it_is_sent_is_not_kept(s3: Any) -> None:
    s3.create_bucket(Bucket="changing", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    store = S3Store(s3, "changing", part_bytes=5 * MEGABYTE)
    with pytest.raises(FileError):
        store.put("a", Changing(b"x" * 12 * MEGABYTE))
    assert not store.exists("a")
    assert leftovers(store) == 0


def test_a_prefix_keeps_its_own(s3: Any) -> None:
    s3.create_bucket(Bucket="shared", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    one, other = S3Store(s3, "shared", "one"), S3Store(s3, "shared", "/other/")
    one.put("a", b"1")
    s3.put_object(Bucket="shared", Key="one/../other/b", Body=b"by another program")
    assert [info.key for info in one.list()] == ["a"]
    assert list(other.list()) == []
    with pytest.raises(BadKey):
        S3Store(s3, "shared", "../other")


def test_s3_that_fails_is_told_in_words(s3: Any) -> None:
    with pytest.raises(FileError, match=r"bucket .* does not exist"):
        S3Store(s3, "no-such-bucket").put("a", b"1")
    away = boto3.client(
        "s3", region_name="eu-north-1", endpoint_url="http://127.0.0.1:9", aws_access_key_id="x",
        aws_secret_access_key="very-secret", config=Config(retries={"max_attempts": 1}, connect_timeout=1),
    )  # fmt: skip
    began = time.monotonic()
    with pytest.raises(FileError, match="can't be reached") as caught:
        S3Store(away, "files").read("a")
    assert "very-secret" not in str(caught.value)
    assert time.monotonic() - began < 10
    assert S3Store(away, "files").test_connection()[0] is False
